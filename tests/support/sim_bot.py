"""A small bot on a real WebSocket, in the streamer's place: greets, answers utterances, breaks when interrupted."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

LOUD = 1000
PAUSE_S = 0.3


def beep(seconds: float, rate: int, hertz: float = 440.0) -> bytes:
    """A tone, s16le mono, loud from its first samples on."""
    time = np.arange(round(seconds * rate)) / rate
    return (8000 * np.cos(2 * np.pi * hertz * time)).astype("<i2").tobytes()


def stream_audio(pcm: bytes, rate: int) -> str:
    """A raw streamAudio message."""
    data = {"audioDataType": "raw", "sampleRate": rate, "audioData": base64.b64encode(pcm).decode()}
    return json.dumps({"type": "streamAudio", "data": data})


@dataclass(slots=True)
class Bot:
    """What the bot does, and what it saw. One bot serves one call after another, and its reconnections."""

    rate: int = 8000
    channels: int = 1
    greeting: float = 0.5
    answer: float = 0.5
    """Lengths in seconds."""
    transfer_after: int | None = None
    """Utterances of the caller after which the bot sends `transfer` in place of an answer."""
    play: str | None = None
    """A URL to play in place of the first answer."""
    extra: list[str | bytes] = field(default_factory=list)
    """Messages sent right after the greeting."""
    close_after_greeting: int | None = None
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    audio_before_text: int | None = None
    """Binary messages that came before the first text."""
    binary_sizes: list[int] = field(default_factory=list)
    left: bytearray = field(default_factory=bytearray)
    right: bytearray = field(default_factory=bytearray)
    utterances: int = 0
    _greeted: bool = False

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self.headers.append(dict(socket.request.headers.items()))
        loop = asyncio.get_running_loop()
        playing_until = last_loud = 0.0
        speaking = False
        try:
            if not self._greeted:
                self._greeted = True
                await socket.send(stream_audio(beep(self.greeting, self.rate), self.rate))
                for message in self.extra:
                    await socket.send(message)
                if self.close_after_greeting is not None:
                    await socket.close(self.close_after_greeting)
            async for message in socket:
                now = loop.time()
                if loud(self._take(message)):
                    if not speaking and now < playing_until:
                        await socket.send(json.dumps({"event": "break"}))
                        playing_until = now
                    speaking, last_loud = True, now
                elif speaking and now - last_loud > PAUSE_S:
                    speaking = False
                    playing_until = now + await self._answer(socket)
        except ConnectionClosed:
            return

    async def _answer(self, socket: ServerConnection) -> float:
        self.utterances += 1
        if self.utterances == self.transfer_after:
            await socket.send(json.dumps({"event": "transfer", "data": 33199999999}))
            return 0.0
        if self.play is not None and self.utterances == 1:
            await socket.send(json.dumps({"event": "play", "file": self.play}))
        else:
            await socket.send(stream_audio(beep(self.answer, self.rate), self.rate))
        return self.answer

    def _take(self, message: str | bytes) -> bytes:
        """The caller's samples in a message: bare PCM, or the specification's audio_data."""
        if isinstance(message, bytes):
            self.binary_sizes.append(len(message))
            pcm = message
        else:
            document = json.loads(message)
            if document.get("event") != "audio_data":
                if not self.texts:
                    self.audio_before_text = len(self.binary_sizes)
                self.texts.append(message)
                return b""
            pcm = base64.b64decode(document["data"])
        if self.channels == 2:
            both = np.frombuffer(pcm, "<i2").reshape(-1, 2)
            pcm = both[:, 0].tobytes()
            self.right += both[:, 1].tobytes()
        self.left += pcm
        return pcm


def loud(pcm: bytes) -> bool:
    """Whether a sample of it is speech rather than line noise."""
    return bool(len(pcm)) and int(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)).max()) > LOUD


@asynccontextmanager
async def running(bot: Bot) -> AsyncIterator[str]:
    """The bot at a ws:// URL on a free port."""
    async with serve(bot.serve, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
