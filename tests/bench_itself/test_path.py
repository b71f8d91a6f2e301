"""The formula of the own overhead."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.path import PAUSE_S, WAIT_S, TurnTimes

DELAYS = st.floats(0.0, 0.3)


def turn(stt: float, llm: float, tts: float, *, glue: tuple[float, float, float, float]) -> TurnTimes:
    """A turn that ended at 100.0, its providers' times in a chain with so much between them."""
    asked = 100.0 + PAUSE_S + glue[0]
    final = asked + stt
    llm_asked = final + glue[1]
    tts_asked = llm_asked + llm + glue[2]
    return TurnTimes(
        speech_end=100.0,
        stt_asked=asked,
        stt_final=final,
        llm_asked=llm_asked,
        llm_sentence=llm_asked + llm,
        tts_asked=tts_asked,
        tts_first=tts_asked + tts,
        first_audio=max(100.0 + WAIT_S, tts_asked + tts) + glue[3],
    )


def test_what_lies_between_the_providers_is_overhead() -> None:
    measured = turn(0.28, 0.40, 0.08, glue=(0.02, 0.01, 0.005, 0.01))
    assert measured.voice_to_voice == pytest.approx(1.005)
    assert measured.ideal == pytest.approx(0.96)
    assert measured.overhead == pytest.approx(0.045)
    assert sum(measured.gaps().values()) == pytest.approx(0.045)


def test_what_the_wait_hides_is_none() -> None:
    measured = turn(0.05, 0.05, 0.05, glue=(0.02, 0.01, 0.005, 0.01))
    assert measured.ideal == WAIT_S
    assert measured.overhead == pytest.approx(0.01)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.tuples(DELAYS, DELAYS, DELAYS, DELAYS))
def test_overhead_is_never_negative_nor_more_than_the_glue(
    stt: float, llm: float, tts: float, glue: tuple[float, float, float, float]
) -> None:
    measured = turn(stt, llm, tts, glue=glue)
    assert -1e-9 <= measured.overhead <= sum(glue) + 1e-9


@given(st.floats(0.0, 0.5))
def test_a_wait_that_nobody_needs_counts_in_full(late: float) -> None:
    measured = turn(0.28, 0.40, 0.08, glue=(0.0, 0.0, 0.0, 0.0))
    later = dataclasses.replace(measured, first_audio=measured.first_audio + late)
    assert later.overhead - measured.overhead == pytest.approx(late)
