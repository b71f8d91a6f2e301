"""The worker's ear for one call: positions, times, verdicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_worker.conversation import events as ev
from ai_worker.hearing import KEPT_MS, Hearing
from ai_worker.speech_end import SpeechEnd
from callbus.pcm import bytes_in
from support.waiting import until

SPEECH, SILENCE = 0.95, 0.02


def frames(hearing: Hearing, count: int, *, at: float = 100.0, fill: int = 1) -> None:
    """20 ms chunks that arrive in real time."""
    for _ in range(count):
        position = hearing.position_ms
        hearing.receive(bytes([fill, 0]) * 160, at + position / 1000)


def window(amplitude: int) -> bytes:
    """32 ms of a tone at half the sample rate."""
    return (amplitude.to_bytes(2, "little") + (-amplitude).to_bytes(2, "little", signed=True)) * 128


def judged(hearing: Hearing, pattern: list[tuple[int, float]]) -> list[ev.Event]:
    """Windows of 32 ms: (how many, probability); pauses are left out."""
    found: list[ev.Event] = []
    at = 0
    for count, probability in pattern:
        for _ in range(count):
            hearing.receive(window(1500 if probability == SPEECH else 0), 100.0 + at / 1000)
            found += [event for event in hearing.judge(at, probability) if not isinstance(event, ev.SpeechPaused)]
            at += 32
    return found


def test_a_pause_is_told_before_the_end() -> None:
    hearing, found = Hearing(8000), []
    for index in range(40):
        hearing.receive(window(1500 if index < 20 else 0), 100.0 + index * 0.032)
        found += hearing.judge(index * 32, SPEECH if index < 20 else SILENCE)
    assert [type(event) for event in found[-2:]] == [ev.SpeechPaused, ev.SpeechStopped]
    assert found[-2] == ev.SpeechPaused(640)


def test_a_stretch_of_audio_is_cut_out_by_position() -> None:
    hearing = Hearing(8000)
    frames(hearing, 10, fill=1)
    frames(hearing, 10, fill=2)
    assert hearing.cut(180, 220) == b"\1\0" * 160 + b"\2\0" * 160
    assert len(hearing.cut(380, 900)) == bytes_in(20, 8000)
    assert hearing.cut(500, 600) == b""
    assert hearing.cut(300, 200) == b""


@given(st.integers(1, 9_000))
def test_old_audio_is_forgotten_and_positions_stay(count: int) -> None:
    hearing = Hearing(8000)
    pcm = b"".join(n.to_bytes(2, "little") * 160 for n in range(count))
    for start in range(0, len(pcm), 3200):
        hearing.receive(pcm[start : start + 3200], 0.0)
    assert hearing.position_ms == count * 20
    last = (count - 1) * 20
    assert hearing.cut(last, last + 20) == (count - 1).to_bytes(2, "little") * 160
    assert len(hearing.cut(0, count * 20)) <= bytes_in(2 * KEPT_MS, 8000) + 3200


def test_a_position_has_the_time_at_which_it_was_on_the_line() -> None:
    hearing = Hearing(8000)
    frames(hearing, 5, at=100.0)
    # A frame comes when its last sample was on the line. The line stalled for a second here: what comes now was spoken
    # later than its position says.
    frames(hearing, 5, at=101.0)
    assert hearing.at(50) == pytest.approx(100.03)
    assert hearing.at(150) == pytest.approx(101.13)


def test_speech_is_announced_sustained_and_ended() -> None:
    found = judged(Hearing(8000), [(10, SILENCE), (20, SPEECH), (20, SILENCE)])
    started, sustained, stopped = found
    assert isinstance(started, ev.SpeechStarted)
    assert started.start_ms == 320
    assert 180 <= started.speech_ms <= 230
    assert isinstance(sustained, ev.SpeechSustained)
    assert isinstance(stopped, ev.SpeechStopped)
    assert stopped.end_ms == 960
    assert 150 <= stopped.silence_ms <= 230
    assert abs(stopped.ended_at - 100.96) < 0.04


def spoken_then(hearing: Hearing, frames: list[int]) -> None:
    """640 ms of speech, 160 ms of silence in whole windows, then 20 ms frames that no window holds yet."""
    judged(hearing, [(20, SPEECH), (5, SILENCE)])
    for amplitude in frames:
        hearing.receive(window(amplitude)[:320], 101.0)


def test_the_end_of_speech_is_known_before_the_window_that_shows_it_has_ended() -> None:
    hearing = Hearing(8000)
    spoken_then(hearing, [])
    due_ms = hearing.stop_due_ms
    assert due_ms == 40
    assert hearing.stopped_between_windows() == []
    hearing.receive(bytes(320), 101.0)
    [stopped] = hearing.stopped_between_windows()
    assert isinstance(stopped, ev.SpeechStopped)
    assert (stopped.end_ms, stopped.silence_ms) == (640, 180)
    assert hearing.stop_due_ms is None
    assert hearing.stopped_between_windows() == []
    # Once is enough; and what comes next is a beginning.
    assert hearing.judge(800, SILENCE) == []
    assert [type(event) for event in judged_on(hearing, 832, 12, SPEECH)][:1] == [ev.SpeechStarted]


@pytest.mark.parametrize("frames", [[1500], [0, 1500], []], ids=["a sound", "a late sound", "no audio"])
def test_neither_a_sound_nor_audio_that_does_not_come_is_an_end(frames: list[int]) -> None:
    hearing = Hearing(8000)
    spoken_then(hearing, frames)
    assert hearing.stopped_between_windows() == []


async def test_the_end_of_speech_is_told_at_its_time() -> None:
    hearing, heard = Hearing(8000), list[ev.Event]()
    end = SpeechEnd(hearing, heard.append)
    end.watch()
    spoken_then(hearing, [0])
    end.watch()
    await until(lambda: bool(heard))
    assert [type(event) for event in heard] == [ev.SpeechStopped]
    end.watch()
    end.cancel()


def judged_on(hearing: Hearing, at: int, count: int, probability: float) -> list[ev.Event]:
    """The windows from `at` (ms) on, loud ones."""
    found: list[ev.Event] = []
    for number in range(count):
        hearing.receive(window(1500), 102.0)
        found += hearing.judge(at + 32 * number, probability)
    return found


def test_a_short_word_interrupts_nobody() -> None:
    found = judged(Hearing(8000), [(10, SILENCE), (7, SPEECH), (20, SILENCE)])
    assert [type(event) for event in found] == [ev.SpeechStarted, ev.SpeechStopped]


def test_each_utterance_is_sustained_once() -> None:
    found = judged(Hearing(8000), [(40, SPEECH), (20, SILENCE), (40, SPEECH), (20, SILENCE)])
    assert [type(event) for event in found] == [ev.SpeechStarted, ev.SpeechSustained, ev.SpeechStopped] * 2


def speech_that_is_believed_late(*, before: int, after: int) -> list[ev.Event]:
    """A second at one amplitude, then half a second at another; the model is sure 160 ms after the change."""
    hearing, found = Hearing(8000), []
    for index in range(50):
        loud = after if index >= 32 else before
        hearing.receive(window(loud), 100.0)
        found += hearing.judge(index * 32, SPEECH if index >= 37 else SILENCE)
    return found


def test_a_soft_beginning_is_found_in_the_audio() -> None:
    started, sustained = speech_that_is_believed_late(before=10, after=1500)
    assert isinstance(started, ev.SpeechStarted)
    assert abs(started.start_ms - 1024) <= 16
    # 0.3 s after the onset, not after the model's first sure window.
    assert started.start_ms + started.speech_ms <= 1024 + 300
    assert isinstance(sustained, ev.SpeechSustained)


def test_where_the_line_is_loud_speech_begins_when_the_model_says_so() -> None:
    started = speech_that_is_believed_late(before=1000, after=1500)[0]
    assert isinstance(started, ev.SpeechStarted)
    assert started.start_ms == 37 * 32


def test_the_end_of_speech_is_where_the_sound_ended_though_the_model_was_sure_for_longer() -> None:
    hearing, found = Hearing(8000), []
    for index in range(60):
        loud = 1500 if 10 <= index < 40 else 5
        hearing.receive(window(loud), 100.0)
        found += hearing.judge(index * 32, SPEECH if 10 <= index < 42 else SILENCE)
    paused, stopped = found[-2:]
    assert paused == ev.SpeechPaused(40 * 32)
    assert isinstance(stopped, ev.SpeechStopped)
    assert stopped.end_ms == 40 * 32
    assert stopped.silence_ms == 192


def over_babble(*amplitudes: tuple[int, int]) -> list[ev.Event]:
    """(how many windows, amplitude): speech all the time, as far as the model knows."""
    hearing, found, at = Hearing(8000), [], 0
    for count, amplitude in amplitudes:
        for _ in range(count):
            hearing.receive(window(amplitude), 100.0)
            found += hearing.judge(at, SPEECH)
            at += 32
    return [event for event in found if isinstance(event, ev.SpeechFaded | ev.SpeechBack)]


def test_the_callers_voice_ends_though_others_talk_on_behind_it() -> None:
    found = over_babble((60, 300), (40, 3000), (20, 300), (20, 3000), (5, 300), (20, 3000), (40, 350))
    assert [type(event) for event in found] == [ev.SpeechFaded, ev.SpeechBack, ev.SpeechFaded]
    first, last = found[0], found[-1]
    assert isinstance(first, ev.SpeechFaded)
    assert isinstance(last, ev.SpeechFaded)
    assert 100 * 32 <= first.end_ms <= 100 * 32 + 300
    assert 165 * 32 <= last.end_ms <= 165 * 32 + 300


def test_where_the_detector_knows_the_noise_from_speech_it_is_believed() -> None:
    hearing, found, at = Hearing(8000), [], 0
    for count, amplitude, probability in ((60, 300, SILENCE), (40, 3000, SPEECH), (15, 300, SPEECH)):
        for _ in range(count):
            hearing.receive(window(amplitude), 100.0)
            found += hearing.judge(at, probability)
            at += 32
    assert [type(event) for event in found] == [ev.SpeechStarted, ev.SpeechSustained]


def test_a_sound_too_faint_for_a_caller_is_no_reason_to_fall_silent() -> None:
    for amplitude, sustained in ((200, False), (900, True)):
        hearing, found = Hearing(8000), []
        for index in range(40):
            hearing.receive(window(amplitude if index >= 10 else 0), 100.0)
            found += hearing.judge(index * 32, SPEECH if index >= 10 else SILENCE)
        assert (ev.SpeechSustained() in found) is sustained


def test_voices_that_are_all_alike_have_no_foreground() -> None:
    assert over_babble((60, 300), (40, 900), (40, 300)) == []
    assert over_babble((100, 2000)) == []


def test_in_silence_the_voice_activity_detector_alone_says_when_speech_ends() -> None:
    found = judged(Hearing(8000), [(40, SPEECH), (5, SILENCE), (40, SPEECH), (20, SILENCE)])
    assert not [event for event in found if isinstance(event, ev.SpeechFaded | ev.SpeechBack)]


def test_others_who_are_taken_for_the_caller_going_on_are_known_for_what_they_are() -> None:
    hearing, found, at = Hearing(8000), [], 0
    for count, amplitude, probability in (
        (60, 300, SPEECH),
        (40, 3000, SPEECH),
        (10, 300, SILENCE),
        (30, 300, SPEECH),
    ):
        for _ in range(count):
            hearing.receive(window(amplitude), 100.0)
            found += hearing.judge(at, probability)
            at += 32
    assert [type(event) for event in found[-3:]] == [ev.SpeechStopped, ev.SpeechStarted, ev.SpeechFaded]
