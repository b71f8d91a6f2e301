"""The console's HTTP API under `/console/api`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, StrictBool, StrictStr

from callbus import keys, media
from callbus.broker import Broker
from callbus.errors import BadCallId
from webhook_gateway.answers import Refusal
from webhook_gateway.console import agents, dead, wishes
from webhook_gateway.console.access import Access
from webhook_gateway.console.call_list import Search
from webhook_gateway.console.live import Live
from webhook_gateway.console.past import PastCalls
from webhook_gateway.console.softphone import Softphone
from webhook_gateway.console.system import System

API = "/console/api"
_ASKED = {"asked": True}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Nothing(_Body):
    """A body without content."""


class TransferTo(_Body):
    number: StrictStr


class Line(_Body):
    text: StrictStr


class Mute(_Body):
    on: StrictBool


class PhoneLine(_Body):
    sample_rate: Literal[8000, 16000] = 8000


class PhoneCall(PhoneLine):
    agent: StrictStr


def call_id_of(call_id: str) -> str:
    """The call id in a path. Raises Refusal."""
    try:
        return keys.clean_call_id(call_id)
    except BadCallId as error:
        raise Refusal(400, "bad_request", str(error), "GET /console/api/calls lists the calls") from error


CallId = Annotated[str, Depends(call_id_of)]


def router(broker: Broker, access: Access, live: Live, past: PastCalls, phone: Softphone, system: System) -> APIRouter:
    """Every route, each behind `access`."""
    session = APIRouter(prefix=API, tags=["console"])
    api = APIRouter(prefix=API, tags=["console"], dependencies=[Depends(access.check)])

    @session.post("/session", dependencies=[Depends(access.check_token)])
    async def begin_session(request: Request) -> Response:
        """Give the browser a cookie for the admin token."""
        answer = JSONResponse({"session": True})
        access.begin(request, answer)
        return answer

    @api.delete("/session")
    async def end_session() -> Response:
        """Take the cookie back."""
        answer = JSONResponse({"session": False})
        access.end(answer)
        return answer

    @api.get("/live", response_class=StreamingResponse)
    async def follow(call_id: str | None = None) -> StreamingResponse:
        """Server-sent events: what happens in the calls."""
        if live.full:
            raise Refusal(503, "full", "too many browsers watch", "close some of them", {"Retry-After": "10"})
        events = live.events(call_id_of(call_id) if call_id else None)
        return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def wish(call_id: str, what: media.Wish, argument: str = "") -> JSONResponse:
        await wishes.ask(broker, call_id, what, argument)
        return JSONResponse(_ASKED, 202)

    @api.post("/calls/{call_id}/hang-up", status_code=202)
    async def hang_up(call_id: CallId, _body: Nothing | None = None) -> JSONResponse:
        """Cut what is being said, and end the call."""
        return await wish(call_id, "hang_up")

    @api.post("/calls/{call_id}/transfer", status_code=202)
    async def transfer(call_id: CallId, body: TransferTo) -> JSONResponse:
        """Put the caller through to a number."""
        return await wish(call_id, "transfer", wishes.number(body.number))

    @api.post("/calls/{call_id}/say", status_code=202)
    async def say(call_id: CallId, body: Line) -> JSONResponse:
        """Let the bot say a line, at once."""
        return await wish(call_id, "say", wishes.text(body.text))

    @api.post("/calls/{call_id}/mute", status_code=202)
    async def mute(call_id: CallId, body: Mute) -> JSONResponse:
        """Silence the bot, or let it speak again."""
        return await wish(call_id, "mute" if body.on else "unmute")

    @api.get("/calls")
    async def search(
        number: str | None = None,
        since: Annotated[str | None, Query(alias="from")] = None,
        until: Annotated[str | None, Query(alias="to")] = None,
        agent: str | None = None,
        outcome: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: str | None = None,
    ) -> JSONResponse:
        """Past calls, the newest first, and the `problem`: why some may be missing (null: none are).

        `from`, `to`: days (UTC, both included), moments (ISO 8601) or epoch s.
        """
        wanted = Search(
            number="".join(char for char in number if char.isdigit()) or number.strip() if number else None,
            since=_moment(since) if since else None,
            until=_moment(until, whole_day=True) if until else None,
            agent=agent or None,
            outcome=outcome or None,
            before=before or None,
            limit=limit,
        )
        try:
            return JSONResponse(await past.search(wanted))
        except ValueError as error:
            raise Refusal(400, "bad_request", "before is no cursor", "send `next` of the page before") from error

    @api.get("/calls/{call_id}")
    async def record(call_id: CallId) -> JSONResponse:
        """A call's record, its waveform, and how its delivery stands."""
        found = await past.record(call_id)
        if found is None:
            raise _no_record()
        deliveries = await dead.of_call(broker, call_id)
        return JSONResponse({**found, **({"deliveries": deliveries} if deliveries else {})})

    @api.get("/calls/{call_id}/audio", response_class=FileResponse)
    async def audio(request: Request, call_id: CallId) -> Response:
        """The recording: stereo WAV, left the caller, right the bot. Ranges are answered."""
        return _there(await past.audio(call_id, request.headers))

    @api.get("/calls/{call_id}/record", response_class=FileResponse)
    async def download(call_id: CallId) -> Response:
        """The record as a file."""
        return _there(await past.download(call_id))

    @api.get("/agents")
    async def list_agents() -> dict[str, Any]:
        """The agents of the running workers."""
        return {"agents": await agents.known(broker)}

    @api.post("/softphone", status_code=201)
    async def call(request: Request, body: PhoneCall) -> dict[str, str]:
        """Begin a call from the browser."""
        return await phone.start(request, agents.number_of(await agents.known(broker), body.agent), body.sample_rate)

    @api.post("/softphone/{call_id}/pass", status_code=201)
    async def new_pass(request: Request, call_id: CallId, body: PhoneLine) -> dict[str, str]:
        """Let a call from the browser go on whose connection broke."""
        return await phone.reconnect(request, call_id, body.sample_rate)

    @api.post("/softphone/{call_id}/end")
    async def end_call(call_id: CallId, _body: Nothing | None = None) -> dict[str, bool]:
        """The browser has hung up."""
        await phone.end(call_id)
        return {"ended": True}

    @api.get("/system")
    async def show_system() -> JSONResponse:
        """Status, refused webhooks, and what is still missing."""
        return JSONResponse(await system.show())

    @api.get("/jobs/dead")
    async def dead_letters() -> dict[str, Any]:
        """Records that the customer's webhook did not take, and has not taken since: `dead`, or `trying` again."""
        return {"deliveries": await dead.letters(broker)}

    @api.post("/jobs/dead/{call_id}/replay", status_code=202)
    async def replay(call_id: CallId, _body: Nothing | None = None) -> JSONResponse:
        """Deliver one again; what waits for its next try is tried now."""
        await dead.replay(broker, call_id)
        return JSONResponse(_ASKED, 202)

    both = APIRouter()
    both.include_router(session)
    both.include_router(api)
    return both


def _there(answer: Response | None) -> Response:
    if answer is None:
        raise _no_record()
    return answer


def _no_record() -> Refusal:
    return Refusal(
        404, "not_found", "there is no such file", "it is written after the call, into CALLS_DIR, if ai-jobs runs"
    )


def _moment(text: str, *, whole_day: bool = False) -> float:
    """A day, a moment or epoch seconds as epoch seconds; of a `whole_day` its end. Raises Refusal."""
    try:
        if text.replace(".", "", 1).isdigit() and "-" not in text:
            return float(text)
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (moment + timedelta(days=1 if whole_day and len(text) == len("2026-01-31") else 0)).timestamp()
    except (ValueError, OverflowError) as error:
        raise Refusal(
            400, "bad_request", f"{text[:40]!r} is no time", "a day (2026-01-31), ISO 8601 or epoch seconds"
        ) from error
