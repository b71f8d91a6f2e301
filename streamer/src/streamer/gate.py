"""Reads a handshake's URL and headers: who may come in, and with what. Nothing here waits for anything."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from callbus import passes
from callbus.errors import BadCallId
from callbus.keys import clean_call_id
from callbus.pcm import CALL_RATES
from streamer.settings import StreamerSettings

CALL_ID_NAMES = ("call_id", "callId", "call_uuid", "uuid", "id")
MEDIA_PATH = "/ws"
TOKEN_PART = "t"
"""`/ws/t/{token}` and `/ws/t/{token}/{call_id}`: the token in the path. So no call can be named just `t`."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A media connection that may come in. `call_id` is None when the URL doesn't say; `sample_rate` in Hz."""

    call_id: str | None
    sample_rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP status and what to tell the client."""

    status: int
    text: str


class Gate:
    """Judges handshakes by the settings.

    The call's id may be in the path (`/ws/{call_id}`) or the query (any of CALL_ID_NAMES); the token in the query
    (`token`), the path (see TOKEN_PART) or the Authorization header, with or without `Bearer`.
    `sample_rate` and `channels` in the query stand before the settings. A pass (see callbus.passes) in the token's
    place lets its bearer into the one call that it names.
    """

    def __init__(self, settings: StreamerSettings) -> None:
        token = settings.streamer_token
        self._token = token.get_secret_value().encode() if token else None
        self._sample_rate = settings.streamer_sample_rate
        self._channels = settings.streamer_channels

    def judge(self, target: str, authorization: str | None, *, now: float) -> Admission | Refusal:
        """Judge a request by its target (path and query) and its Authorization header, at `now` (epoch s)."""
        try:
            url = urlsplit(target)
        except ValueError:
            return Refusal(400, "this is no URL")
        query = parse_qs(url.query)
        parts = url.path.removesuffix("/").split("/")[1:]
        if not parts or f"/{parts[0]}" != MEDIA_PATH:
            return Refusal(404, f"not found: media connections go to {MEDIA_PATH} or {MEDIA_PATH}/{{call_id}}")
        tokens = query.get("token", [])
        rest = [unquote(part) for part in parts[1:]]
        if rest[:1] == [TOKEN_PART] and len(rest) > 1:
            tokens = [*tokens, rest[1]]
            rest = rest[2:]
        if len(rest) > 1:
            return Refusal(404, f"not found: expected {MEDIA_PATH}/{{call_id}}")
        if authorization:
            scheme, _, credentials = authorization.strip().partition(" ")
            tokens = [*tokens, credentials.strip() if scheme.lower() == "bearer" else authorization.strip()]
        named = [*rest, *(query[name][0] for name in CALL_ID_NAMES if name in query)]
        if (why_not := self._keeps_out(tokens, named[0] if named else None, now)) is not None:
            return Refusal(401, why_not)
        try:
            return self._admission(named, query)
        except ValueError as error:
            return Refusal(400, str(error))

    def _keeps_out(self, tokens: list[str], call_id: str | None, now: float) -> str | None:
        """Why nobody comes in with these; None if somebody does."""
        if self._token is None:
            return None
        matches = [hmac.compare_digest(token.encode(errors="replace"), self._token) for token in tokens]
        if any(matches):
            return None
        why_not = "a token is needed: in the query (token=…), the path (/ws/t/…) or Authorization"
        for given in filter(passes.is_pass, tokens):
            try:
                passes.check(self._token, given, call_id, now=now)
            except passes.PassRefused as error:
                why_not = str(error)
            else:
                return None
        return why_not

    def _admission(self, named: list[str], query: Mapping[str, list[str]]) -> Admission:
        try:
            call_id = clean_call_id(named[0]) if named else None
        except BadCallId as error:
            raise ValueError(str(error)) from error
        sample_rate = _choice(query, "sample_rate", CALL_RATES, self._sample_rate)
        channels = _choice(query, "channels", (1, 2), self._channels)
        return Admission(call_id, sample_rate, channels)


def _choice(query: Mapping[str, list[str]], name: str, choices: tuple[int, ...], default: int) -> int:
    if name not in query:
        return default
    text = query[name][0]
    if text not in map(str, choices):
        raise ValueError(f"{name}={text[:20]} is not possible: expected {' or '.join(map(str, choices))}")
    return int(text)
