"""`ai-worker check-agents [DIR]`: are the agents' files right? For whoever writes them, and for CI."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ai_worker.agents import Agent, AgentError, load_agents
from ai_worker.settings import Seam
from ai_worker.tools import missing_secrets


def check_agents(argv: Sequence[str]) -> int:
    """One line for each agent on stdout, or for each problem on stderr. The exit code: 0, or 1 for problems."""
    parser = argparse.ArgumentParser("ai-worker check-agents", description="Check the agents' files of a folder.")
    parser.add_argument(
        "directory",
        metavar="DIR",
        nargs="?",
        type=Path,
        default=Path(os.environ.get("AGENTS_DIR") or "agents"),
        help="the folder (AGENTS_DIR, else agents)",
    )
    directory: Path = parser.parse_args(argv).directory
    try:
        book = load_agents(directory, providers=_providers_set_here())
    except AgentError as error:
        sys.stderr.writelines(f"{problem}\n" for problem in error.problems)
        return 1
    for path, agent in book.files.items():
        sys.stdout.write(f"{path}: OK: {_summary(agent)}\n")
    # Not a mistake in a file: the machine that checks is seldom the one that calls.
    sys.stderr.writelines(f"note: {line}\n" for line in missing_secrets(book.agents, os.environ))
    return 0


def _providers_set_here() -> dict[Seam, tuple[str, ...]]:
    """Those of the lists that name them; "auto" depends on keys, which the machine that checks seldom has."""
    seams: tuple[Seam, ...] = ("stt", "llm", "tts")
    given = {seam: os.environ.get(f"{seam.upper()}_PROVIDERS", "auto") for seam in seams}
    named = {seam: tuple(name.strip().lower() for name in text.split(",")) for seam, text in given.items()}
    return {seam: names for seam, names in named.items() if names != ("auto",)}


def _summary(agent: Agent) -> str:
    numbers = [*agent.numbers, *(["all other numbers"] if agent.is_default else [])]
    tools = ", ".join(agent.tool_names) or "none"
    return f"{agent.name} answers {', '.join(numbers)}; tools: {tools}"
