"""A gateway's console API and a streamer's media WebSocket on a real socket, played by the test.

Speaks the contract of `/console/api` (see the console's routes in webhook_gateway) and serves the shipped static files.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from devstack.ports import free_port
from support import console_samples as samples
from support.waiting import until
from webhook_gateway import intake

STATIC = Path(intake.__file__).parent / "console" / "static"
TOKEN = "the-admin-token-of-the-tests"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_COOKIE = "console"


@dataclass
class Media:
    """One media connection of the softphone: what the browser sent, and a way to answer."""

    socket: WebSocket
    query: dict[str, str]
    audio: list[bytes] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def say(self, pcm: bytes, sample_rate: int) -> None:
        """One playback of s16le mono."""
        audio = {"audioDataType": "raw", "sampleRate": sample_rate, "audioData": b64encode(pcm).decode()}
        await self.socket.send_text(json.dumps({"type": "streamAudio", "data": audio}))

    async def command(self, event: str, **more: Any) -> None:
        """One of the other commands."""
        await self.socket.send_text(json.dumps({"event": event, **more}))


@dataclass
class Console:
    """What the backend knows, and what it was asked to do (`asked`: method and path, body)."""

    url: str
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    entries: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    past: list[dict[str, Any]] = field(default_factory=list)
    past_problem: str | None = None
    agents: list[dict[str, Any]] = field(default_factory=list)
    dead: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    searches: list[dict[str, str]] = field(default_factory=list)
    media: list[Media] = field(default_factory=list)
    refuse: Response | None = None
    refuse_media: int = 0
    """So many media connections are turned away."""
    passes: int = 0
    wav: Path | None = None
    heard: list[str] = field(default_factory=list)
    """The ranges of the recording that were asked for."""
    _streams: list[tuple[str | None, asyncio.Queue[tuple[str, Any] | None]]] = field(default_factory=list)

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Send an event to whoever listens to that call or to all."""
        for call_id, queue in self._streams:
            if call_id in (None, data["call_id"]):
                queue.put_nowait((event, data))

    def put(self, call: dict[str, Any]) -> None:
        """A call began or changed."""
        self.calls[call["call_id"]] = call
        self.tell("call", call)

    def add(self, call_id: str, entry: dict[str, Any]) -> None:
        """The transcript grew."""
        self.entries.setdefault(call_id, []).append(entry)
        self.tell("entry", {"call_id": call_id, "entry": entry})

    def gone(self, call_id: str) -> None:
        """A call is over."""
        self.calls.pop(call_id, None)
        self.tell("gone", {"call_id": call_id})

    def drop_streams(self) -> None:
        """End every stream of events, as a restart of the gateway would."""
        for _, queue in self._streams:
            queue.put_nowait(None)

    async def connected(self) -> Media:
        """The softphone's media connection, once it is there."""
        found: Media = await until(lambda: self.media and self.media[-1], what="the softphone's media connection")
        return found

    async def listening(self) -> None:
        """Until someone listens to the live stream."""
        await until(lambda: self._streams, what="a listener of the live stream")

    def routes(self) -> list[Route | Mount | WebSocketRoute]:
        api = [
            Route("/session", self._session, methods=["POST", "DELETE"]),
            Route("/live", self._live),
            Route("/agents", lambda _: JSONResponse({"agents": self.agents})),
            Route("/calls", self._calls),
            Route("/calls/{call_id}", self._record),
            Route("/calls/{call_id}/audio", self._audio),
            Route("/calls/{call_id}/record", self._record),
            Route("/calls/{call_id}/{what}", self._ask, methods=["POST"]),
            Route("/softphone", self._softphone, methods=["POST"]),
            Route("/softphone/{call_id}/pass", self._pass, methods=["POST"]),
            Route("/softphone/{call_id}/end", self._ask, methods=["POST"]),
            Route("/system", lambda _: JSONResponse(samples.system())),
            Route("/jobs/dead", lambda _: JSONResponse({"deliveries": self.dead})),
            Route("/jobs/dead/{delivery}/replay", self._ask, methods=["POST"]),
        ]
        return [
            Mount("/console/static", StaticFiles(directory=STATIC)),
            Mount("/console/api", routes=api),
            Route("/console", lambda _: FileResponse(STATIC / "index.html")),
            WebSocketRoute("/ws/{call_id}", self._socket),
        ]

    async def _session(self, request: Request) -> Response:
        answer = JSONResponse({"open": request.method == "POST"})
        if request.method == "POST":
            answer.set_cookie(_COOKIE, "open", path="/console", httponly=True, samesite="strict")
        else:
            answer.delete_cookie(_COOKIE, path="/console")
        return answer

    async def _live(self, request: Request) -> Response:
        return StreamingResponse(self._events(request.query_params.get("call_id")), media_type="text/event-stream")

    async def _events(self, call_id: str | None) -> AsyncIterator[str]:
        queue: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()
        stream = (call_id, queue)
        self._streams.append(stream)
        try:
            calls = [call for call in self.calls.values() if call_id in (None, call["call_id"])]
            yield _event("snapshot", {"calls": calls})
            for entry in self.entries.get(call_id, []) if call_id else []:
                yield _event("entry", {"call_id": call_id, "entry": entry})
            while (told := await queue.get()) is not None:
                yield _event(*told)
        finally:
            self._streams.remove(stream)

    async def _calls(self, request: Request) -> Response:
        query = dict(request.query_params)
        self.searches.append(query)
        limit, start = int(query.get("limit", "50")), int(query.get("before", "0"))
        found = [call for call in self.past if query.get("number", "").strip("+") in call["from_number"]]
        following = str(start + limit) if len(found) > start + limit else None
        return JSONResponse({"calls": found[start : start + limit], "next": following, "problem": self.past_problem})

    async def _record(self, request: Request) -> Response:
        record = self.records.get(request.path_params["call_id"])
        if record is None:
            return JSONResponse({"error": "no such call", "hint": "records are deleted after RETENTION_DAYS"}, 404)
        return JSONResponse(record)

    async def _audio(self, request: Request) -> Response:
        assert self.wav is not None
        self.heard.append(request.headers.get("range", ""))
        return FileResponse(self.wav, media_type="audio/wav")

    async def _ask(self, request: Request) -> Response:
        if self.refuse is not None:
            return self.refuse
        self.asked.append((request.url.path.removeprefix("/console/api"), await request.json()))
        return JSONResponse({"asked": True}, 202)

    async def _softphone(self, request: Request) -> Response:
        if self.refuse is not None:
            return self.refuse
        body = await request.json()
        self.asked.append(("/softphone", body))
        return JSONResponse(self._line("phone-1", body["sample_rate"]))

    async def _pass(self, request: Request) -> Response:
        answer = await self._ask(request)
        if answer.status_code != 202:
            return answer
        return JSONResponse(self._line(request.path_params["call_id"], (await request.json())["sample_rate"]), 201)

    def _line(self, call_id: str, sample_rate: int) -> dict[str, str]:
        self.passes += 1
        query = f"token=pass-{self.passes}&sample_rate={sample_rate}"
        return {"call_id": call_id, "url": f"{self.url.replace('http', 'ws', 1)}/ws/{call_id}?{query}"}

    async def _socket(self, socket: WebSocket) -> None:
        if self.refuse_media > 0:
            self.refuse_media -= 1
            await socket.close()
            return
        await socket.accept()
        media = Media(socket, dict(socket.query_params))
        self.media.append(media)
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    break
                if (data := message.get("bytes")) is not None:
                    media.audio.append(data)
                else:
                    media.texts.append(json.loads(message["text"]))
        except WebSocketDisconnect:
            pass
        finally:
            media.closed.set()


class _Guard:
    """The session's rules: a Bearer token or the cookie, with the cookie a header against cross-site requests."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/console/api/") and not self._admits(Request(scope)):
            answer = JSONResponse({"error": "the admin token is missing or wrong", "hint": "see ADMIN_TOKEN"}, 401)
            await answer(scope, receive, send)
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"content-security-policy", POLICY.encode()))
            await send(message)

        await self._app(scope, receive, guarded)

    def _admits(self, request: Request) -> bool:
        if request.headers.get("authorization") == f"Bearer {TOKEN}":
            return True
        safe = request.method in ("GET", "HEAD") or request.headers.get("x-console") == "1"
        return _COOKIE in request.cookies and safe


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


@asynccontextmanager
async def console_backend() -> AsyncIterator[Console]:
    """A backend on a free port for the length of a block."""
    port = free_port()
    console = Console(f"http://127.0.0.1:{port}")
    app = _Guard(Starlette(routes=console.routes()))
    config = uvicorn.Config(app, "127.0.0.1", port, log_level="warning", ws="websockets-sansio", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server._serve())
    try:
        await until(lambda: server.started, what="the backend")
        yield console
    finally:
        console.drop_streams()
        server.should_exit = True
        await serving
