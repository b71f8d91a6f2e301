"""The playout clock when a break or another worker ends what is being said."""

from __future__ import annotations

from streamer.playout import BREAK_GRACE_S
from support.playout_line import Line, at, audio


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


def test_after_forgetting_the_names_of_what_was_cut_may_come_again() -> None:
    line = Line()
    line.speak("s1", audio(1000))
    line.run(0.3)
    line.break_()
    line.speak("s2", audio(1000), last=False)
    line.speak("s3", audio(300))
    line.run(0.1)
    line.forget()
    # What plays is heard to its end; whoever takes over next, or breaks, means no segment of before.
    line.take_over()
    assert line.speak("s2", audio(400)) is True
    line.run(0.1)
    assert line.break_() is True
    assert line.speak("s1", audio(300)) is True
    assert line.speak("s3", audio(300)) is True
    assert line.speak("s2", audio(300)) is False
    line.run(5)
    assert line.states()[-5:] == [
        ("started", "s1"),
        ("finished", "s1"),
        ("started", "s3"),
        ("finished", "s3"),
        ("idle", "s3"),
    ]
    assert sum(len(piece.pcm) for _, piece in line.pieces) == len(audio(1000 + 1000 + 300 + 300))


def test_whoever_takes_over_twice_is_told_once_more_that_it_was_cut() -> None:
    line = Line()
    line.speak("s1", audio(6000))
    line.run(0.1)
    line.take_over()
    line.take_over()
    line.run(6)
    assert line.states() == [("started", "s1"), ("cut", "s1"), ("idle", "s1")]
