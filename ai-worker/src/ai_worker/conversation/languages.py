"""Words by which a language shows that its speaker goes on, listens, or dictates; the words are in languages.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import yaml

from ai_worker.conversation.numbers import Numbers

_NO_NUMBERS = Numbers({})


@dataclass(frozen=True, slots=True)
class Language:
    """Lower case, as a speech-to-text writes them."""

    fillers: frozenset[str] = frozenset()
    open_ends: frozenset[str] = frozenset()
    """A sentence goes on after one of these."""
    closings: frozenset[str] = frozenset()
    """Those of them that may be the last word all the same, where the STT puts a full stop."""
    codes: frozenset[str] = frozenset()
    """What is dictated: after one of these, even a short number or two letters are the beginning of more."""
    objections: frozenset[str] = frozenset()
    """What somebody interrupts with in a single word, though the bot may have said it too."""
    backchannels: frozenset[str] = frozenset()
    """What people say to show that they listen; `backchannel_phrases`, in more words than one."""
    backchannel_phrases: frozenset[str] = frozenset()
    numbers: Numbers = _NO_NUMBERS
    at: frozenset[str] = frozenset()
    """How the signs in an e-mail address are said; `dot` likewise."""
    dot: frozenset[str] = frozenset()
    digits: frozenset[str] = frozenset()
    """What digits are called when somebody is asked for them."""
    phone_lengths: frozenset[int] = frozenset()
    """Digits of a whole telephone number, as people dictate theirs."""
    lengths: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """What always has so many digits, by their number: a card's month and year of expiry, a postcode."""


def language_of(code: str) -> Language:
    """The words of a language by its ISO 639-1 code; none are known of others: there, the punctuation must do."""
    return _languages().get(code.partition("-")[0].lower(), _UNKNOWN)


@cache
def _languages() -> dict[str, Language]:
    text = files(__package__).joinpath("languages.yaml").read_text(encoding="utf-8")
    return {
        code: Language(
            backchannel_phrases=frozenset(lists.pop("backchannel_phrases", ())),
            phone_lengths=frozenset(lists.pop("phone_lengths", ())),
            lengths={length: frozenset(words.split()) for length, words in lists.pop("lengths", {}).items()},
            numbers=Numbers(lists.pop("numbers")),
            **{name: frozenset(words.split()) for name, words in lists.items()},
        )
        for code, lists in yaml.safe_load(text).items()
    }


_UNKNOWN = Language()
