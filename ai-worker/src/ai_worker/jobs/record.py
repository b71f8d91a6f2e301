"""The call's record: who called, what was said and heard, what was done, and how it ended. What `call.json` holds.

Times ending in `at` are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from ai_worker.jobs import unserved
from ai_worker.jobs.costs import Costs, summed
from ai_worker.jobs.prices import Prices
from ai_worker.jobs.recording import Recording
from ai_worker.jobs.story import Claim, Story, Turn
from callbus import transcript as tr

EndedBy = Literal["caller", "bot", "transfer", "system"]


class AfterCall(BaseModel):
    """An event that Ringover sent after the call: `record_available`, `summary_available`, … with its own data."""

    event: str
    at: float
    data: dict[str, Any]


class CallRecord(BaseModel):
    """`call.json`, version 1."""

    version: Literal[1] = 1
    call_id: str
    direction: str | None
    from_number: str | None
    to_number: str | None
    agent: str | None
    times: dict[str, float]
    duration_s: float | None
    """From the first sound of the media to its end (or the conversation's)."""
    outcome: str | None
    reason: str | None
    ended_by: EndedBy | None
    amd: str | None = None
    """Ringover's answering_machine_detection: HUMAN, MACHINE or NOTSURE, where its webhook told it."""
    machine: str | None = None
    """What gave an answering machine away to the bot; null when it took the caller for a person."""
    claims: list[Claim]
    turns: list[Turn]
    recording: Recording | None
    unreadable: list[str]
    """Transcript entries that could not be read."""
    summary: str | None = None
    """A language model's, in the caller's language; null while there is none."""
    labels: list[str] = Field(default_factory=list)
    """What became of the call, by the same model: some of ai_worker.jobs.summary.LABELS."""
    caller_wish: str | None = None
    """What the caller wanted, in a few words, by the same model."""
    aftercall: list[AfterCall] = Field(default_factory=list)
    costs: Costs | None = None
    """What the providers' requests used, the summary's too; null in records from before that was counted."""


def build_record(
    call_id: str,
    call: Mapping[str, str],
    entries: Iterable[tr.Entry],
    *,
    recording: Recording | None = None,
    unreadable: Iterable[str] = (),
    prices: Prices | None = None,
) -> CallRecord:
    """The record, from the call's hash and its transcript."""
    story = Story()
    for entry in entries:
        story.add(entry)
    times = {name: time for name, value in call.items() if name in _TIMES and (time := _number(value)) is not None}
    outcome = story.finished.outcome if story.finished else call.get("outcome")
    reason = story.finished.reason if story.finished else None
    if outcome is None and not story.claims and unserved.was_unserved(call):
        outcome, reason = unserved.OUTCOME, unserved.REASON
    begun = times.get("media_at")
    over = times.get("media_ended_at") or (story.finished.at if story.finished else times.get("finished_at"))
    return CallRecord(
        call_id=call_id,
        direction=call.get("direction"),
        from_number=call.get("from_number"),
        to_number=call.get("to_number"),
        agent=story.claims[-1].agent if story.claims else call.get("agent"),
        times=dict(sorted(times.items(), key=lambda named: named[1])),
        duration_s=round(over - begun, 3) if begun is not None and over is not None else None,
        outcome=outcome,
        reason=reason,
        ended_by=_ended_by(outcome, story),
        amd=call.get("amd"),
        machine=story.machine,
        claims=story.claims,
        turns=story.turns,
        recording=recording,
        unreadable=list(unreadable),
        costs=summed(story.used, prices),
    )


_TIMES = frozenset(
    (
        "first_seen",
        "ringing_at",
        "answered_at",
        "ended_at",
        "media_at",
        "claimed_at",
        "finished_at",
        "media_ended_at",
    )
)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _ended_by(outcome: str | None, story: Story) -> EndedBy | None:
    if outcome == "caller_left":
        return "caller"
    if outcome == "transferred":
        return "transfer"
    if outcome == "failed":
        return "system"
    if outcome == "bot_ended" or any(action.kind == "hangup" and action.done_at for action in story.actions.values()):
        return "bot"
    return "caller" if outcome == "completed" else None
