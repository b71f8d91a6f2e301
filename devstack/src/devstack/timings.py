"""The table of a call's stages: where the time of each answer went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from rich.table import Table

from callbus.transcript import TurnTimed

VOICE_TO_VOICE = "voice to voice"
LAST = ("hop in", "hop out", VOICE_TO_VOICE)
"""What is no moment of the turn stands behind those that are."""


def stage_rows(timings: Sequence[TurnTimed]) -> tuple[list[str], dict[int, dict[str, float]]]:
    """The stages in the order in which they are passed, and each turn's ms by stage.

    A turn that was timed twice (speculation, a takeover) counts with its last times.
    """
    turns: dict[int, dict[str, float]] = {}
    for timed in timings:
        total = {} if timed.voice_to_voice_ms is None else {VOICE_TO_VOICE: timed.voice_to_voice_ms}
        hops = {f"hop {way}": ms for way, ms in timed.hops.items()}
        turns[timed.turn] = {**timed.stages, **hops, **total}
    # A turn that passed fewer stages (a rule in place of the LLM, say) says nothing of the order of the others.
    order: list[str] = []
    for row in sorted(turns.values(), key=len, reverse=True):
        order += [stage for stage in sorted(row, key=row.__getitem__) if stage not in order]
    order.sort(key=lambda stage: LAST.index(stage) if stage in LAST else -1)
    return order, turns


def stages_table(timings: Sequence[TurnTimed], questions: Mapping[int, str]) -> Table | None:
    """One row a turn and their median; None when nothing was timed."""
    stages, turns = stage_rows(timings)
    if not stages:
        return None
    table = Table(title="ms after the caller's last word", title_justify="left")
    table.add_column("turn", justify="right")
    table.add_column("caller said", max_width=36, no_wrap=True, overflow="ellipsis")
    for stage in stages:
        table.add_column(stage.replace("_", " "), justify="right")
    for turn, row in sorted(turns.items()):
        cells = (f"{row[stage]:.0f}" if stage in row else "–" for stage in stages)
        table.add_row(str(turn), questions.get(turn, ""), *cells)
    table.add_section()
    medians = (f"{median(row[stage] for row in turns.values() if stage in row):.0f}" for stage in stages)
    table.add_row("", "median", *medians, style="bold")
    return table
