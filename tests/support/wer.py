"""Word error rate: how far what was heard is from what was said."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBERS = dict(enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]))


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; hyphens part words; numbers up to ten are written out."""
    found = re.findall(r"[a-z']+|\d+", text.lower())
    return [_NUMBERS.get(int(word), word) if word.isdigit() else word for word in found]


def word_errors(said: str, heard: str) -> int:
    """The fewest words to insert, delete or replace."""
    reference, hypothesis = words(said), words(heard)
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(hypothesis, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (word != other))
    return row[-1]


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Errors per word said, over all pairs of (said, heard)."""
    pairs = list(pairs)
    return sum(word_errors(said, heard) for said, heard in pairs) / sum(len(words(said)) for said, _ in pairs)
