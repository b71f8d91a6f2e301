"""An HTTP server in the running event loop that paces its answers, fails as told and records its requests."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from support.fake_providers.script import (
    CutAfter,
    Drop,
    EndAfter,
    ErrorAfter,
    Fault,
    HoldAfter,
    Piece,
    Refuse,
    RequestRecord,
    SlowDrip,
)

REMEMBERED_REQUESTS = 1000
# In so many rounds of its loop asyncio hands a connection that it has accepted to the server.
ROUNDS_TO_A_CONNECTION = 3


class FakeServer:
    """Base of the fakes: `async with` starts it on `port` (0: any free one) of 127.0.0.1 and gives `base_url`.

    Subclasses add their routes to `self.app`; each route begins with `receive()` and answers with `paced()`.
    `keep_alive` (s) is how long a connection may be idle before the server closes it.
    """

    def __init__(self, *, api_key: str, host: str = "127.0.0.1", port: int = 0) -> None:
        self.keep_alive = 600.0
        self.api_key = api_key
        self.requests: deque[RequestRecord] = deque(maxlen=REMEMBERED_REQUESTS)
        self.peers: set[tuple[str, int]] = set()
        """The connections that requests came over, by the client's address."""
        self.opened_at: dict[tuple[str, int], float] = {}
        """When each connection was opened, whatever came over it; s of the monotonic clock."""
        self.answered: set[tuple[str, int]] = set()
        """The connections over which a request was answered to its end, whatever it was, or that became WebSockets."""
        self.app = FastAPI(openapi_url=None)
        self._faults: deque[Fault] = deque()
        self._address = (host, port)
        self._server: uvicorn.Server | None = None
        self._came = asyncio.Event()

    @property
    def origin(self) -> str:
        """The server's address, e.g. "http://127.0.0.1:40123"."""
        return f"http://{self._address[0]}:{self._address[1]}"

    @property
    def base_url(self) -> str:
        """What to set as the provider's base URL."""
        return self.origin

    @property
    def open_connections(self) -> set[tuple[str, int]]:
        """Those that nobody has closed, by the client's address."""
        assert self._server is not None
        return {_peer(connection) for connection in self._server.server_state.connections}

    def fail_next(self, *faults: Fault) -> None:
        """Each fault spoils one of the next requests, in this order."""
        self._faults.extend(faults)

    def forget_faults(self) -> None:
        """Those that no request has come for."""
        self._faults.clear()

    async def request(self, number: int = 0) -> RequestRecord:
        """The request that came as the `number`th (from 0), as soon as it has come."""
        while len(self.requests) <= number:
            self._came.clear()
            await self._came.wait()
        return self.requests[number]

    async def __aenter__(self) -> Self:
        # The protocol is named because asyncio turns Nagle's delay off (40 ms a piece) only where it sees TCP named.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self._address)
        self._address = listener.getsockname()[:2]
        config = uvicorn.Config(
            self.app,
            http=self._watched_protocol(),
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            log_level="critical",
            timeout_keep_alive=self.keep_alive,  # type: ignore[arg-type]  # it goes into call_later as it is
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        # Started and stopped by hand: uvicorn's own main loop takes the process's signals and polls its exit.
        await self._server.startup(sockets=[listener])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        state = self._server.server_state
        # What was accepted is served before the server closes: asyncio 3.11 loses a connection that comes just then.
        for listener in (listener for listening in self._server.servers for listener in listening.sockets):
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(ROUNDS_TO_A_CONNECTION):
            await asyncio.sleep(0)
        for listening in self._server.servers:
            listening.close()
        for connection in list(state.connections):
            _transport(connection).abort()
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listening in self._server.servers:
            await listening.wait_closed()

    async def receive(self, request: Request) -> tuple[RequestRecord, Fault | None]:
        """Read the request to its end, record it, and take the fault that is meant for it."""
        assert request.client is not None
        record = RequestRecord(
            method=request.method,
            path=request.url.path,
            query=dict(request.query_params),
            headers=dict(request.headers),
            body=await request.body(),
            peer=(request.client.host, request.client.port),
        )
        return record, self.recorded(record)

    def recorded(self, record: RequestRecord) -> Fault | None:
        """Remember the request, and take the fault that is meant for it."""
        self.peers.add(record.peer)
        self.requests.append(record)
        self._came.set()
        return self._faults.popleft() if self._faults else None

    def refused_at_once(self) -> Refuse | None:
        """Take the next fault if it is a refusal: a WebSocket can be refused before anything is asked over it."""
        if self._faults and isinstance(self._faults[0], Refuse):
            refusal = self._faults.popleft()
            assert isinstance(refusal, Refuse)
            return refusal
        return None

    def paced(
        self,
        record: RequestRecord,
        fault: Fault | None,
        pieces: Sequence[Piece],
        *,
        media_type: str,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """The answer whose body goes out piece by piece at its times, spoiled by `fault`."""
        if isinstance(fault, Drop):
            return _Dropped(self, record)
        return _Paced(record, fault, pieces, status_code=status, media_type=media_type, headers=headers)

    def abort(self, peer: tuple[str, int]) -> None:
        """Cut the connection from `peer` at once."""
        assert self._server is not None
        for connection in self._server.server_state.connections:
            if _peer(connection) == peer:
                _transport(connection).abort()

    def _watched_protocol(self) -> type[asyncio.Protocol]:
        opened_at, answered = self.opened_at, self.answered

        class Watched(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                opened_at[_peer(self)] = time.monotonic()

            def on_response_complete(self) -> None:
                answered.add(_peer(self))
                super().on_response_complete()

            def handle_websocket_upgrade(self, event: Any) -> None:
                answered.add(_peer(self))
                super().handle_websocket_upgrade(event)

        return Watched


def _transport(connection: Any) -> asyncio.Transport:
    transport: asyncio.Transport = connection.transport
    return transport


def _peer(connection: Any) -> tuple[str, int]:
    host, port = _transport(connection).get_extra_info("peername")[:2]
    return host, port


class _Dropped(Response):
    def __init__(self, server: FakeServer, record: RequestRecord) -> None:
        super().__init__()
        self._server, self._record = server, record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._server.abort(self._record.peer)


class _Paced(Response):
    def __init__(
        self,
        record: RequestRecord,
        fault: Fault | None,
        pieces: Sequence[Piece],
        *,
        status_code: int,
        media_type: str,
        headers: dict[str, str] | None,
    ) -> None:
        super().__init__(status_code=status_code, media_type=media_type, headers=headers)
        # The body has no length yet: without this header the server sends it chunked.
        del self.headers["content-length"]
        self._record, self._fault, self._pieces = record, fault, pieces
        self._began = asyncio.get_running_loop().time()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = asyncio.create_task(_client_left(receive))
        sending = asyncio.create_task(self._send(send))
        try:
            await asyncio.wait((left, sending), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                self._record.disconnected.set()
        finally:
            for task in (left, sending):
                task.cancel()
            await asyncio.wait((left, sending))
        if not sending.cancelled():
            sending.result()

    async def _send(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        headers_sent = False
        for number, piece in enumerate(self._pieces):
            due = self._began + (self._fault.seconds * (number + 1) if isinstance(self._fault, SlowDrip) else piece.at)
            await asyncio.sleep(max(0.0, due - loop.time()))
            # As the real ones do: the status line goes out with the first piece, not while the model still thinks.
            if not headers_sent:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                headers_sent = True
            if isinstance(self._fault, CutAfter) and number == self._fault.pieces:
                return  # the server closes a connection whose answer was not completed
            if isinstance(self._fault, HoldAfter) and number == self._fault.pieces:
                await _hold(self._fault, send)
            if isinstance(self._fault, EndAfter) and number == self._fault.pieces:
                break
            if isinstance(self._fault, ErrorAfter) and number == self._fault.pieces:
                await send({"type": "http.response.body", "body": _error_event(self._fault), "more_body": True})
                break
            self._record.sends()
            await send({"type": "http.response.body", "body": piece.data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        self._record.finished.set()


async def _hold(fault: HoldAfter, send: Send) -> None:
    until = fault.until or asyncio.Event()
    while not until.is_set():
        try:
            async with asyncio.timeout(fault.comments_every):
                await until.wait()
        except TimeoutError:
            await send({"type": "http.response.body", "body": b": keep-alive\n\n", "more_body": True})


def _error_event(fault: ErrorAfter) -> bytes:
    error = {"message": fault.message, "type": "server_error", "param": None, "code": fault.code}
    return f"data: {json.dumps({'error': error})}\n\n".encode()


async def _client_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
