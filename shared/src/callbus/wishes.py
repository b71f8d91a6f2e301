"""What the transcript tells of an operator's wishes (callbus.media.Operator): the worker's notes, its actions' ids."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NOTE = re.compile(r"operator ([^ :]{1,64}): (\w+)(?: \((.*)\))?", re.DOTALL)
_ACTION = "operator-"


@dataclass(frozen=True, slots=True)
class WishNoted:
    """What became of the wish whose entry on `call:{id}:in` is `entry_id`: `refused` says why it was not granted."""

    entry_id: str
    wish: str
    refused: str = ""

    def __str__(self) -> str:
        return f"operator {self.entry_id}: {self.wish}" + (f" ({self.refused})" if self.refused else "")


def read_note(note: str) -> WishNoted | None:
    """The wish that a note of the transcript tells of; None for any other note."""
    found = _NOTE.fullmatch(note)
    return WishNoted(found[1], found[2], found[3] or "") if found else None


def action_id(entry_id: str) -> str:
    """The id of the action that grants a wish: the same for whichever worker asks the streamer for it."""
    return f"{_ACTION}{entry_id}"


def is_operators(action_id: str) -> bool:
    """Whether it was an operator who wanted this action done."""
    return action_id.startswith(_ACTION)
