"""A speech-to-text that makes no mistakes: it knows where in the callers' audio its own input comes from.

What is measured is turn-taking, not recognition. So each stretch of the audio that it is given is looked up, sample by
sample, in what the callers have sent, and of the words whose places there are known, those are written that the audio
holds: a cut-off audio yields the words before the cut, noise and coughs yield nothing.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench.moments.clips import RATE
from bench.moments.moment import Tail
from bench.moments.track import Breath, Track

_BLOCK = 2 * RATE * 80 // 1000
REMEMBERED = 64
_KNOWN_BY = 0.85
"""The share of a word that must be in the audio: without its first consonant it is still understood."""

_ENDS: dict[Tail, tuple[str, ...]] = {
    "open": ("...", "...", "...", "…", "...", ".", ".", ",", "", ""),
    "dictation": (".", ".", ".", "", "", "", ",", ",", "...", "."),
}
"""What is written after the last word when the audio ends inside a sentence, as often as in these lists.

OpenAI's and ElevenLabs' models mostly write an ellipsis where a sentence breaks off, and a good deal of the time they
close it with a full stop as if it were whole; groups of figures they close with a full stop or leave open. A comma in
the last place is rarer. The choice is drawn by the words, so that the same audio is always written in the same way.
"""


@dataclass(slots=True, eq=False)
class HeardCaller:
    """One caller's audio so far (s16le mono at 8000 Hz, as sent), and the tracks in it with their first samples."""

    sent: bytearray
    tracks: list[tuple[int, Track]] = field(default_factory=list)
    echo: Callable[[], list[tuple[int, int, str]]] = list
    """The bot's words that came back to it: first and one past the last sample, and the word."""

    def knows(self, pcm: bytes) -> bool:
        """Whether the audio seems to be this caller's: looked at in three places only."""
        last = len(pcm) - _BLOCK
        return any(self._place(pcm[at : at + _BLOCK], None) is not None for at in (0, last // 4 * 2, last))

    def covered(self, pcm: bytes) -> list[tuple[int, int]]:
        """The stretches of `sent` (samples) that the audio is made of; none if it is not this caller's."""
        found: list[tuple[int, int]] = []
        at, expected = 0, None
        while at + _BLOCK <= len(pcm):
            block = pcm[at : at + _BLOCK]
            place = self._place(block, expected)
            if place is None:
                expected = None
            else:
                expected = place + _BLOCK
                if found and found[-1][1] == place // 2:
                    found[-1] = (found[-1][0], expected // 2)
                else:
                    found.append((place // 2, expected // 2))
            at += _BLOCK
        # The last block is a shorter one.
        rest = pcm[at:]
        if rest and expected is not None and self.sent[expected : expected + len(rest)] == rest:
            found[-1] = (found[-1][0], (expected + len(rest)) // 2)
        return found

    def _place(self, block: bytes, expected: int | None) -> int | None:
        if expected is not None and self.sent[expected : expected + len(block)] == block:
            return expected
        place = self.sent.find(block)
        while place % 2 and place >= 0:
            place = self.sent.find(block, place + 1)
        return None if place < 0 else place


class Recogniser:
    """Hears all callers at once, as one account at a provider does."""

    def __init__(self) -> None:
        self.callers: deque[HeardCaller] = deque(maxlen=REMEMBERED)
        """The latest calls: words may still be asked for when the caller has hung up."""
        self._latest: dict[bytes, HeardCaller] = {}
        self.unknown = 0
        """Requests whose audio was no caller's: something on the way changes the samples."""

    def hear(self, pcm: bytes, language: str) -> str:
        """What is said in the audio (s16le mono at 8000 Hz)."""
        caller = self._caller(pcm)
        if caller is None:
            self.unknown += any(pcm)
            return ""
        return written(caller, caller.covered(pcm))

    def so_far(self, pcm: bytes, language: str) -> str:
        """The same while more of the audio is to come: a word that it breaks off in is not written yet."""
        caller = self._caller(pcm)
        if caller is None:
            return ""
        stretches = caller.covered(pcm)
        return written(caller, stretches, until=stretches[-1][1] if stretches else 0)

    def _caller(self, pcm: bytes) -> HeardCaller | None:
        latest = self._latest.get(pcm[:_BLOCK])
        if latest is not None and latest.knows(pcm):
            return latest
        found = next((caller for caller in reversed(self.callers) if caller.knows(pcm)), None)
        # Audio that grows is asked about ten times a second: the search through all the callers is for its beginning.
        if found is not None and len(pcm) >= _BLOCK:
            if len(self._latest) >= REMEMBERED:
                del self._latest[next(iter(self._latest))]
            self._latest[pcm[:_BLOCK]] = found
        return found


def written(caller: HeardCaller, stretches: list[tuple[int, int]], *, until: int | None = None) -> str:
    """The words that lie in these stretches of the caller's audio, with the punctuation of a good speech-to-text.

    With `until` (a sample), no word that goes on after it. Nothing is too faint for it: where the caller says nothing,
    it hears the bot's words in their echo.
    """
    found: list[tuple[int, str]] = []
    last: Breath | None = None
    for begins, track in caller.tracks:
        for breath in track.breaths:
            places = [(start + begins, end + begins) for start, end in breath.borders]
            heard = [_heard(start, end, stretches, until) for start, end in places]
            if any(heard):
                spoken = breath.words.text if all(heard) else _only(breath, heard)
                found.append((begins + breath.start, spoken if breath.words.glued else f" {spoken}"))
                last = breath if heard[-1] else None
    said = _closed("".join(text for _, text in found).strip(), last) if found else ""
    echoed = [word for start, end, word in _alone(caller) if _heard(start, end, stretches, until)]
    text = " ".join(filter(None, [" ".join(echoed), said]))
    return text[:1].upper() + text[1:]


def _alone(caller: HeardCaller) -> Iterator[tuple[int, int, str]]:
    """The words of the echo that nothing louder hides."""
    loud = [(at + breath.start, at + breath.end) for at, track in caller.tracks for breath in track.breaths]
    for start, end, word in caller.echo():
        if all(end <= begin or start >= until for begin, until in loud):
            yield start, end, word


def _only(breath: Breath, heard: list[bool]) -> str:
    """What is written of a breath that was not heard whole.

    That is what is said; or what is written, where just its beginning is missing and is written as it is said.
    """
    said, wrote, missed = breath.words.spoken.split(), breath.words.text.split(), heard.index(True)
    if all(heard[missed:]) and wrote[:missed] == said[:missed]:
        return " ".join(wrote[missed:])
    return " ".join(word for word, known in zip(said, heard, strict=True) if known)


def _closed(text: str, last: Breath | None) -> str:
    """`last` is the breath that the audio ends with; None when it ends inside one."""
    tail: Tail = "open" if last is None else last.words.tail
    if tail == "sentence":
        return text
    bare = text.rstrip(",;:-. ")
    return bare + random.Random(bare).choice(_ENDS[tail])


def _heard(start: int, end: int, stretches: list[tuple[int, int]], until: int | None) -> bool:
    return _share(start, end, stretches) >= _KNOWN_BY and (until is None or end <= until)


def _share(start: int, end: int, stretches: list[tuple[int, int]]) -> float:
    inside = sum(max(0, min(end, until) - max(start, begin)) for begin, until in stretches)
    return inside / (end - start)
