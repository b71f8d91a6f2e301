"""The moments' audio: where its words are, what lies between them, and that it is the same every time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from bench.moments.clips import RATE, Signal, clip
from bench.moments.moment import Moment, Pause, Sound, Words
from bench.moments.mouth import PlaceMouth
from bench.moments.sounds import background, sound
from bench.moments.the_set import MOMENTS
from bench.moments.track import compose
from ringover_sim.audio import g711_decode, g711_encode
from ringover_sim.speech import SPOKEN_RMS


def rms(samples: Signal) -> float:
    return float(np.sqrt((samples.astype(np.float64) ** 2).mean()))


def test_the_set_is_large_and_balanced() -> None:
    kinds = Counter(moment.kind for moment in MOMENTS)
    rights = Counter(moment.right for moment in MOMENTS)

    assert len(MOMENTS) >= 80
    assert min(kinds[kind] for kind in ("complete", "pause", "dictated", "interruption", "backchannel")) >= 12
    assert rights["answer"] + rights["yield"] >= 60
    assert rights["go on"] >= 25
    assert len({(moment.kind, moment.name) for moment in MOMENTS}) == len(MOMENTS)


def test_pauses_are_as_long_as_the_set_promises() -> None:
    pauses = [p.seconds for m in MOMENTS if m.kind == "pause" for p in m.parts if isinstance(p, Pause)]
    dictating = [p.seconds for m in MOMENTS if m.kind == "dictated" for p in m.parts if isinstance(p, Pause)]

    assert min(pauses) >= 0.4
    assert max(pauses) == 1.2
    assert max(dictating) == 1.5


def test_every_moment_ends_with_what_it_is_judged_by() -> None:
    for moment in MOMENTS:
        last = moment.parts[-1]
        if moment.right in ("answer", "yield"):
            assert isinstance(last, Words), moment.name
            assert last.tail != "open", moment.name
        elif moment.right == "stay quiet":
            assert not moment.words, moment.name
        assert (moment.over == "nothing") == (moment.right in ("answer", "stay quiet")), moment.name


def test_a_pause_is_silence_of_just_that_length_between_two_breaths() -> None:
    moment = Moment(
        "m", "pause", "answer", (Words("I would like to", tail="open"), Pause(0.7), Words("borrow a book."))
    )
    track = compose(moment)
    first, second = track.breaths

    assert second.start - first.end == 0.7 * RATE
    assert not track.samples[first.end : second.start].any()
    assert rms(track.samples[first.end - 800 : first.end]) > 100
    assert rms(track.samples[second.start : second.start + 800]) > 100
    assert track.speech_start == first.start == 0
    assert track.speech_end == len(track.samples)


def test_words_lie_one_after_the_other_within_their_breath() -> None:
    words = Words("I would like to book a table")
    spoken = clip(words, "low")

    assert len(spoken.borders) == len(words.spoken.split())
    assert spoken.borders[0][0] == 0
    assert spoken.borders[-1][1] == len(spoken.samples)
    assert all(start < end for start, end in spoken.borders)
    assert all(before[1] == after[0] for before, after in zip(spoken.borders, spoken.borders[1:], strict=False))


def test_the_same_moment_is_the_same_audio() -> None:
    moment = MOMENTS[0]

    def sent() -> bytes:
        mouth = PlaceMouth(moment, seed=3)
        mouth.begin(compose(moment).samples)
        return b"".join(mouth.next_chunk(160) for _ in range(50))

    assert sent() == sent()


def test_what_is_sent_has_been_through_a_telephone() -> None:
    mouth = PlaceMouth(MOMENTS[0], seed=3)
    mouth.begin(compose(MOMENTS[0]).samples)
    sent = b"".join(mouth.next_chunk(160) for _ in range(50))

    assert g711_decode(g711_encode(sent, "pcmu"), "pcmu") == sent
    assert bytes(mouth.sent) == sent


@pytest.mark.parametrize("name", ["pink", "hum", "babble"])
def test_noise_lies_ten_decibels_below_speech(name: str) -> None:
    assert name in ("pink", "hum", "babble")
    level = rms(background(name))

    assert 20 * np.log10(SPOKEN_RMS / level) == pytest.approx(10.0, abs=0.1)


def test_every_sound_of_the_set_can_be_made() -> None:
    names = {part.name for moment in MOMENTS for part in moment.parts if isinstance(part, Sound)}

    for name in names:
        samples = sound(name)
        assert len(samples) < 2 * RATE
        assert 1000 < np.abs(samples).max() < 32767, name


def test_the_bot_comes_back_as_an_echo_late_and_faint() -> None:
    moment = Moment("m", "echo", "go on", (Sound("click"),), "greeting", echo_ms=100)
    mouth = PlaceMouth(moment, seed=1)
    heard = (8000 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype("<i2").tobytes()
    chunks = []
    for tick in range(50):
        mouth.heard = bytearray(heard[: 2 * 160 * tick])
        chunks.append(np.frombuffer(mouth.next_chunk(160), "<i2").astype(np.float32))
    sent = np.concatenate(chunks)

    assert rms(sent[:780]) < 20
    assert 20 * np.log10(rms(sent[1600:]) / rms(np.frombuffer(heard, "<i2"))) == pytest.approx(-25, abs=0.5)
