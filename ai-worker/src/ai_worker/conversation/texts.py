"""What a bot says by itself, in each language that we have the words of; they are in texts.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Texts:
    """One language's fixed texts."""

    apology: str
    """Something failed."""
    not_possible: str
    """What the bot has announced can't be done."""
    reprompt: str
    """No word was understood."""
    silence_prompts: tuple[str, str]
    """The caller says nothing, and still says nothing."""
    goodbye: str
    """The bot is going to hang up."""
    filler: str
    """A tool takes its time;"""
    long_waits: tuple[str, ...]
    """and more of it: said one after the other."""


def texts_of(language: str) -> Texts | None:
    """The texts of a language ("fr", "fr-CA"); None for one that we have none of."""
    return _texts().get(language.partition("-")[0].lower())


def languages_with_texts() -> tuple[str, ...]:
    """Their ISO 639-1 codes."""
    return tuple(_texts())


@cache
def _texts() -> dict[str, Texts]:
    text = files(__package__).joinpath("texts.yaml").read_text(encoding="utf-8")
    return {code: _of(fields) for code, fields in yaml.safe_load(text).items()}


def _of(written: dict[str, Any]) -> Texts:
    fields: dict[str, Any] = {name: tuple(said) if isinstance(said, list) else said for name, said in written.items()}
    return Texts(**fields)


ENGLISH = _texts()["en"]
