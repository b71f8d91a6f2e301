"""The scale bench's parts: messages, callers, the load on a real WebSocket server, figures, the plot, the profile."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.server import ServerProtocol

from bench.errors import BenchError
from bench.scale import Plan, run, wire
from bench.scale import rows as figures
from bench.scale.caller import PATIENCE_S, THINKS_S, Caller, Tally
from bench.scale.load import Connection
from bench.scale.plot import line_plot
from bench.scale.sampler import Sampler
from bench.scale.system import AGE, MISSED, Snapshot
from bench.scale.usage import Usage, machine_cpu_s, usage
from support.waiting import until

SPEECH = wire.Clip([b"speech %d" % number for number in range(50)], 45)
NOISE = wire.Clip([b"noise"] * 7, 0)
ANSWER_S = 2.0
ANSWER = {
    "type": "streamAudio",
    "data": {
        "audioDataType": "raw",
        "sampleRate": 8000,
        "audioData": base64.b64encode(bytes(int(ANSWER_S * 16000))).decode(),
    },
}


def test_a_message_is_what_websockets_reads() -> None:
    pcm = bytes(range(256)) + bytes(64)
    server = ServerProtocol(state=1)  # type: ignore[arg-type]
    server.receive_data(wire.message(pcm))
    (frame,) = server.events_received()
    assert bytes(frame.data) == pcm  # type: ignore[union-attr]
    assert wire.message(pcm) != wire.message(pcm)
    with pytest.raises(ValueError, match="expected 126"):
        wire.message(bytes(100))


def test_clips_are_recordings_up_to_their_end() -> None:
    clips = wire.clips()
    assert len(clips) == len(wire.SPOKEN)
    for clip in clips:
        assert 1.5 < len(clip.messages) * wire.FRAME_S < 4
        assert 0 < clip.ends <= len(clip.messages)
        assert {len(message) for message in clip.messages} == {wire.FRAME_BYTES + 8}


class Line:
    """A caller on a clock of 20 ms."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.caller = Caller([SPEECH], NOISE, self.tally, seed=1)
        self.now = 100.0

    def until(self, message: bytes, within: float) -> float:
        """Seconds until the caller sends this."""
        began = self.now
        while self.now < began + within:
            self.now += 0.02
            if self.caller.next_message(self.now) == message:
                return self.now - began
        raise AssertionError(f"{message!r} was not sent within {within} s")

    def silent_for(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 0.02
            assert self.caller.next_message(self.now) == b"noise"


def test_a_caller_listens_until_told_to_talk() -> None:
    line = Line()
    line.silent_for(30)
    line.caller.talk(True, line.now)
    line.until(b"speech 0", 6.1)
    line.until(b"speech 44", 1.0)
    assert line.tally.asked == 1
    line.caller.talk(False, line.now)
    line.until(b"speech 49", 1.0)
    line.silent_for(30)


def test_a_caller_speaks_again_a_moment_after_the_answer_was_heard() -> None:
    line = Line()
    line.caller.talk(True, line.now)
    line.until(b"speech 49", 10)
    line.silent_for(1.0)
    line.caller.heard(json.dumps(ANSWER), line.now)
    line.now += 0.5
    line.caller.heard(json.dumps(ANSWER), line.now)
    waited = line.until(b"speech 0", 10)
    assert THINKS_S[0] - 0.1 <= waited - (2 * ANSWER_S - 0.5) <= THINKS_S[1] + 0.1
    assert (line.tally.answered, line.tally.unanswered) == (1, 0)
    (answer_ms,) = line.tally.answers_ms
    assert 1000 <= answer_ms <= 1200
    assert line.tally.heard_ms == pytest.approx(2000 * ANSWER_S, abs=2)


def test_a_caller_asks_again_when_no_answer_comes() -> None:
    line = Line()
    line.caller.talk(True, line.now)
    line.until(b"speech 44", 10)
    assert PATIENCE_S - 0.1 <= line.until(b"speech 0", 20) <= PATIENCE_S + 0.1
    assert (line.tally.asked, line.tally.answered, line.tally.unanswered) == (1, 0, 1)


def test_what_is_not_ringovers_is_counted() -> None:
    line = Line()
    for said in ({"event": "break"}, {"event": "transfer", "data": 33184800000}, {"event": "call_started"}, {}):
        line.caller.heard(json.dumps(said), line.now)
    assert line.tally.strange == 2


@pytest.fixture
async def got() -> AsyncIterator[tuple[str, list[Any]]]:
    """A WebSocket server, and what it gets."""
    messages: list[Any] = []

    async def handler(socket: ServerConnection) -> None:
        async for message in socket:
            messages.append(message)
            if message == "close":
                await socket.close(1011)

    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/ws", messages


async def _open(url: str, tally: Tally) -> Connection:
    clip = wire.line_noise(1)
    connection = Connection(url, Caller([clip], clip, tally, seed=1), tally)
    port = int(url.rpartition(":")[2].removesuffix("/ws"))
    await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", port)
    await connection.opened
    return connection


async def test_a_connection_carries_audio_and_measures_how_it_is_read(got: tuple[str, list[Any]]) -> None:
    url, messages = got
    tally = Tally()
    connection = await _open(url, tally)
    connection.send_text('{"callId": "a"}')
    for _ in range(100):
        connection.tick(0.0)
    async with asyncio.timeout(5):
        await until(lambda: len(tally.pings_ms) >= 2)
        connection.hang_up()
        await connection.closed
    assert messages[0] == '{"callId": "a"}'
    assert [len(message) for message in messages[1:]] == [wire.FRAME_BYTES] * 100
    assert messages[1] != messages[2]
    assert (tally.sent, tally.lost) == (100, 0)
    assert all(0 < ms < 2000 for ms in tally.pings_ms)
    assert tally.take()["pings_ms"]
    assert tally.take() == tally.take()


async def test_a_call_that_the_server_ends_is_lost(got: tuple[str, list[Any]]) -> None:
    tally = Tally()
    connection = await _open(got[0], tally)
    connection.send_text("close")
    async with asyncio.timeout(5):
        await connection.closed
    assert tally.lost == 1


def _snapshot(at: float, frames: int, cpu_s: float, *, missed: int = 0, ages: tuple[int, int] = (0, 0)) -> Snapshot:
    used = {name: Usage(cpu_s, 1 << 20) for name in ("streamer", "ai-worker-1", "ai-worker-2", "redis")}
    counters = {"streamer_frames_in_total": float(frames), **dict.fromkeys(figures.LOST, 0.0)}
    worker = {f"{AGE} 0.01": float(ages[0]), f"{AGE} 0.05": float(sum(ages)), f"{AGE} +Inf": float(sum(ages))}
    load: dict[str, Any] = {
        "sent": frames,
        "lost": 0,
        "not_sent": 0,
        "strange": 0,
        "asked": frames // 100,
        "answered": frames // 100,
        "unanswered": 0,
    }
    load |= {"pings_ms": [1.0, 3.0], "late_ms": [0.5], "answers_ms": [900.0]}
    redis = {"total_net_input_bytes": 100.0 * frames, "total_net_output_bytes": 0.0, "used_memory": 1024.0 * frames}
    redis |= {"cmdstat_xadd usec": 2.0 * frames, "cmdstat_xadd calls": frames}
    workers = [worker | {MISSED: float(missed)}, worker | {MISSED: 0.0}]
    return Snapshot(at, 1e9 + at, used, at, redis, counters, workers, load)


def _row(**after: Any) -> figures.Row:
    before, end = _snapshot(0, 0, 1.0), replace(_snapshot(10, 5000, 1.1, ages=(2300, 200)), **after)
    window = figures.window(10, before, end)
    return figures.row(10, window, window, before, end, {"in": [5.0], "out": [7.0, 9.0]})


def test_figures_between_two_snapshots() -> None:
    row = _row()
    assert row.talking.streamer_us == pytest.approx(20.0)
    assert row.talking.worker_us == pytest.approx(40.0)
    assert row.talking.cores["others"] == pytest.approx(1 - 4 * 0.01)
    assert row.talking.hop_in_ms == {"p50": 10.0, "p95": 50.0, "p99": 50.0, "count": 5000}
    assert (row.talking.redis_in, row.talking.redis_commands) == (5000, {"xadd": 2.0})
    assert row.hop_p95_ms == 50.0
    assert row.broken == ["p95 hop 50 ms"]
    assert (row.asked, row.answered, row.lost) == (50, 50, 0)
    assert figures.memory(10, _snapshot(0, 0, 0), _snapshot(1, 50, 0)) == {"streamer": 0, "workers": 0, "redis": 5}


def test_what_is_lost_is_counted_by_its_kind() -> None:
    end = _snapshot(10, 5000, 1.1, ages=(2500, 0))
    assert _row(workers=end.workers).broken == []
    (worker, other) = end.workers
    assert _row(workers=[worker | {MISSED: 3.0}, other]).talking.lost == {"missed by the workers": 3}
    assert _row(load=end.load | {"sent": 5000 + 51}).talking.lost == {"sent, and not read in time": 51}
    assert _row(load=end.load | {"sent": 5000 + 49}).talking.lost == {}
    few = _row(workers=end.workers, load=end.load | {"unanswered": 3})
    assert few.broken == ["of 50 questions 3 had no answer in time"]


def test_no_frames_is_no_figure() -> None:
    with pytest.raises(BenchError, match="no frame reached the streamer"):
        figures.window(1, _snapshot(0, 5, 0), _snapshot(1, 5, 0))
    with pytest.raises(BenchError, match="no frame reached a worker"):
        figures.window(1, _snapshot(0, 5, 0), _snapshot(1, 9, 1))


def test_the_goals_are_judged_at_the_most_calls_that_held() -> None:
    fine = _row(workers=_snapshot(10, 5000, 1.1, ages=(2500, 0)).workers)
    rows = [replace(fine, calls=100), replace(fine, calls=200), replace(_row(), calls=300), replace(fine, calls=400)]
    best = figures.highest(rows)
    assert best is not None
    assert best.calls == 200
    goals = figures.goals(rows)
    assert [goal.passed for goal in goals] == [True, False, True, True]
    assert "at 200 calls" in goals[0].line
    assert [goal.passed for goal in figures.goals(rows[2:])][-1] is False
    assert len({len(line.split("  ")) > 3 for line in figures.table(rows)[:5]}) == 1


def test_usage_is_what_a_process_used() -> None:
    before, machine = usage(os.getpid()), machine_cpu_s()
    spun = 0
    while usage(os.getpid()).cpu_s < before.cpu_s + 0.05:
        spun += 1
    assert spun
    assert before.rss > 1 << 20
    assert machine_cpu_s() >= machine
    with pytest.raises(BenchError, match="can't read"):
        usage(2**22 + 1)


def test_the_plot_is_an_image_with_a_line_for_each_name() -> None:
    drawn = ElementTree.fromstring(line_plot("a < b", [10, 100], {"streamer": [30, 20], "worker": [90, 60]}, "us"))
    lines = [part.attrib["points"] for part in drawn.iter("{http://www.w3.org/2000/svg}polyline")]
    assert len(lines) == 2
    xs = [float(point.split(",")[0]) for point in lines[0].split()]
    assert all(left < right for left, right in pairwise(xs))
    ys = [float(point.split(",")[1]) for point in lines[1].split()]
    assert ys[0] < ys[1]
    with pytest.raises(ValueError, match="nothing to draw"):
        line_plot("", [], {}, "us")


def _busy(until: int) -> int:
    return sum(number * number for number in range(until))


def test_the_sampler_finds_the_function_that_costs() -> None:
    sampler = Sampler()
    previous = signal.signal(signal.SIGPROF, sampler.sample)
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    try:
        for _ in range(10):
            _busy(200_000)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
    report = sampler.report()
    own = report.split("by function, its own code and C code")[1].splitlines()[1]
    assert "_busy" in own
    assert sys.platform != "linux" or Path(__file__).name in report


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_the_whole_bench_with_a_handful_of_calls(tmp_path: Path) -> None:
    plan = Plan((3,), workers=1, idle_s=0.2, settle_s=1, listening_s=1, warm_up_s=5, talking_s=8, keep_going=True)
    result = await run(plan, work=tmp_path / "work", out=tmp_path, sampled=tmp_path / "samples")
    written = json.loads((tmp_path / "bench.json").read_text())
    assert [row["calls"] for row in written["rows"]] == [3]
    for row in written["rows"]:
        assert row["answered"] >= 1
        assert row["talking"]["frames"] >= 7.9 * 50 * row["calls"] * 0.9
        assert row["talking"]["hop_in_ms"]["count"] > 0.8 * row["talking"]["frames"]
        assert row["held"] == [row["calls"]]
        assert set(row["talking"]["cores"]) >= {
            "streamer",
            "ai-worker-1",
            "redis",
            "webhook-gateway",
            "load",
            "providers",
        }
        assert not row["talking"]["lost"]
    assert written["versions"]["websockets"]
    assert len(written["goals"]) == len(result.goals) == 4
    ElementTree.parse(tmp_path / "scale.svg")
    assert "MediaReader._read" in (tmp_path / "samples" / "ai-worker-1.txt").read_text()
    assert "MediaConnection" in (tmp_path / "samples" / "streamer.txt").read_text()
