"""A call's audio in real time: one tick every 20 ms moves the caller's voice out and the bot's to the caller's ear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from ringover_sim.audio import decode_file, interleave
from ringover_sim.commands import Acknowledgement, Control, StreamAudio, WireViolation, parse
from ringover_sim.dialects import Message
from ringover_sim.ear import Ear
from ringover_sim.errors import AudioError, FetchError
from ringover_sim.media import MediaConnection
from ringover_sim.mouth import Mouth
from ringover_sim.playout import Playback, Playout
from ringover_sim.recorder import Recorder
from ringover_sim.script import Media

TICK_S = 0.02
FETCH_TIMEOUT = httpx.Timeout(10.0)
LARGEST_FILE = 20 * 2**20
"""Bytes that a file named by `play` may have."""


class PhoneLine:
    """The mouth, the ear and the playout of one call on one clock. `answered` is the loop's time of the answer."""

    def __init__(
        self,
        media: Media,
        mouth: Mouth,
        recorder: Recorder,
        client: httpx.AsyncClient,
        *,
        answered: float,
        on_transfer: Callable[[str], None],
    ) -> None:
        self.rate = media.sample_rate
        self.mouth = mouth
        self.ear = Ear(media.sample_rate)
        self.playout = Playout(media.sample_rate, media.seam_gap_ms)
        self.connection: MediaConnection | None = None
        self.moved = asyncio.Event()
        """Set at every tick and every message: something may have changed."""
        self._media, self._recorder, self._client = media, recorder, client
        self._answered, self._on_transfer = answered, on_transfer
        self._tick_samples = round(media.sample_rate * TICK_S)
        self._loop = asyncio.get_running_loop()
        self._fetches: dict[Playback, asyncio.Task[None]] = {}

    @property
    def now(self) -> int:
        """Samples since the answer, by the clock."""
        return int((self._loop.time() - self._answered) * self.rate)

    @property
    def now_ms(self) -> int:
        """Milliseconds since the answer, by the clock."""
        return round((self._loop.time() - self._answered) * 1000)

    async def run(self) -> None:
        """Tick on an absolute schedule until cancelled; a late tick is made up for at once, never skipped."""
        tick = 0
        # Ticks that lie before this are made up for at once: nothing was late, there was no connection yet.
        began = self._loop.time()
        while True:
            tick += 1
            due = self._answered + tick * TICK_S
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            self._recorder.lateness(self._loop.time() - max(due, began), TICK_S)
            spoken = self.mouth.next_chunk(self._tick_samples)
            end = tick * self._tick_samples
            self.playout.advance(end)
            heard = bytes(self.playout.heard[2 * (end - self._tick_samples) : 2 * end])
            self.ear.feed(heard)
            if self.connection is not None:
                await self.connection.send_audio(interleave(spoken, heard) if self._media.channels == 2 else spoken)
            self.moved.set()

    def receive(self, message: Message) -> None:
        """A message from the streamer, the moment it arrives."""
        try:
            incoming = parse(message, acknowledged=self._media.dialect == "json")
            match incoming:
                case StreamAudio():
                    self._stream(incoming)
                case Control():
                    self._control(incoming)
                case Acknowledgement():
                    shown = incoming.event if incoming.message is None else f"{incoming.event}: {incoming.message}"
                    self._recorder.note(self.now_ms, "streamer", shown)
        except WireViolation as violation:
            self._recorder.violation(self.now_ms, str(violation))
        self.moved.set()

    def silence(self) -> None:
        """Stop what plays and forget what waits."""
        self.playout.silence(self.now)
        for task in self._fetches.values():
            task.cancel()

    async def aclose(self) -> None:
        """End what is still being fetched."""
        tasks = list(self._fetches.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _stream(self, audio: StreamAudio) -> None:
        at, playing = self.now, self._playing()
        pcm = audio.decode(self.rate)
        self.playout.enqueue(pcm, at)
        length = len(pcm) // 2 * 1000 // self.rate
        self._recorder.command(self.now_ms, at, "streamAudio", length, playing=playing)

    def _control(self, control: Control) -> None:
        playing = self._playing()
        self._recorder.command(self.now_ms, self.now, control.name, control.data, playing=playing)
        match control.name:
            case "play":
                self._play(str(control.data))
            case "break":
                self.silence()
            case "transfer":
                self.silence()
                self._on_transfer(str(control.data))
            case "digits":
                # Sent on to the other party; the caller hears nothing of them.
                return

    def _playing(self) -> bool:
        self.playout.advance(self.now)
        return self.playout.playing is not None

    def _play(self, url: str) -> None:
        playback = self.playout.reserve(self.now)
        task = asyncio.create_task(self._fetch(url, playback))
        self._fetches[playback] = task
        task.add_done_callback(lambda _: self._fetches.pop(playback, None))

    async def _fetch(self, url: str, playback: Playback) -> None:
        try:
            pcm = await asyncio.to_thread(decode_file, await self._download(url), self.rate)
        except (FetchError, AudioError) as error:
            self.playout.discard(playback)
            self._recorder.violation(self.now_ms, f"play {url}: {error}")
        else:
            self.playout.fill(playback, pcm, self.now)
        self.moved.set()

    async def _download(self, url: str) -> bytes:
        """Raises FetchError."""
        body = bytearray()
        try:
            async with self._client.stream("GET", url, timeout=FETCH_TIMEOUT, follow_redirects=True) as response:
                if not response.is_success:
                    raise FetchError(f"HTTP {response.status_code}")
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > LARGEST_FILE:
                        raise FetchError(f"larger than {LARGEST_FILE} bytes")
        except httpx.HTTPError as error:
            raise FetchError(f"{type(error).__name__}: {error}") from error
        return bytes(body)
