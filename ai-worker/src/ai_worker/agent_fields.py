"""Kinds of values that agents' files are made of, and the mistakes in them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, StringConstraints

_PUNCTUATION = re.compile(r"[+\s().-]+")


class Misplaced(ValueError):
    """A mistake that belongs to one place (`loc`) inside the model that is being checked.

    `within`: the words to blame, when that place is a text of many lines.
    """

    def __init__(self, loc: tuple[str | int, ...], message: str, *, within: str = "") -> None:
        super().__init__(message)
        self.loc = loc
        self.within = within


def bare_number(written: str) -> str:
    """A phone number without `+`, spaces and punctuation."""
    return _PUNCTUATION.sub("", written)


def _bare(written: object) -> object:
    return bare_number(written) if isinstance(written, str) else written


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Number = Annotated[str, BeforeValidator(_bare), StringConstraints(pattern=r"^[0-9]{2,18}$")]
CalledNumber = Annotated[str, BeforeValidator(_bare), StringConstraints(pattern=r"^([0-9]{2,18}|[0-9]{1,17}\*)$")]
"""A whole number, or the beginning of many: `331848*`."""
