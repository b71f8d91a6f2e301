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
    ],
)
def test_dictation_is_waited_for_longest(text: str) -> None:
    assert silence_needed(text, OPTIONS) == OPTIONS.dictating


@pytest.mark.parametrize(
    ("language", "text", "silence"),
    [
        ("en", "My number is 212 555 0143.", OPTIONS.unclear),
        ("en", "john at example dot com.", OPTIONS.complete),
        ("en", "john@example.com", OPTIONS.complete),
        ("en", "I am 25.", OPTIONS.complete),
        ("en", "In 2024.", OPTIONS.complete),
        ("en", "I have two.", OPTIONS.complete),
        ("en", "double seven two", OPTIONS.dictating),
        ("en", "It's 06.", OPTIONS.dictating),
        ("en", "The order number is 47.", OPTIONS.dictating),
        ("en", "It's order 73", OPTIONS.dictating),
        ("en", "The reference is AB.", OPTIONS.dictating),
        ("en", "It expires in 09.", OPTIONS.dictating),
        ("en", "My email is sarah.miller.", OPTIONS.dictating),
        ("en", "I watch TV.", OPTIONS.complete),
        ("en", "At nine p.m.", OPTIONS.complete),
        ("en", "I need 2 of them.", OPTIONS.complete),
        ("en", "9.", OPTIONS.unclear),
        ("en", "My name is Miller, M-I-L-L-E-R.", OPTIONS.unclear),
        ("en", "john@example.co", OPTIONS.unclear),
        ("en", "john@example.shop", OPTIONS.unclear),
        ("en", "It expires in 09 27.", OPTIONS.complete),
        ("en", "My zip is 100", OPTIONS.dictating),
        ("en", "My zip is 10001.", OPTIONS.complete),
        ("fr", "Le code postal est 69 002", OPTIONS.complete),
        ("en", "It's on example.com.", OPTIONS.complete),
        ("en", "I don't need all of that.", OPTIONS.complete),
        ("en", "What would I need that for", OPTIONS.incomplete),
        ("fr", "Mon numéro de dossier est le 47.", OPTIONS.dictating),
        ("en", "twenty one, thirty two", OPTIONS.dictating),
        ("fr", "C'est le 06 12 34", OPTIONS.dictating),
        ("fr", "C'est le 06 12 34 56 78.", OPTIONS.unclear),
        ("fr", "zéro six douze trente-quatre", OPTIONS.dictating),
        ("fr", "zéro six douze trente-quatre cinquante-six soixante-dix-huit", OPTIONS.unclear),
        ("fr", "jean point dupont arobase orange", OPTIONS.dictating),
        ("fr", "jean point dupont arobase orange point fr", OPTIONS.complete),
        ("fr", "Je voudrais un livre et", OPTIONS.incomplete),
        ("fr", "Je voudrais un livre.", OPTIONS.complete),
        ("fr", "Je n'en veux pas", OPTIONS.unclear),
        ("es", "Quiero hablar con", OPTIONS.incomplete),
        ("es", "Quiero hablar con alguien.", OPTIONS.complete),
        ("de", "Ich möchte mit dem", OPTIONS.incomplete),
        ("de", "Ich rufe Sie an.", OPTIONS.complete),
        ("it", "Vorrei parlare con", OPTIONS.incomplete),
        ("fr-FR", "euh", OPTIONS.incomplete),
        ("pl", "i", OPTIONS.unclear),
    ],
)
def test_it_knows_the_agents_language(language: str, text: str, silence: float) -> None:
    assert silence_needed(text, OPTIONS, language=language) == silence


@pytest.mark.parametrize(
    ("language", "asked", "text", "silence"),
    [
        ("en", "What are the six digits on your card?", "4 7 2", OPTIONS.dictating),
        ("en", "What are the six digits on your card?", "4 7 2 9 1 8", OPTIONS.complete),
        ("en", "What are the six digits on your card?", "472918.", OPTIONS.complete),
        ("en", "Please tell me your 4-digit code.", "It is 4729.", OPTIONS.complete),
        ("en", "Please tell me your 4-digit code.", "four seven", OPTIONS.dictating),
        ("en", "Please tell me your 4-digit code.", "I don't have it.", OPTIONS.complete),
        ("fr", "Quels sont les six chiffres ?", "47 29 18", OPTIONS.complete),
        ("en", "What is your order number?", "472918.", OPTIONS.dictating),
        ("en", "When does it expire?", "03 27", OPTIONS.complete),
    ],
)
def test_whoever_was_asked_for_so_many_digits_has_finished_after_them(
    language: str, asked: str, text: str, silence: float
) -> None:
    assert silence_needed(text, OPTIONS, language=language, asked=asked) == silence


@pytest.mark.parametrize(
    ("pauses", "silence"),
    [
        ((), OPTIONS.dictating),
        ((0.4,), OPTIONS.dictating),
        ((0.4, 0.5), OPTIONS.dictating_soonest),
        ((0.4, 0.8), 1.6),
        ((0.4, 0.8, 0.5), 1.4),
        ((0.5, 0.5, 0.5), OPTIONS.unclear),
        ((0.5, 0.6, 0.5, 0.4), 1.05),
        ((0.5, 1.4), OPTIONS.dictating),
    ],
)
def test_a_dictation_has_a_rhythm_that_tells_when_it_is_over(pauses: tuple[float, ...], silence: float) -> None:
    assert silence_needed("It is 4 7 2", OPTIONS, pauses=pauses) == pytest.approx(silence)
    assert silence_needed("It is for two people.", OPTIONS, pauses=pauses) == OPTIONS.complete


def test_words_without_an_end_are_given_a_little_more_time() -> None:
    assert silence_needed("yes please", OPTIONS) == OPTIONS.unclear
    assert silence_needed("?!", OPTIONS) == OPTIONS.unclear


@given(st.text(max_size=80))
def test_the_silence_is_bounded_whatever_is_said(text: str) -> None:
    assert OPTIONS.complete <= silence_needed(text, OPTIONS) <= OPTIONS.longest
    assert silence_needed(text, EndpointingOptions(dictating=9.0, incomplete=9.0, longest=3.0)) <= 3.0


@pytest.mark.parametrize(
    "text", ["Mm-hm.", "Mm-hmm.", "Yeah.", "Yeah, okay.", "OK", "Right, right.", "I see.", "Uh-huh", "Oh, okay."]
)
def test_listening_sounds_are_backchannels(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize(("language", "text"), [("fr", "Oui, d'accord."), ("es", "Vale."), ("de", "Ja, genau.")])
def test_listening_sounds_differ_by_language(language: str, text: str) -> None:
    assert is_backchannel(text, language)
    assert not is_backchannel(text, "en")


@pytest.mark.parametrize(
    "text", ["", "No.", "Stop.", "Yes, but wait", "Okay, what about books?", "Yeah yeah yeah yeah yeah"]
)
def test_anything_else_is_none(text: str) -> None:
    assert not is_backchannel(text)
