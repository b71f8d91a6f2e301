"""The playout clock on virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbus.media import Playback
from callbus.pcm import bytes_in
from streamer.playout import ABANDONED_S, BREAK_GRACE_S, FIRST_PIECE_MS, REFILL_S, File, Piece, PlayoutClock

RATE = 8000
BYTES_PER_S = RATE * 2


def audio(ms: float, fill: int = 1) -> bytes:
    return bytes([fill]) * bytes_in(ms, RATE)


def at(time: float, state: Literal["started", "finished", "cut", "idle"], *rest: Any) -> Playback:
    """An event at about this time."""
    about: Any = pytest.approx(time)
    return Playback(about, state, *rest)


@dataclass
class Line:
    """A clock, the media server that plays what it sends, and what it reported."""

    clock: PlayoutClock = field(default_factory=lambda: PlayoutClock(RATE))
    now: float = 100.0
    pieces: list[tuple[float, Piece]] = field(default_factory=list)
    files: list[tuple[float, File]] = field(default_factory=list)
    events: list[Playback] = field(default_factory=list)
    wire: list[tuple[float, Piece | None]] = field(default_factory=list)
    """Pieces and breaks (None) in the order in which they were sent."""

    def speak(self, segment: str, pcm: bytes, last: bool = True) -> bool:
        accepted = self.clock.speak(self.now, segment, pcm, last)
        self.poll()
        return accepted

    def play(self, url: str) -> None:
        self.clock.play(self.now, File(url, ""))
        self.poll()

    def break_(self) -> bool:
        on_wire = self.clock.break_(self.now)
        if on_wire:
            self.wire.append((self.now, None))
        self.poll()
        return on_wire

    def take_over(self) -> None:
        self.clock.take_over(self.now)
        self.poll()

    def poll(self) -> None:
        outputs, events = self.clock.poll(self.now)
        self.events += events
        for output in outputs:
            if isinstance(output, Piece):
                self.pieces.append((self.now, output))
                self.wire.append((self.now, output))
            else:
                self.files.append((self.now, output))

    def run(self, seconds: float) -> None:
        """Let time pass, waking when the clock asks for it."""
        end = self.now + seconds
        while (wake := self.clock.next_wake()) is not None and wake <= end:
            assert wake >= self.now or wake == pytest.approx(self.now)
            self.now = max(wake, self.now)
            before = self.clock.next_wake()
            self.poll()
            assert self.clock.next_wake() != before, "the clock asked to be woken for nothing"
        self.now = end
        self.poll()

    def states(self) -> list[tuple[str, str]]:
        return [(event.state, event.segment) for event in self.events]


def test_a_whole_sentence_goes_out_at_once_and_is_heard_in_time() -> None:
    line = Line()
    line.speak("s1", audio(150))
    assert [(sent, piece.pcm) for sent, piece in line.pieces] == [(100.0, audio(150))]
    line.run(1)
    assert line.events == [
        Playback(100.0, "started", "s1", 0, 150, arrived_at=100.0, sent_at=100.0),
        at(100.15, "finished", "s1", 150, 150),
        at(100.15, "idle", "s1"),
    ]


def test_the_first_piece_waits_for_enough_speech() -> None:
    line = Line()
    line.speak("s1", audio(180), last=False)
    assert line.pieces == []
    line.now += 0.01
    line.speak("s1", audio(20), last=False)
    assert [piece.pcm for _, piece in line.pieces] == [audio(200)]


def test_pieces_grow_when_synthesis_is_faster_than_speech() -> None:
    line = Line()
    for _ in range(40):  # 8 s of speech, synthesised four times as fast
        line.speak("s1", audio(200), last=False)
        line.run(0.05)
    line.speak("s1", b"", last=True)
    line.run(10)
    lengths = [len(piece.pcm) / BYTES_PER_S for _, piece in line.pieces]
    assert sum(lengths) == 8.0
    assert len(lengths) <= 6
    assert lengths[0] == 0.2
    assert max(lengths) <= 5.0
    starts = [piece.start for _, piece in line.pieces]
    for (before, after), length in zip(pairwise(starts), lengths, strict=False):
        assert after == pytest.approx(before + length), "the pieces must follow each other without a gap"
    for sent, piece in line.pieces[1:]:
        assert piece.start - sent <= REFILL_S + 1e-9, "little may be sent ahead"
    assert line.clock.underruns == 0


def test_a_piece_may_hold_the_end_of_one_sentence_and_the_start_of_the_next() -> None:
    line = Line()
    line.speak("s1", audio(1000, 1), last=False)
    line.speak("s1", audio(300, 2), last=True)
    line.speak("s2", audio(500, 3), last=True)
    line.run(5)
    assert [piece.pcm for _, piece in line.pieces] == [audio(1000, 1), audio(300, 2) + audio(500, 3)]
    assert line.states() == [
        ("started", "s1"),
        ("finished", "s1"),
        ("started", "s2"),
        ("finished", "s2"),
        ("idle", "s2"),
    ]
    assert line.events[1].at == pytest.approx(101.3)
    assert line.events[2].at == pytest.approx(101.3)


def test_events_carry_the_time_they_happened_not_when_they_were_noticed() -> None:
    line = Line()
    line.speak("s1", audio(500))
    line.now += 3
    line.poll()
    assert [event.at for event in line.events] == [100.0, 100.5, 100.5]


def test_break_tells_what_was_heard_and_throws_the_rest_away() -> None:
    line = Line()
    line.speak("s1", audio(1000), last=False)
    line.speak("s1", audio(1000), last=False)
    line.speak("s2", audio(700))
    line.run(0.7)
    assert len(line.pieces) == 2  # one playing, one waiting
    assert line.break_() is True
    assert line.events[1:] == [
        at(100.7, "cut", "s1", 700, 2000),
        at(100.7, "cut", "s2", 0, 700),
        at(100.7, "idle", "s2"),
    ]
    assert line.speak("s1", audio(500)) is False
    assert line.speak("s2", b"") is False
    line.run(5)
    assert len(line.pieces) == 2, "nothing of the old audio is sent after a break"
    assert line.clock.late_chunks == 2
    line.speak("s3", audio(300))
    assert line.pieces[-1][1].start == line.now


def test_break_in_silence_is_answered_but_not_sent() -> None:
    line = Line()
    assert line.break_() is False
    assert line.states() == [("idle", "")]


def test_break_just_after_the_end_still_goes_on_the_wire() -> None:
    line = Line()
    line.speak("s1", audio(200))
    line.run(0.2 + BREAK_GRACE_S / 2)
    assert line.break_() is True
    assert line.states()[-2:] == [("idle", "s1"), ("idle", "s1")]
    line.run(BREAK_GRACE_S)
    assert line.break_() is False


def test_a_gap_in_the_synthesis_is_counted_and_starts_over() -> None:
    line = Line()
    line.speak("s1", audio(300), last=False)
    line.run(1)
    assert line.states() == [("started", "s1")], "it is not over: its end has not come"
    line.speak("s1", audio(100), last=False)
    assert len(line.pieces) == 1
    line.speak("s1", audio(100), last=False)
    assert len(line.pieces) == 2
    line.speak("s1", b"", last=True)
    line.run(1)
    assert line.clock.underruns == 1
    assert line.states() == [("started", "s1"), ("finished", "s1"), ("idle", "s1")]
    assert line.events[-1].at == pytest.approx(101.2)


def test_a_late_end_is_stamped_with_the_last_sample() -> None:
    line = Line()
    line.speak("s1", audio(300), last=False)
    line.run(1)
    line.speak("s1", b"", last=True)
    assert line.events[1:] == [
        at(100.3, "finished", "s1", 300, 300),
        at(100.3, "idle", "s1"),
    ]
    assert line.clock.underruns == 0


def test_a_segment_without_audio_is_finished_in_its_turn() -> None:
    line = Line()
    line.speak("s1", audio(200))
    line.speak("s2", b"")
    line.speak("s3", audio(200))
    line.run(2)
    assert line.states() == [
        ("started", "s1"),
        ("finished", "s1"),
        ("finished", "s2"),
        ("started", "s3"),
        ("finished", "s3"),
        ("idle", "s3"),
    ]


def test_segments_are_heard_one_after_the_other_when_their_audio_interleaves() -> None:
    line = Line()
    line.speak("s1", audio(300, 1), last=False)
    line.speak("s2", audio(300, 2), last=False)
    line.run(0.1)
    line.speak("s1", audio(300, 3), last=True)
    line.speak("s2", b"", last=True)
    line.run(3)
    assert b"".join(piece.pcm for _, piece in line.pieces) == audio(300, 1) + audio(300, 3) + audio(300, 2)


def test_a_segment_that_nobody_closes_gives_way_in_the_end() -> None:
    line = Line()
    line.speak("s1", audio(300, 1), last=False)
    line.speak("s2", audio(300, 2), last=True)
    line.run(0.3 + ABANDONED_S - 0.1)
    assert len(line.pieces) == 1
    line.run(1)
    assert line.states() == [
        ("started", "s1"),
        ("cut", "s1"),
        ("started", "s2"),
        ("finished", "s2"),
        ("idle", "s2"),
    ]


def test_take_over_lets_finish_what_was_sent() -> None:
    line = Line()
    line.speak("s1", audio(1000), last=False)
    line.speak("s1", audio(1000), last=True)
    line.speak("s2", audio(500))
    line.run(0.1)
    line.take_over()
    assert line.states() == [("started", "s1")]
    line.speak("n1", audio(300))
    line.run(5)
    assert [len(piece.pcm) for _, piece in line.pieces] == [len(audio(1000)), len(audio(300))]
    assert line.events[1:3] == [
        at(101.0, "cut", "s1", 1000, 2000),
        at(101.0, "cut", "s2", 0, 500),
    ]
    assert line.states()[3:] == [("started", "n1"), ("finished", "n1"), ("idle", "n1")]


def test_take_over_in_silence_is_answered_at_once() -> None:
    line = Line()
    line.take_over()
    assert line.states() == [("idle", "")]


def test_take_over_after_a_gap_cuts_the_unfinished_segment_at_once() -> None:
    line = Line()
    line.speak("s1", audio(300), last=False)
    line.run(1)
    line.take_over()
    assert line.states() == [("started", "s1"), ("cut", "s1"), ("idle", "s1")]


def test_a_file_keeps_its_place_behind_what_was_said_before() -> None:
    line = Line()
    line.speak("s1", audio(2000))
    line.play("http://host/hold.mp3")
    assert line.files == []
    line.run(2 - REFILL_S)
    assert [sent for sent, _ in line.files] == [pytest.approx(101.6)]
    line.speak("s2", audio(500))
    assert len(line.pieces) == 1, "speech waits for the file's turn"
    line.run(REFILL_S)
    assert len(line.pieces) == 2
    line.run(5)
    assert line.states()[-1] == ("idle", "s2")


def test_a_file_does_not_hold_back_idle_and_is_broken_off() -> None:
    line = Line()
    line.speak("s1", audio(500))
    line.play("http://host/hold.mp3")
    line.run(10)
    assert line.states() == [("started", "s1"), ("finished", "s1"), ("idle", "s1")]
    assert line.break_() is True
    line.run(1)
    assert line.break_() is False


def test_a_break_throws_a_file_away_that_waits() -> None:
    line = Line()
    line.speak("s1", audio(5000))
    line.play("http://host/hold.mp3")
    line.break_()
    line.run(10)
    assert line.files == []


def test_files_follow_each_other() -> None:
    line = Line()
    line.play("http://host/1.mp3")
    line.play("http://host/2.mp3")
    assert [file.url for _, file in line.files] == ["http://host/1.mp3", "http://host/2.mp3"]


chunks = st.tuples(st.just("speak"), st.integers(0, 900), st.booleans())
waits = st.tuples(st.just("wait"), st.integers(0, 3000), st.just(False))
late_polls = st.tuples(st.just("stall"), st.integers(0, 1500), st.just(False))
breaks = st.tuples(st.sampled_from(["break", "take_over"]), st.just(0), st.just(False))


def most_at_the_media_server(line: Line) -> int:
    """Play what was sent as the media server would: in the order of arrival, silent from a break on.

    The largest number of pieces that it had at a time, the one that plays included.
    """
    most = 0
    ends: list[float] = []
    for now, piece in line.wire:
        if piece is None:
            ends.clear()
            continue
        ends = [end for end in ends if end > now + 1e-9]
        start = ends[-1] if ends else now
        assert start == pytest.approx(piece.start, abs=1e-6), "the clock and the media server must agree"
        ends.append(start + len(piece.pcm) / BYTES_PER_S)
        most = max(most, len(ends))
    return most


def play_script(script: list[tuple[str, int, bool]]) -> tuple[Line, dict[str, bytes], set[str]]:
    """Run a script; what was pushed by segment, and which segments were closed."""
    line = Line()
    pushed: dict[str, bytes] = {}
    closed: set[str] = set()
    number = 0
    fill = 0
    for action, amount, flag in script:
        match action:
            case "speak":
                fill = fill % 250 + 1
                name = f"s{number}"
                if line.speak(name, audio(amount, fill), last=flag):
                    pushed[name] = pushed.get(name, b"") + audio(amount, fill)
                if flag:
                    closed.add(name)
                    number += 1
            case "wait":
                line.run(amount / 1000)
            case "stall":
                line.now += amount / 1000
                line.poll()
            case "break":
                line.break_()
                number += 1
            case "take_over":
                line.take_over()
                number += 1
    if f"s{number}" in pushed and f"s{number}" not in closed:
        line.speak(f"s{number}", b"", last=True)
    line.run(600)
    return line, pushed, closed


@given(st.lists(st.one_of(chunks, waits, late_polls), max_size=40))
@settings(max_examples=300, deadline=None)
def test_without_a_break_everything_is_heard_in_order(script: list[tuple[str, int, bool]]) -> None:
    line, pushed, _ = play_script(script)
    assert b"".join(piece.pcm for _, piece in line.pieces) == b"".join(pushed.values())
    finished = [event for event in line.events if event.state == "finished"]
    assert [event.segment for event in finished] == list(pushed)
    for event in finished:
        total = len(pushed[event.segment]) * 1000 // BYTES_PER_S
        assert (event.heard_ms, event.total_ms) == (total, total)
    if pushed:
        assert line.states()[-1][0] == "idle"
    assert line.clock.next_wake() is None


@given(st.lists(st.one_of(chunks, chunks, waits, late_polls, breaks), max_size=50))
@settings(max_examples=500, deadline=None)
def test_whatever_happens(script: list[tuple[str, int, bool]]) -> None:
    line, pushed, _ = play_script(script)
    assert most_at_the_media_server(line) <= 2, "at most one piece plays and one waits"

    sent = b"".join(piece.pcm for _, piece in line.pieces)
    everything = b"".join(pushed.values())
    assert len(sent) <= len(everything)
    assert all(len(piece.pcm) <= 5 * BYTES_PER_S for _, piece in line.pieces)

    outcomes: dict[str, list[str]] = {}
    for event in line.events:
        if event.state != "idle":
            outcomes.setdefault(event.segment, []).append(event.state)
        assert 0 <= event.heard_ms <= event.total_ms
        if event.state in ("cut", "finished"):
            assert event.total_ms <= len(pushed[event.segment]) * 1000 // BYTES_PER_S
    assert set(outcomes) == set(pushed)
    for states in outcomes.values():
        assert states in (["started", "finished"], ["started", "cut"], ["finished"], ["cut"])
    heard = sum(event.heard_ms for event in line.events if event.state in ("cut", "finished"))
    assert heard <= len(sent) * 1000 / BYTES_PER_S
    times = [event.at for event in line.events if event.state == "started"]
    assert times == sorted(times)
    if pushed:
        assert line.states()[-1][0] == "idle"
    assert line.clock.next_wake() is None


@given(st.lists(st.tuples(st.integers(1, 4000), st.booleans()), min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_idle_comes_once_and_pieces_are_worth_a_playback(sentences: list[tuple[int, bool]]) -> None:
    line = Line()
    for number, (ms, in_chunks) in enumerate(sentences):
        pcm = audio(ms)
        step = bytes_in(90, RATE) if in_chunks else len(pcm)
        for start in range(0, len(pcm), step):
            line.speak(f"s{number}", pcm[start : start + step], last=start + step >= len(pcm))
            line.run(0.01)
    line.run(sum(ms for ms, _ in sentences) / 1000 + 5)
    assert [state for state, _ in line.states()].count("idle") >= 1
    boundaries = set()
    total = 0
    for ms, _ in sentences:
        total += len(audio(ms))
        boundaries.add(total)
    position = 0
    for _, piece in line.pieces:
        position += len(piece.pcm)
        assert len(piece.pcm) >= bytes_in(200, RATE) or position in boundaries


def test_many_sentences_make_few_pieces_and_one_idle() -> None:
    line = Line()
    for number in range(10):
        line.speak(f"s{number}", audio(2000), last=True)
    line.run(30)
    assert len(line.pieces) <= 6
    assert [state for state, _ in line.states()].count("idle") == 1
    assert line.clock.underruns == 0


def test_the_media_servers_lag_counts_once_for_speech_without_a_pause() -> None:
    clock = PlayoutClock(RATE, lag=0.05)
    clock.speak(1.0, "a", bytes(RATE * 2), True)
    [first], _ = clock.poll(1.0)
    assert isinstance(first, Piece)
    assert first.start == pytest.approx(1.05)
    # Who waits for the first sound is told at that moment, not at the end of the sentence.
    assert clock.next_wake() == pytest.approx(1.05)
    assert [event.state for event in clock.poll(1.0501)[1]] == ["started"]
    clock.speak(1.9, "b", bytes(RATE * 2), True)
    [second], _ = clock.poll(1.9)
    assert isinstance(second, Piece)
    assert second.start == pytest.approx(2.05)
    # Stopped before it can have been heard: nothing of it was.
    clock.break_(2.02)
    _, events = clock.poll(2.02)
    assert [(e.state, e.segment, e.heard_ms) for e in events if e.state == "cut"] == [
        ("cut", "a", 970),
        ("cut", "b", 0),
    ]


def test_it_is_told_when_a_segment_came_and_when_it_was_sent() -> None:
    line = Line(PlayoutClock(RATE, lag=0.04))
    line.speak("s1", audio(FIRST_PIECE_MS - 50), last=False)
    line.run(0.03)
    line.speak("s1", audio(500), last=False)
    line.run(0.1)
    line.speak("s2", audio(500))
    line.speak("s1", b"")
    line.run(3.0)
    started = [event for event in line.events if event.state == "started"]
    first = started[0]
    assert (first.arrived_at, first.sent_at, first.at) == pytest.approx((100.0, 100.03, 100.07))
    assert started[1].arrived_at == pytest.approx(100.13)
    assert all(event.arrived_at is None and event.sent_at is None for event in line.events if event not in started)
