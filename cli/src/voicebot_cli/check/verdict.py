"""What a check found, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rich.text import Text

Mark = Literal["✓", "✗", "–"]
_STYLES: dict[Mark, str] = {"✓": "green", "✗": "bold red", "–": "dim"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`✓` is right, `✗` is wrong, `–` is not set or could not be looked at; `todo` says what helps."""

    mark: Mark
    what: str
    found: str
    todo: str = ""

    def line(self) -> Text:
        """One line; what helps stands on the next one."""
        text = Text(f"{self.mark} ", style=_STYLES[self.mark])
        text.append(f"{self.what:<16}", style="bold" if self.mark == "✗" else "")
        text.append(self.found, style="dim" if self.mark == "–" else "")
        if self.todo:
            text.append(f"\n{'':18}→ {self.todo}", style="yellow" if self.mark == "✗" else "dim")
        return text


def right(what: str, found: str, todo: str = "") -> Verdict:
    """✓"""
    return Verdict("✓", what, found, todo)


def wrong(what: str, found: str, todo: str) -> Verdict:
    """✗"""
    return Verdict("✗", what, found, todo)


def unset(what: str, found: str, todo: str = "") -> Verdict:
    """–"""
    return Verdict("–", what, found, todo)
