"""One session's caller, from the media server's messages to what is recorded, fed and told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callbus import g711, media
from callbus.broker import Broker
from streamer.bus import Outbox
from streamer.caller import Caller
from streamer.context import Context
from streamer.feed import Feed
from streamer.inbound import CallEnd, Event, Unreadable
from streamer.metrics import Counters
from streamer.presses import PRESSES_AT_ONCE
from streamer.recording import Disk, Recorder
from streamer.settings import StreamerSettings
from support.media_wire import rtp
from support.tones import tones

FRAME = bytes(range(1, 161)) * 2
EPOCH = 1_700_000_000.0


class Marks(Outbox):
    """An outbox that says how often it was asked to write."""

    count = 0

    def mark(self, feed: Feed) -> None:
        self.count += 1
        super().mark(feed)


class Heard(Recorder):
    """A recorder that keeps the caller's audio as it came, too."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        super().__init__(disk, folder, session="m1", streamer="s1", sample_rate=8000, started=EPOCH)
        self.frames: list[bytes] = []

    def caller(self, at: float, pcm: bytes) -> None:
        self.frames.append(pcm)
        super().caller(at, pcm)


class Session:
    """What a caller is part of."""

    def __init__(self, broker: Broker, disk: Disk, folder: Path) -> None:
        settings = StreamerSettings.model_validate({"calls_dir": folder})
        self.counters = Counters()
        self.outbox = Marks(broker, self.counters, lambda _: None)
        self.feed = Feed()
        self.recorder = Heard(disk, folder)
        self.told: list[media.MediaEvent] = []
        self.others: list[Event] = []
        self._context = Context(settings, "s1", broker, self.outbox, self.counters, disk)
        self.caller = self.another()

    def another(self, sample_rate: int = 8000, channels: int = 1) -> Caller:
        return Caller(
            self._context,
            feed=self.feed,
            recorder=self.recorder,
            sample_rate=sample_rate,
            channels=channels,
            epoch_offset=EPOCH,
            tell=self.told.append,
            other=self.others.append,
        )

    def fed(self) -> list[tuple[int, bytes]]:
        """Position (ms) and samples of what waits to be written."""
        return [(entry.position_ms, b"".join(entry.pcm)) for entry in self.feed.take() if not isinstance(entry, dict)]

    @property
    def keys(self) -> str:
        return "".join(event.digit for event in self.told if isinstance(event, media.Dtmf))


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    broker, disk = Broker("redis://127.0.0.1:1/0"), Disk()
    yield Session(broker, disk, tmp_path)
    disk.close()
    await broker.aclose()


async def test_audio_waits_until_the_session_is_live_and_is_written_from_then_on(session: Session) -> None:
    for _ in range(3):
        session.caller.on_binary(FRAME)
    assert session.outbox.count == 0
    session.caller.live = True
    for _ in range(2):
        session.caller.on_binary(FRAME)
    assert session.outbox.count == 2
    assert session.fed() == [(0, FRAME * 5)]
    session.caller.close()
    session.caller.on_binary(FRAME)
    assert session.outbox.count == 2
    assert session.fed() == [(100, FRAME)]
    assert session.counters.frames_in == 6


async def test_who_is_not_listened_to_is_still_recorded(session: Session) -> None:
    session.caller.live = session.feed.muted = True
    press = tones("5", 8000, on_ms=100, off_ms=40)
    for frame in (press[start : start + 320] for start in range(0, len(press), 320)):
        session.caller.on_binary(frame)
    assert (session.fed(), session.keys, session.outbox.count) == ([], "", 0)
    assert b"".join(session.recorder.frames) == press


async def test_a_key_that_is_heard_and_signalled_counts_once_and_is_not_fed_as_sound(session: Session) -> None:
    press = tones("4", 8000, on_ms=100, off_ms=40)
    session.caller.on_binary(press)
    session.caller.on_text('{"event": "dtmf", "digit": "4"}')
    session.caller.on_text('{"event": "dtmf", "digit": "4"}')
    session.caller.on_text('{"event": "dtmf", "digit": "9"}')
    assert session.keys == "449"
    assert all(isinstance(event, media.Dtmf) and event.at > EPOCH for event in session.told)
    ((position, pcm),) = session.fed()
    assert (position, len(pcm)) == (0, len(press))
    assert not any(pcm[640:])
    assert b"".join(session.recorder.frames) == press


async def test_a_flood_of_presses_is_cut_off_and_counted(session: Session) -> None:
    for _ in range(20):
        assert session.caller.on_text(json.dumps({"event": "dtmf", "digits": "1" * 32})) == 32
    assert len(session.keys) == pytest.approx(PRESSES_AT_ONCE, abs=10)
    assert session.counters.presses_dropped == 640 - len(session.keys)


async def test_what_is_neither_audio_nor_a_key_is_handed_over_in_order(session: Session) -> None:
    session.caller.on_text("{")
    session.caller.on_text('{"event": "call_end"}')
    assert [type(event) for event in session.others] == [Unreadable, CallEnd]
    assert (session.fed(), session.told) == ([], [])


async def test_what_is_held_back_counts_at_the_end_and_what_rtp_lost_is_counted_once(session: Session) -> None:
    for sequence in (0, 1, 2, 3, 4, 2, 6):
        session.caller.on_binary(rtp(sequence, g711.ulaw_encode(FRAME), timestamp=160 * sequence))
    ((position, pcm),) = session.fed()
    assert (position, len(pcm)) == (0, 5 * 320)
    session.caller.flush()
    ((position, pcm),) = session.fed()
    assert (position, len(pcm)) == (100, 2 * 320)
    assert (session.counters.rtp_concealed, session.counters.rtp_dropped) == (0, 0)
    for _ in range(2):
        session.caller.close()
    assert (session.counters.rtp_concealed, session.counters.rtp_dropped) == (1, 1)


async def test_a_callers_rate_and_channels(session: Session) -> None:
    session.another(16000, 2).on_binary(b"\1\0\2\0" * 320)
    assert session.fed() == [(0, b"\1\0" * 320)]
