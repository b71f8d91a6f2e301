"""What holds for the playout clock whatever is said, stalled, broken off or taken over."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbus.pcm import bytes_in
from support.playout_line import BYTES_PER_S, RATE, Line, audio

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
