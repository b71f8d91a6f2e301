"""When has the caller finished? Judged from the words so far; the silence that must pass depends on the verdict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ai_worker.conversation.dictation import dictation
from ai_worker.conversation.languages import language_of

_WORD = re.compile(r"[\w'’-]+")
_RHYTHM = 2
"""So many pauses show how long the next one may be: twice the longest. One more, and 1.75 times are as sure a sign (the
longest of three is longer), also of somebody quick."""


@dataclass(frozen=True, slots=True)
class EndpointingOptions:
    """Silence (s) after the caller's last speech before the turn is over."""

    complete: float = 0.5
    unclear: float = 0.9
    incomplete: float = 1.6
    dictating: float = 2.2
    dictating_soonest: float = 1.2
    """Of somebody who dictates with short pauses: twice the longest of two, and at least this."""
    longest: float = 3.0


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


def is_backchannel(text: str, language: str = "en") -> bool:
    """Whether a text only shows that its speaker listens ("mm-hm", "yeah, okay")."""
    spoken, known = words(text), language_of(language)
    return 0 < len(spoken) <= 4 and (
        " ".join(spoken) in known.backchannel_phrases or all(word in known.backchannels for word in spoken)
    )


def silence_needed(
    text: str, options: EndpointingOptions, *, language: str = "en", asked: str = "", pauses: Sequence[float] = ()
) -> float:
    """How long (s) the caller must have been silent after `text` for the turn to be over; never above `longest`.

    `asked` is what the bot said before: whoever was asked for six digits has finished after the sixth. `pauses` (s) are
    those that the caller has made in this dictation: it has a rhythm, and two pauses show it.
    """
    return min(options.longest, _silence(text.strip(), options, language, asked, pauses))


def _silence(text: str, options: EndpointingOptions, language: str, asked: str, pauses: Sequence[float]) -> float:
    known, spoken = language_of(language), words(text)
    if not spoken:
        return options.unclear
    match dictation(text, known, asked=asked):
        case "under way":
            if len(pauses) < _RHYTHM:
                return options.dictating
            if len(pauses) == _RHYTHM:
                return min(options.dictating, max(options.dictating_soonest, 2 * max(pauses)))
            return min(options.dictating, max(options.unclear, 1.75 * max(pauses)))
        case "probably whole":
            return options.unclear
        case "whole":
            return options.complete
        case "none":
            pass
    question = text.endswith("?")
    if text.endswith(("...", "…", ",", "-", ":")):
        return options.incomplete
    last, ended = spoken[-1], text.endswith((".", "!"))
    if last in known.fillers or (last in known.open_ends and not question and not (ended and last in known.closings)):
        return options.incomplete
    return options.complete if question or ended else options.unclear
