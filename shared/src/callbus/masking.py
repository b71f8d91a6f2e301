"""What must not stand in a log: phone numbers in the open, and secrets in URLs and headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from structlog.typing import EventDict, WrappedLogger

SHORTEST_NUMBER = 9
"""Digits of a number that is written in groups; in one piece, eight are enough."""

# Ids are how a log's reader finds a call; times are no numbers.
_KEPT = frozenset("timestamp level service logger path session streamer worker gateway port pid".split())
_NUMBER_FIELD = re.compile(r"number|phone|caller|called|msisdn|^(from|to)$")
_BEFORE, _AFTER = r"(?<![\w.*])(?<!\w-)", r"(?![\w*]|[-.]\w)"
_NUMBER = re.compile(
    r"\+\d(?:[\s().-]{0,3}\d){6,}"
    rf"|{_BEFORE}(?:\d{{8,}}|\(?\d{{1,4}}\)?(?:[ .-]{{1,2}}\(?\d{{2,4}}\)?){{2,}}){_AFTER}"
)
_DIGITS = re.compile(r"\d.?\d")
_IPV4 = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d\b")
_SECRETS = (
    (re.compile(r"://[^\s@\"'<>]*@"), "://***@"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), r"\1 ***"),
    (re.compile(r"([?&](?:token|key|api_key|apikey|secret|password|signature)=)[^&\s\"']+", re.IGNORECASE), r"\1***"),
    (re.compile(r"(/ws/t/)[^/?\s\"']+"), r"\1***"),
)


def mask_number(number: str) -> str:
    """A phone number as it may stand in a log: its first digits and its last two."""
    return number if len(number) <= 4 else f"{number[:4]}{'*' * (len(number) - 6)}{number[-2:]}"


def mask_text(text: str, *, keep: str = "", numbers: bool = True) -> str:
    """The text with every phone number in it masked, and secrets cut out of URLs and authorizations.

    Dates and IPv4 addresses stay, and what is exactly `keep` (a call's id may look like a number); all `numbers` may.
    """

    def number(found: re.Match[str]) -> str:
        written = found[0]
        digits = re.sub(r"\D", "", written)
        short = len(digits) < SHORTEST_NUMBER and digits != written
        if short or written == keep or _IPV4.fullmatch(written) or _DATE.match(written):
            return written
        return mask_number(digits)

    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return _NUMBER.sub(number, text) if numbers and _DIGITS.search(text) else text


class EventMask:
    """A structlog processor: every value of an entry but ids, times and places, however deep, is masked.

    Without `numbers`, phone numbers stay; secrets never do.
    """

    def __init__(self, *, numbers: bool = True) -> None:
        self._numbers = numbers

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        keep = str(event.get("call_id") or "")
        # Names that begin with an underscore are structlog's own, and gone before the entry is written.
        return {
            name: value if name.startswith("_") or name == "exc_info" else self._masked(name, value, keep)
            for name, value in event.items()
        }

    def _masked(self, name: str, value: Any, keep: str) -> Any:
        if name in _KEPT or name.endswith("_id") or isinstance(value, bool | float | None):
            return value
        if isinstance(value, Mapping):
            return {str(key): self._masked(str(key), inner, keep) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._masked(name, inner, keep) for inner in value]
        if self._numbers and _NUMBER_FIELD.search(name):
            return mask_number(str(value)) if re.search(r"\d{3}", str(value)) else value
        if isinstance(value, int):
            return value
        return mask_text(value if isinstance(value, str) else repr(value), keep=keep, numbers=self._numbers)
