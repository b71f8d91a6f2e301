"""The telephone in the browser: makes its calls known to the system as if Ringover had told of them."""

from __future__ import annotations

import secrets
import time
from typing import Literal, TypeAlias
from urllib.parse import quote, urlencode

from fastapi import Request

from callbus import calls, keys, passes
from callbus.broker import Broker
from callbus.calls import LifecycleEvent
from webhook_gateway.answers import Refusal
from webhook_gateway.console.call_view import state_of
from webhook_gateway.settings import GatewaySettings

PREFIX = "browser-"
CALLER = "browser"
SOURCE = "console"
Moment: TypeAlias = Literal["ringing", "answered", "hangup"]
_STATES: dict[Moment, Literal["ringing", "answered", "ended"]] = {
    "ringing": "ringing",
    "answered": "answered",
    "hangup": "ended",
}


class Softphone:
    """`source` is what the browser's policy must let the telephone connect to."""

    def __init__(self, settings: GatewaySettings, broker: Broker) -> None:
        self._broker = broker
        self._public_url = settings.streamer_public_url
        self._port = settings.streamer_port
        self._token = settings.streamer_token.get_secret_value() if settings.streamer_token else None

    @property
    def source(self) -> str:
        if self._public_url is None:
            return "ws: wss:"
        scheme, _, rest = self._public_url.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}"

    async def start(self, request: Request, number: str, sample_rate: int) -> dict[str, str]:
        """A call to `number`, and where its audio (s16le at `sample_rate` Hz) is exchanged. Raises BusUnavailable."""
        call_id = PREFIX + secrets.token_hex(8)
        await self._publish(call_id, "ringing", number)
        await self._publish(call_id, "answered", number)
        return self._line(request, call_id, sample_rate)

    async def reconnect(self, request: Request, call_id: str, sample_rate: int) -> dict[str, str]:
        """Where a call whose connection broke goes on. Raises Refusal for one that is over; BusUnavailable."""
        if state_of(await self._call(call_id)) == "ended":
            raise Refusal(409, "conflict", "the call is over", "begin a new one")
        return self._line(request, call_id, sample_rate)

    async def end(self, call_id: str) -> None:
        """The browser has hung up. Raises Refusal for a call that is none of its own; BusUnavailable."""
        call = await self._call(call_id)
        await self._publish(call_id, "hangup", call.get("to_number", ""))

    async def _call(self, call_id: str) -> dict[str, str]:
        call = await calls.get(self._broker, call_id) if call_id.startswith(PREFIX) else {}
        if not call:
            raise Refusal(404, "not_found", "there is no such call from a browser", "only those are answered for here")
        return call

    def _line(self, request: Request, call_id: str, sample_rate: int) -> dict[str, str]:
        """With a pass of its own each time: the streamer's token stays here."""
        token = {"token": passes.mint(self._token, call_id, now=time.time())} if self._token else {}
        query = urlencode({**token, "sample_rate": sample_rate})
        return {"call_id": call_id, "url": f"{self._streamer(request)}/ws/{quote(call_id)}?{query}"}

    def _streamer(self, request: Request) -> str:
        if self._public_url is not None:
            return self._public_url
        host = request.url.hostname or "localhost"
        scheme = "wss" if request.url.scheme == "https" else "ws"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._port}"

    async def _publish(self, call_id: str, event: Moment, number: str) -> None:
        now = round(time.time(), 3)
        state = _STATES[event]
        await calls.publish_webhook(
            self._broker,
            LifecycleEvent(
                "call",
                event,
                call_id,
                now,
                source=SOURCE,
                data={"call_id": call_id, "from_number": CALLER, "to_number": number, "direction": "inbound"},
            ),
            delivery=f"{SOURCE}:{keys.clean_call_id(call_id)}:{event}",
            state=state,
            once={
                "from_number": CALLER,
                "to_number": number,
                "direction": "inbound",
                f"{state}_at": f"{now:.3f}",
                **({"ended_as": event} if state == "ended" else {}),
            },
            latest={},
        )
