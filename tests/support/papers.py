"""Reads the project's Markdown: its headings, links and fenced commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the paper it stands in, its language ("" if none) and its text."""

    paper: Path
    language: str
    text: str


def papers() -> list[Path]:
    """README, the pages at the root, and all of docs/."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(paper: Path) -> list[Block]:
    """The fenced blocks of a paper."""
    found = _FENCE.findall(paper.read_text(encoding="utf-8"))
    return [Block(paper, language, text) for language, text in found]


def prose(paper: Path) -> str:
    """The paper without its fenced blocks."""
    return _FENCE.sub("", paper.read_text(encoding="utf-8"))


def links(paper: Path) -> list[str]:
    """Where its links lead, other sites left out."""
    return [link for link in _LINK.findall(prose(paper)) if not re.match(r"[a-z]+:", link)]


def anchors(paper: Path) -> set[str]:
    """The headings as a link names them."""
    titles = re.findall(r"^#+ (.+)$", prose(paper), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def commands() -> Iterator[tuple[Path, str]]:
    """Each line of each `sh` block, continued lines as one; of README also of the blocks that name no language."""
    for paper in papers():
        for block in blocks(paper):
            if block.language == "sh" or (paper.name == "README.md" and re.match(r"make ", block.text)):
                for line in block.text.replace("\\\n", " ").splitlines():
                    if line.strip() and not line.lstrip().startswith("#"):
                        yield paper, line.strip()


def parts(line: str) -> list[list[str]]:
    """The commands of a pipeline as words, without comments, and without what is set for them in front."""
    found = []
    words = shlex.split(line, comments=True)
    while words:
        end = words.index("|") if "|" in words else len(words)
        command, words = words[:end], words[end + 1 :]
        while command and re.match(r"[A-Z_]+=", command[0]):
            command.pop(0)
        found.append(command)
    return found
