"""The stereo timeline on virtual time, and what the recorder leaves on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from callbus.pcm import bytes_in
from streamer.recording import Disk, Recorder
from streamer.recording.timeline import LATEST_MS, StereoTimeline

RATE = 8000
FRAME = 160
START = 1_700_000_000.0


def numbered(first: int, count: int = FRAME) -> bytes:
    """Samples that tell their own place: 1, 2, 3, …"""
    return ((np.arange(first, first + count) % 30_000) + 1).astype("<i2").tobytes()


def channels(stereo: bytes) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    samples = np.frombuffer(stereo, "<i2").reshape(-1, 2)
    return samples[:, 0], samples[:, 1]


def send(timeline: StereoTimeline, arrivals: list[float]) -> None:
    """Frame n of the caller arrives at arrivals[n] (s after the start)."""
    for number, at in enumerate(arrivals):
        timeline.caller(START + at, numbered(number * FRAME))


def test_steady_frames_lie_where_they_belong() -> None:
    timeline = StereoTimeline(RATE, START)
    send(timeline, [0.02 * (n + 1) for n in range(100)])
    left, right = channels(timeline.render(START + 2))
    assert np.array_equal(left, np.arange(1, 16_001))
    assert not right.any()


def test_jitter_makes_no_holes() -> None:
    timeline = StereoTimeline(RATE, START)
    jitter = [0.0, 0.055, 0.03, 0.01, 0.05]
    send(timeline, [0.02 * (n + 1) + jitter[n % 5] for n in range(100)])
    left, _ = channels(timeline.render(START + 2))
    assert np.array_equal(left, np.arange(1, 16_001))


def test_a_burst_after_a_stall_fills_the_time_of_the_stall() -> None:
    timeline = StereoTimeline(RATE, START)
    on_time = [0.02 * (n + 1) for n in range(100)]
    send(timeline, [max(at, 1.4) if 0.6 < at < 1.4 else at for at in on_time])
    left, _ = channels(timeline.render(START + 2))
    assert np.array_equal(left, np.arange(1, 16_001))


def test_a_pause_of_the_sender_becomes_silence() -> None:
    timeline = StereoTimeline(RATE, START)
    send(timeline, [0.02 * (n + 1) + (3.0 if n >= 50 else 0.0) for n in range(100)])
    left, _ = channels(timeline.render(START + 5))
    assert np.array_equal(left[:8000], np.arange(1, 8001))
    assert not left[8000:32_000].any()
    assert np.array_equal(left[32_000:], np.arange(8001, 16_001))


def test_audio_that_comes_too_fast_does_not_run_away() -> None:
    timeline = StereoTimeline(RATE, START)
    send(timeline, [0.01 * (n + 1) for n in range(1000)])  # twice real time, for 10 s
    left, _ = channels(timeline.render(START + 10))
    assert timeline.left_out_samples == pytest.approx(1000 * FRAME - 80_000, rel=0.02)
    newest = int(left[-1])
    assert newest > 0
    # 1000 frames have arrived: what is placed last is what came last, but for the slack.
    assert (1000 * FRAME % 30_000) - newest < LATEST_MS * 8 + 3 * FRAME


def test_the_bot_lies_where_it_is_heard_and_a_cut_silences_it() -> None:
    timeline = StereoTimeline(RATE, START)
    timeline.bot(START + 0.5, numbered(0, 8000))
    timeline.bot(START + 1.5000001, numbered(8000, 8000))
    timeline.cut_bot(START + 1.75)
    timeline.bot(START + 2.0, numbered(0, 800))
    _, right = channels(timeline.render(START + 3))
    assert not right[:4000].any()
    assert np.array_equal(right[4000:14_000], np.arange(1, 10_001))
    assert not right[14_000:16_000].any()
    assert np.array_equal(right[16_000:16_800], np.arange(1, 801))
    assert not right[16_800:].any()


@given(
    st.lists(st.integers(0, 120), min_size=1, max_size=120),
    st.lists(st.integers(1, 900), min_size=1, max_size=8),
)
@settings(max_examples=100, deadline=None)
def test_rendering_in_blocks_is_rendering_at_once(gaps_ms: list[int], block_ms: list[int]) -> None:
    arrivals: list[float] = []
    at = 0.02
    for gap in gaps_ms:
        at += gap / 1000
        arrivals.append(at)
    whole, blocks = StereoTimeline(RATE, START), StereoTimeline(RATE, START)
    for timeline in (whole, blocks):
        send(timeline, arrivals)
        timeline.bot(START + 0.3, numbered(0, 5000))
    expected = whole.render(START + at)
    rendered = b""
    until = START
    for ms in block_ms:
        until = min(until + ms / 1000, START + at)
        rendered += blocks.render(until)
    rendered += blocks.render(START + at)
    assert rendered == expected
    left, _ = channels(expected)
    heard = left[left > 0]
    assert len(set(heard.tolist())) == len(heard), "no sample twice"
    assert len(expected) == round(at * RATE) * 4


@pytest.fixture
def disk() -> Disk:
    return Disk()


def recorder(disk: Disk, folder: Path) -> Recorder:
    return Recorder(disk, folder, session="s1", streamer="st1", sample_rate=RATE, started=START)


def feed(recorder: Recorder, first: int, count: int) -> None:
    for number in range(first, first + count):
        recorder.caller(START + 0.02 * (number + 1), numbered(number * FRAME))


def test_a_recording_begins_where_the_session_began(disk: Disk, tmp_path: Path) -> None:
    tape = recorder(disk, tmp_path)
    feed(tape, 0, 150)
    tape.bot(START + 1.0, numbered(0, 4000))
    tape.decide(True, "call-1", START + 3)
    feed(tape, 150, 50)
    tape.close(START + 4)
    disk.close()
    part = tmp_path / "call-1" / f"{int(START * 1000)}-s1.part"
    left, right = channels(part.read_bytes())
    assert np.array_equal(left, np.arange(32_000) % 30_000 + 1)
    assert np.array_equal(right[8000:12_000], np.arange(1, 4001))
    sidecar = json.loads(part.with_suffix(".json").read_text())
    assert sidecar == {"sample_rate": RATE, "started_at": START, "session": "s1", "streamer": "st1"}


def test_a_late_decision_keeps_the_last_ten_seconds(disk: Disk, tmp_path: Path) -> None:
    tape = recorder(disk, tmp_path)
    feed(tape, 0, 1500)
    tape.decide(True, "call-1", START + 30)
    tape.close(START + 30)
    disk.close()
    (part,) = (tmp_path / "call-1").glob("*.part")
    started_at = json.loads(part.with_suffix(".json").read_text())["started_at"]
    assert START + 18.9 <= started_at <= START + 20.1
    left, _ = channels(part.read_bytes())
    assert len(left) == round((START + 30 - started_at) * RATE)
    assert left[0] == round((started_at - START) * RATE) % 30_000 + 1


def test_nothing_is_left_of_a_call_that_is_not_recorded(disk: Disk, tmp_path: Path) -> None:
    tape = recorder(disk, tmp_path)
    feed(tape, 0, 100)
    tape.decide(False, "call-1", START + 2)
    feed(tape, 100, 100)
    tape.close(START + 4)
    disk.close()
    assert list(tmp_path.iterdir()) == []


def test_blocks_are_written_while_the_call_runs(disk: Disk, tmp_path: Path) -> None:
    tape = recorder(disk, tmp_path)
    tape.decide(True, "call-1", START)
    feed(tape, 0, 500)
    disk.close()
    (part,) = (tmp_path / "call-1").glob("*.part")
    assert part.stat().st_size >= 7 * RATE * 4


def test_a_disk_that_fails_is_counted_and_hurts_nobody(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "call-1").write_text("not a folder")
    tape = recorder(disk, tmp_path)
    tape.decide(True, "call-1", START)
    feed(tape, 0, 200)
    tape.close(START + 4)
    disk.close()
    assert disk.errors >= 2


def test_what_the_disk_is_too_slow_for_becomes_silence(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.recording.disk.MOST_WAITING_BYTES", 0)
    tape = recorder(disk, tmp_path)
    tape.decide(True, "call-1", START)
    feed(tape, 0, 150)
    monkeypatch.undo()
    feed(tape, 150, 100)
    tape.close(START + 5)
    disk.close()
    (part,) = (tmp_path / "call-1").glob("*.part")
    left, _ = channels(part.read_bytes())
    assert len(left) == 5 * RATE, "it is as long as the session"
    assert not left[: bytes_in(1000, RATE) // 2].any()
    assert left[-1] == (5 * RATE - 1) % 30_000 + 1
    assert disk.dropped_bytes > 0
