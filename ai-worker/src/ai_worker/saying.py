"""Text as it is to be read aloud: figures, money, times, telephone numbers and addresses as people say them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ai_worker.saying_rules import Rule, rules_of

_PASSES = 8
"""What one rule leaves may be another's: text is read over until nothing changes. Real text takes two passes."""


@dataclass(frozen=True, slots=True)
class Span:
    """`original[start:end]` is said as `text[spoken_start:spoken_end]`, letter for letter if `same`."""

    start: int
    end: int
    spoken_start: int
    spoken_end: int
    same: bool


@dataclass(frozen=True, slots=True)
class Spoken:
    """`text` is what to say. `spans` cover the original and `text` in order, without gaps or overlaps."""

    text: str
    spans: tuple[Span, ...]

    def original_prefix(self, heard_chars: int) -> int:
        """How many characters of the original were heard, if so many of `text` were.

        What is said otherwise than it is written counts when it was heard whole.
        """
        prefix = 0
        for span in self.spans:
            if heard_chars < span.spoken_end:
                return span.start + max(heard_chars - span.spoken_start, 0) if span.same else span.start
            prefix = span.end
        return prefix


def spoken(text: str, language: str) -> Spoken:
    """`language` is an ISO 639-1 code, with or without a region ("fr", "en-GB").

    English and French are said in words. In other languages only long numbers are parted into figures, and what can't
    be said (emoji, markup) is left out; German, Spanish and Italian have words for what is written with a slash, too.
    The region decides about dates: "en" and "en-US" have the month first.
    """
    rules = rules_of(language.lower())
    said = _Said(text)
    for _ in range(_PASSES):
        if not said.apply(rules):
            break
    return Spoken(said.text, tuple(said.spans(len(text))))


class _Said:
    """Text that is being rewritten, and for each character the part of the original that it stands for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._origins = [(n, n + 1) for n in range(len(text))]
        self._same = [True] * len(text)

    def apply(self, rules: tuple[Rule, ...]) -> bool:
        """One pass, first come first served; of two rules at the same place, the earlier one. False: nothing to do."""
        found = []
        for rank, rule in enumerate(rules):
            for match in rule.pattern.finditer(self.text):
                start, end = match.span("say" if "say" in rule.pattern.groupindex else 0)
                said = rule.say(match)
                if said is not None and said != self.text[start:end]:
                    found.append((start, rank, end, said))
        done = 0
        chosen = []
        for start, _, end, said in sorted(found):
            if start >= done:
                chosen.append((start, end, said))
                done = end
        for start, end, said in reversed(chosen):
            origins = self._origins[start:end]
            origin = (origins[0][0], origins[-1][1])
            self.text = self.text[:start] + said + self.text[end:]
            self._origins[start:end] = [origin] * len(said)
            self._same[start:end] = [False] * len(said)
        return bool(chosen)

    def spans(self, length: int) -> Iterator[Span]:
        """`length` is the original's, in characters."""
        done = at = 0
        while at < len(self.text):
            start, end = self._origins[at]
            if start > done:
                yield Span(done, start, at, at, False)
            first, same = at, self._same[at]
            at += 1
            while at < len(self.text) and (
                self._same[at] and self._origins[at][0] == end if same else self._origins[at][0] < end
            ):
                end = max(end, self._origins[at][1])
                at += 1
            yield Span(start, end, first, at, same)
            done = end
        if done < length:
            yield Span(done, length, at, at, False)
