"""When has the caller finished? Judged from the words so far; the silence that must pass depends on the verdict."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = re.compile(r"[\w'’-]+")
_FILLERS = frozenset("um uh er erm hmm mm well like so".split())
# After one of these a sentence goes on.
_OPEN_ENDS = frozenset(
    "and or but because if when while that which who where than then to of in on at for from with by about as the a an "
    "my your our their his her its this these those is are was were am be been will would could should can i we they "
    "he she it's i'm i'd i'll let's just also plus versus until unless although not".split()
)
# What people say to show that they listen: no turn of its own while the bot speaks.
_BACKCHANNELS = frozenset(
    "mm mhm mmhm mm-hm mmm hm hmm uh-huh uhuh huh yeah yep yes yup ok okay right sure good great fine nice cool oh ah "
    "aha alright wow really".split()
)
_BACKCHANNEL_PHRASES = frozenset({"i see", "all right", "got it", "of course", "oh okay", "oh ok", "i know"})
_DICTATED = re.compile(
    r"(?:\d[\s,.-]*){2,}$|@\S*$|\bdot\b\s*\w*$|(?:\b[A-Za-z]\b[\s,.-]*){2,}$"
    # "at" alone is too common a word: "at noon", "at home".
    r"|\be-?mail\b.*\bat\s+\w+$|\bat\s+(?:gmail|hotmail|outlook|yahoo|icloud|gmx|orange|proton\w*)$",
    re.IGNORECASE,
)
_TIME_OF_DAY = re.compile(r"\d\s*[ap]\.?\s?m$", re.IGNORECASE)
_NUMBER_WORDS = frozenset("zero oh one two three four five six seven eight nine ten double triple".split())


@dataclass(frozen=True, slots=True)
class EndpointingOptions:
    """Silence (s) after the caller's last speech before the turn is over."""

    complete: float = 0.5
    unclear: float = 0.9
    incomplete: float = 1.6
    dictating: float = 2.2
    longest: float = 3.0


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


def is_backchannel(text: str) -> bool:
    """Whether a text only shows that its speaker listens ("mm-hm", "yeah, okay")."""
    spoken = words(text)
    return 0 < len(spoken) <= 4 and (
        " ".join(spoken) in _BACKCHANNEL_PHRASES or all(word in _BACKCHANNELS for word in spoken)
    )


def silence_needed(text: str, options: EndpointingOptions) -> float:
    """How long (s) the caller must have been silent after `text` for the turn to be over; never above `longest`."""
    return min(options.longest, _silence(text, options))


def _silence(text: str, options: EndpointingOptions) -> float:
    stripped = text.strip()
    spoken = words(stripped)
    if not spoken:
        return options.unclear
    question = stripped.endswith("?")
    bare = stripped.rstrip(" .!?,…-")
    trailing_numbers = [word for word in spoken[-3:] if word in _NUMBER_WORDS or word.isdigit()]
    dictated = _DICTATED.search(bare) and not _TIME_OF_DAY.search(bare)
    if not question and (dictated or len(trailing_numbers) >= 2):
        return options.dictating
    if stripped.endswith(("...", "…", ",", "-", ":")):
        return options.incomplete
    if spoken[-1] in _FILLERS or (spoken[-1] in _OPEN_ENDS and not question):
        return options.incomplete
    if question or stripped.endswith((".", "!")):
        return options.complete
    return options.unclear
