"""The media server's end of one WebSocket connection: handshake, metadata, audio out, messages in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Origin

from ringover_sim.dialects import Encoder, Impairment, JsonEncoder, Message, PcmEncoder, RtpEncoder
from ringover_sim.errors import StreamerError
from ringover_sim.script import Media
from ringover_sim.webhooks import Parties

HANDSHAKE_TIMEOUT_S = 1.0
"""A media server gives up when the 101 takes longer (RINGOVER.md 3.1)."""
CLOSE_TIMEOUT_S = 2.0
LARGEST_MESSAGE = 16 * 2**20
"""Bytes; a streamAudio of 90 s was taken whole by a stock server."""
SEND_BUFFER = 64 * 1024
"""Bytes that may wait for a streamer that does not read; beyond, audio is dropped: it is of no use late."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a media connection goes, and with what."""

    url: str
    headers: dict[str, str]


def target(streamer_url: str, media: Media, call_id: str, token: str | None) -> Target:
    """The URL and headers of a call's connection; a URL without a path gets `/ws`. Raises StreamerError."""
    parts = urlsplit(streamer_url)
    if parts.scheme not in ("ws", "wss") or not parts.netloc:
        raise StreamerError(f"the streamer's URL is ws://host:port or wss://host:port, not {streamer_url!r}")
    path = parts.path if parts.path not in ("", "/") else "/ws"
    query = dict[str, str]()
    headers: dict[str, str] = {}
    if media.call_id_in == "path":
        path = f"{path.rstrip('/')}/{quote(call_id, safe='')}"
    elif media.call_id_in == "query":
        query["call_id"] = call_id
    if media.announce and (media.sample_rate, media.channels) != (8000, 1):
        query |= {"sample_rate": str(media.sample_rate), "channels": str(media.channels)}
    if token and media.token_in == "query":
        query["token"] = token
    elif token and media.token_in == "header":
        headers["Authorization"] = f"Bearer {token}"
    joined = "&".join(part for part in (parts.query, urlencode(query)) if part)
    return Target(urlunsplit((parts.scheme, parts.netloc, path, joined, "")), headers)


def encoder(media: Media, parties: Parties, seed: int) -> Encoder:
    """A connection's outgoing dialect."""
    chunk = media.sample_rate * media.channels * 2 * media.chunk_ms // 1000
    call_id = parties.call_id if media.call_id_in == "metadata" else None
    match media.dialect:
        case "pcm":
            return PcmEncoder(chunk)
        case "json":
            return JsonEncoder(chunk, call_id, parties.caller, parties.called)
        case "rtp":
            return RtpEncoder(media.rtp_codec, Impairment(media.rtp_loss, media.rtp_reorder), seed)


def metadata(media: Media, parties: Parties) -> str:
    """The operator's metadata message; the fields are the operator's choice (RINGOVER.md 3.2)."""
    numbers = {"from": parties.caller, "to": parties.called}
    return json.dumps(({"callId": parties.call_id} if media.call_id_in == "metadata" else {}) | numbers)


class MediaConnection:
    """One open connection. Use `open_connection`."""

    def __init__(self, socket: ClientConnection, dialect: Encoder) -> None:
        self._socket, self._dialect = socket, dialect
        self.chunks_sent = 0
        self.chunks_dropped = 0
        self._closing = False

    @property
    def close_code(self) -> int | None:
        """The code of the close, 1006 without a closing handshake, None while open."""
        return self._socket.close_code

    @property
    def close_reason(self) -> str:
        """The reason the closing side gave."""
        return self._socket.close_reason or ""

    async def greet(self) -> None:
        """What the dialect sends before any audio."""
        await self._send(self._dialect.opening())

    async def send_audio(self, pcm: bytes) -> None:
        """The next 20 ms, s16le, interleaved when stereo; dropped and counted when the streamer does not read."""
        messages = self._dialect.audio(pcm)
        if self._closing:
            return
        if self._socket.transport.get_write_buffer_size() > SEND_BUFFER:
            self.chunks_dropped += len(messages)
            return
        self.chunks_sent += len(messages)
        await self._send(messages)

    async def send_text(self, text: str) -> None:
        """A text message: metadata, or a key as text."""
        if not self._closing:
            await self._send([text])

    async def read(self, on_message: Callable[[Message], None]) -> None:
        """Hand over every message as it comes; returns when the connection is closed, by whichever side."""
        try:
            async for message in self._socket:
                on_message(message)
        except ConnectionClosed:
            return

    async def close(self) -> None:
        """End it politely: the dialect's good-bye and CLOSE 1000."""
        if not self._closing:
            self._closing = True
            await self._send(self._dialect.closing())
        await self._socket.close(1000)

    def abort(self) -> None:
        """Cut the TCP connection: no good-bye, no close frame."""
        self._closing = True
        self._socket.transport.abort()

    async def _send(self, messages: list[Message]) -> None:
        try:
            for message in messages:
                await self._socket.send(message)
        except ConnectionClosed:
            # The reader sees it too, and knows why: the call's end is decided in one place.
            self._closing = True


async def open_connection(where: Target, media: Media, dialect: Encoder) -> MediaConnection:
    """Open the connection as a media server does: no User-Agent, an http Origin, no pings of its own.

    Raises StreamerError when it can't be reached, refuses, or answers later than 1 s.
    """
    try:
        socket = await connect(
            where.url,
            additional_headers=where.headers,
            origin=Origin("http://" + urlsplit(where.url).netloc),
            user_agent_header=None,
            compression="deflate" if media.compression else None,
            proxy=None,
            open_timeout=HANDSHAKE_TIMEOUT_S,
            ping_interval=None,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=LARGEST_MESSAGE,
            max_queue=64,
            write_limit=4 * SEND_BUFFER,
        )
    except TimeoutError as error:
        raise StreamerError(
            f"no handshake from the streamer at {_shown(where)} within {HANDSHAKE_TIMEOUT_S:g} s"
        ) from error
    except InvalidStatus as error:
        raise StreamerError(
            f"the streamer at {_shown(where)} refused the handshake: HTTP {error.response.status_code}"
        ) from error
    except (InvalidHandshake, InvalidURI) as error:
        raise StreamerError(f"no WebSocket at {_shown(where)}: {error}") from error
    except OSError as error:
        raise StreamerError(f"no streamer at {_shown(where)}: {error.strerror or error}") from error
    return MediaConnection(socket, dialect)


def _shown(where: Target) -> str:
    """The URL without its query, which may hold a token."""
    parts = urlsplit(where.url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
