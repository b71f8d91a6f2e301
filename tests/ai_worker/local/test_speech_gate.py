"""The gate on virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ai_worker.vad import SpeechGate, SpeechPaused, SpeechStarted, SpeechStopped, SpeechVerdict

WINDOW_MS = 32


def feed(gate: SpeechGate, probabilities: list[float], *, at_ms: int = 0) -> list[tuple[int, SpeechVerdict]]:
    """(the time at which it was known, the verdict) for windows one after the other; pauses are left out."""
    return [found for found in feed_all(gate, probabilities, at_ms=at_ms) if not isinstance(found[1], SpeechPaused)]


def feed_all(gate: SpeechGate, probabilities: list[float], *, at_ms: int = 0) -> list[tuple[int, SpeechVerdict]]:
    verdicts = []
    for index, probability in enumerate(probabilities):
        now = at_ms + index * WINDOW_MS
        verdicts += [(now + WINDOW_MS, verdict) for verdict in gate.push(now, probability)]
    return verdicts


def test_a_pause_is_told_once_before_the_stop() -> None:
    verdicts = feed_all(SpeechGate(), [0.9] * 10 + [0.0] * 4 + [0.9] * 4 + [0.0] * 2 + [0.9] * 4 + [0.0] * 10)
    assert verdicts == [
        (192, SpeechStarted(0)),
        (320 + 96, SpeechPaused(320)),
        (24 * WINDOW_MS + 96, SpeechPaused(24 * WINDOW_MS)),
        (24 * WINDOW_MS + 192, SpeechStopped(24 * WINDOW_MS)),
    ]


def test_speech_is_dated_from_its_onset_and_to_its_end() -> None:
    verdicts = feed(SpeechGate(), [0.0] * 10 + [0.9] * 30 + [0.0] * 20)
    assert verdicts == [(320 + 192, SpeechStarted(320)), (1280 + 192, SpeechStopped(1280))]


def test_a_click_is_no_speech() -> None:
    gate = SpeechGate()
    assert feed(gate, ([0.9] * 3 + [0.0] * 10) * 5) == []
    assert not gate.speaking
    assert gate.speech_ms == 0


def test_a_short_dip_before_the_start_is_bridged_but_not_counted() -> None:
    gate = SpeechGate()
    assert feed(gate, [0.9] * 3 + [0.1] * 3 + [0.9] * 2) == []
    assert gate.speech_ms == 5 * WINDOW_MS
    assert gate.push(8 * WINDOW_MS, 0.9) == [SpeechStarted(0)]


def test_a_longer_dip_before_the_start_is_a_new_onset() -> None:
    assert feed(SpeechGate(), [0.9] * 5 + [0.1] * 4 + [0.9] * 6) == [(15 * WINDOW_MS, SpeechStarted(9 * WINDOW_MS))]


def test_between_the_thresholds_speech_goes_on_but_never_begins() -> None:
    assert feed(SpeechGate(), [0.5] * 100) == []
    gate = SpeechGate()
    assert feed(gate, [0.9] + [0.5] * 100) == [(192, SpeechStarted(0))]
    assert gate.speaking


def test_a_pause_shorter_than_the_stop_is_within_the_speech() -> None:
    gate = SpeechGate()
    assert feed(gate, [0.9] * 10 + [0.0] * 5 + [0.9] * 10) == [(192, SpeechStarted(0))]
    assert gate.speech_ms == 20 * WINDOW_MS


def test_speech_ms_tells_a_barge_in_from_a_word() -> None:
    gate = SpeechGate()
    lengths = []
    for index in range(12):
        gate.push(index * WINDOW_MS, 0.9)
        lengths.append(gate.speech_ms)
    assert lengths == [WINDOW_MS * (index + 1) for index in range(12)]
    feed(gate, [0.0] * 6, at_ms=12 * WINDOW_MS)
    assert gate.speech_ms == 0


def test_speech_lost_in_a_hole_of_the_audio_is_over() -> None:
    gate = SpeechGate()
    feed(gate, [0.9] * 10)
    assert gate.push(5000, 0.9) == [SpeechStopped(320)]
    assert feed(gate, [0.9] * 5, at_ms=5000 + WINDOW_MS) == [(5192, SpeechStarted(5000))]


runs = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 12)), max_size=30)


@given(runs=runs, start_ms=st.integers(32, 400), stop_ms=st.integers(32, 800), threshold=st.floats(0.3, 0.9))
def test_verdicts_alternate_and_agree_with_the_windows(
    runs: list[tuple[float, int]], start_ms: int, stop_ms: int, threshold: float
) -> None:
    probabilities = [probability for probability, count in runs for _ in range(count)]
    stay = threshold - 0.15
    gate = SpeechGate(threshold=threshold, start_ms=start_ms, stop_ms=stop_ms)
    verdicts = feed(gate, probabilities)

    def between(start: int, end: int) -> list[float]:
        return probabilities[start // WINDOW_MS : end // WINDOW_MS]

    previous_end = 0
    start = 0
    for index, (known_ms, verdict) in enumerate(verdicts):
        if index % 2 == 0:
            assert isinstance(verdict, SpeechStarted)
            start = verdict.at_ms
            assert start >= previous_end
            assert probabilities[start // WINDOW_MS] >= threshold
            voiced = [p for p in between(start, known_ms) if p >= stay]
            # Soon after a stop, 96 ms are enough to go on.
            enough = min(start_ms, 96) if index and start - previous_end <= 2500 else start_ms
            assert abs(len(voiced) * WINDOW_MS - enough) <= WINDOW_MS / 2 or len(voiced) == 1
        else:
            assert isinstance(verdict, SpeechStopped)
            previous_end = verdict.at_ms
            assert previous_end > start
            assert probabilities[previous_end // WINDOW_MS - 1] >= stay
            assert all(p < stay for p in between(previous_end, known_ms))
            assert abs(known_ms - previous_end - stop_ms) <= WINDOW_MS / 2 or known_ms - previous_end == WINDOW_MS
    assert gate.speaking == (len(verdicts) % 2 == 1)


def test_who_spoke_just_now_goes_on_with_a_short_word() -> None:
    word = [0.9] * 4 + [0.0] * 10
    assert feed(SpeechGate(), word) == []
    after_a_sentence = feed(SpeechGate(), [0.9] * 20 + [0.0] * 10 + word)
    assert [type(verdict) for _, verdict in after_a_sentence] == [SpeechStarted, SpeechStopped] * 2
    long_after = feed(SpeechGate(), [0.9] * 20 + [0.0] * 100 + word)
    assert [type(verdict) for _, verdict in long_after] == [SpeechStarted, SpeechStopped]
