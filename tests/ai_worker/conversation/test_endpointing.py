"""How long a silence ends the turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_worker.conversation.endpointing import EndpointingOptions, is_backchannel, silence_needed

OPTIONS = EndpointingOptions()


@pytest.mark.parametrize(
    "text",
    [
        "Can I borrow a laptop?",
        "I would like to borrow a laptop.",
        "Goodbye!",
        "Let us meet at noon.",
        "I will be at home.",
        "I can come at 9 a.m.",
        "At 9 pm.",
        "Is it 12 or 15?",
        "Who is that?",
    ],
)
def test_a_complete_thought_is_answered_soon(text: str) -> None:
    assert silence_needed(text, OPTIONS) == OPTIONS.complete


@pytest.mark.parametrize(
    "text",
    [
        "I want to borrow a",
        "I would like a book and",
        "So I was, um",
        "Well...",
        "First of all,",
        "My name is",
        "I'd like to.",
    ],
)
def test_an_open_end_is_waited_for(text: str) -> None:
    assert silence_needed(text, OPTIONS) == OPTIONS.incomplete


@pytest.mark.parametrize(
    "text",
    [
        "My number is 4 7 2",
        "472918.",
        "It is 01 84 80.",
        "four seven two",
        "My name is spelled M A R",
        "S-M-I",
        "My e-mail is john at example",
        "My email is john at example",
        "john at gmail",
        "john at example dot",
        "john at example dot com.",
        "john@example.com",
    ],
)
def test_dictation_is_waited_for_longest(text: str) -> None:
    assert silence_needed(text, OPTIONS) == OPTIONS.dictating


def test_words_without_an_end_are_given_a_little_more_time() -> None:
    assert silence_needed("yes please", OPTIONS) == OPTIONS.unclear
    assert silence_needed("?!", OPTIONS) == OPTIONS.unclear


@given(st.text(max_size=80))
def test_the_silence_is_bounded_whatever_is_said(text: str) -> None:
    assert OPTIONS.complete <= silence_needed(text, OPTIONS) <= OPTIONS.longest
    assert silence_needed(text, EndpointingOptions(dictating=9.0, incomplete=9.0, longest=3.0)) <= 3.0


@pytest.mark.parametrize(
    "text", ["Mm-hm.", "Yeah.", "Yeah, okay.", "OK", "Right, right.", "I see.", "Uh-huh", "Oh, okay."]
)
def test_listening_sounds_are_backchannels(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize(
    "text", ["", "No.", "Stop.", "Yes, but wait", "Okay, what about books?", "Yeah yeah yeah yeah yeah"]
)
def test_anything_else_is_none(text: str) -> None:
    assert not is_backchannel(text)
