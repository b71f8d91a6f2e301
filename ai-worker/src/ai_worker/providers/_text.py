"""Text as providers send it, made such that it can be sent on."""

from __future__ import annotations

import re

_HALVES = re.compile("[\ud800-\udfff]")


def sendable(text: str) -> str:
    """`text` as UTF-8 can hold it: two halves of a surrogate pair are one character, a half alone is left out.

    JSON can hold a half ("\\ud83d"), and a server that cuts an emoji in two sends one.
    """
    if not _HALVES.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")


def without_half(text: str) -> tuple[str, str]:
    """`text`, and the first half of a surrogate pair at its end, which waits for the other one; "" if there is none."""
    return (text[:-1], text[-1]) if "\ud800" <= text[-1:] <= "\udbff" else (text, "")
