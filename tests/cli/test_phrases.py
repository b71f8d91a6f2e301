"""What a text must hold: words however they were written down, in order, or a regular expression."""

from __future__ import annotations

import pytest

from voicebot_cli.phrases import Phrase, first_found, missing_in_order

HEARD = "On Saturdays, we’re open from ten to four. On weekdays we are open from nine to seven."


def phrases(*texts: str) -> tuple[Phrase, ...]:
    return tuple(Phrase.parse(text) for text in texts)


@pytest.mark.parametrize(
    ("texts", "missing"),
    [
        (["saturdays", "ten to four", "WEEKDAYS"], None),
        (["weekdays", "saturdays"], "saturdays"),
        (["Saturday"], "Saturday"),
        (["/saturdays? .* (ten|eleven) to/", "were open"], "were open"),
        (["were open", "/nine (to|till) seven/"], None),
        (["four. On"], None),
        (["open", "open", "open"], "open"),
        ([], None),
    ],
)
def test_phrases_are_found_as_whole_words_and_in_order(texts: list[str], missing: str | None) -> None:
    found = missing_in_order(phrases(*texts), HEARD)
    assert (found.given if found else None) == missing


def test_what_must_not_be_said_is_found_wherever_it_is() -> None:
    found = first_found(phrases("sundays", "/from (nine|eight)/", "seven"), HEARD)
    assert found is not None
    assert found.given == "/from (nine|eight)/"
    assert first_found(phrases("sundays", "sat"), HEARD) is None


@pytest.mark.parametrize("wrong", ["/(/", "/x*/", "…", ""])
def test_a_phrase_that_can_tell_nothing_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):
        Phrase.parse(wrong)
