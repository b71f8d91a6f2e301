"""The playout clock on virtual time: what is sent when, and what is told of it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from callbus.media import Playback
from streamer.playout import ABANDONED_S, REFILL_S, Piece, PlayoutClock
from streamer.segments import FIRST_PIECE_MS
from support.playout_line import BYTES_PER_S, RATE, Line, at, audio


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


def test_files_follow_each_other() -> None:
    line = Line()
    line.play("http://host/1.mp3")
    line.play("http://host/2.mp3")
    assert [file.url for _, file in line.files] == ["http://host/1.mp3", "http://host/2.mp3"]


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
