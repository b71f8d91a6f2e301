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
from callbus import transcript as tr

EndedBy = Literal["caller", "bot", "transfer", "system"]


class CallerWords(BaseModel):
    """What the caller said; the times enclose the speech."""

    text: str
    started_at: float
    ended_at: float


class Pressed(BaseModel):
    at: float
    digits: str


class BotSentence(BaseModel):
    """A sentence of the bot. `heard_text` is what the caller heard of it; null: nothing says that it was played."""

    at: float
    text: str
    heard_text: str | None = None
    interrupted: bool = False
    started_at: float | None = None
    ended_at: float | None = None
    prompt: bool = False
    """Said of the bot's own accord: the greeting, a question after silence, an apology."""


class Action(BaseModel):
    """Something done on the line; `done_at` is null for what was asked for and never happened."""

    kind: str
    argument: str
    asked_at: float | None = None
    done_at: float | None = None


class ToolCall(BaseModel):
    """A tool that the language model called; without `done_at`, nothing says whether it had its effect."""

    name: str
    arguments: str
    asked_at: float
    done_at: float | None = None
    result: str | None = None
    failed: bool = False
    """What it was said to do turned out to be impossible."""


class Note(BaseModel):
    at: float
    note: str


class Timing(BaseModel):
    """Where the time of the answer went: ms after the end of the caller's speech."""

    stages: dict[str, float]
    voice_to_voice_ms: float | None


class Turn(BaseModel):
    """What the caller said and all that followed until they spoke again; turn 0 is what came before they did."""

    turn: int
    caller: CallerWords | None = None
    pressed: list[Pressed] = Field(default_factory=list)
    bot: list[BotSentence] = Field(default_factory=list)
    actions: list[Action] = Field(default_factory=list)
    tools: list[ToolCall] = Field(default_factory=list)
    notes: list[Note] = Field(default_factory=list)
    timing: Timing | None = None


class Claim(BaseModel):
    """A worker took the call; more than one when a worker was lost."""

    at: float
    worker: str
    epoch: int
    agent: str


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
    story = _Story()
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


def _ended_by(outcome: str | None, story: _Story) -> EndedBy | None:
    if outcome == "caller_left":
        return "caller"
    if outcome == "transferred":
        return "transfer"
    if outcome == "failed":
        return "system"
    if outcome == "bot_ended" or any(action.kind == "hangup" and action.done_at for action in story.actions.values()):
        return "bot"
    return "caller" if outcome == "completed" else None


class _Story:
    """Puts the transcript's entries into turns."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.claims: list[Claim] = []
        self.finished: tr.Finished | None = None
        self.machine: str | None = None
        self.actions: dict[str, Action] = {}
        self.used: list[tr.Used] = []
        self._numbered: dict[int, Turn] = {}
        self._sentences: dict[str, BotSentence] = {}
        self._tools: dict[str, ToolCall] = {}
        self._seen: set[tr.Entry] = set()

    def add(self, entry: tr.Entry) -> None:
        # An outage of Redis can write an entry twice: to the millisecond the same, it is the same.
        if not isinstance(entry, tr.TurnTimed):
            if entry in self._seen:
                return
            self._seen.add(entry)
        match entry:
            case tr.Claimed():
                if self.finished:
                    self._begin_anew()
                self.claims.append(Claim(at=entry.at, worker=entry.worker, epoch=entry.epoch, agent=entry.agent))
            case tr.CallerSaid():
                words = CallerWords(text=entry.text, started_at=entry.started_at, ended_at=entry.at)
                self._open(Turn(turn=entry.turn, caller=words))
            case tr.CallerPressed():
                self._now().pressed.append(Pressed(at=entry.at, digits=entry.digits))
            case tr.BotSays():
                sentence = BotSentence(at=entry.at, text=entry.text, prompt=entry.reply_to == 0)
                self._sentences[entry.segment] = sentence
                self._of(entry.reply_to).bot.append(sentence)
            case tr.BotHeard():
                if (said := self._sentences.get(entry.segment)) is not None:
                    said.heard_text, said.interrupted = entry.heard_text, entry.interrupted
                    said.started_at, said.ended_at = entry.started_at, entry.at
            case tr.TurnTimed():
                timing = Timing(stages=entry.stages, voice_to_voice_ms=entry.voice_to_voice_ms)
                self._of(entry.turn).timing = timing
            case tr.Acted():
                self._act(entry)
            case tr.ToolUsed(state="asked"):
                tool = ToolCall(name=entry.name, arguments=entry.arguments, asked_at=entry.at)
                self._tools[entry.tool_call_id] = tool
                self._of(entry.turn).tools.append(tool)
            case tr.ToolUsed():
                if (used := self._tools.get(entry.tool_call_id)) is not None:
                    used.done_at, used.result, used.failed = entry.at, entry.result, entry.state == "failed"
            case tr.MachineHeard():
                self.machine = entry.sign
            case tr.Noted():
                self._now().notes.append(Note(at=entry.at, note=entry.note))
            case tr.Used():
                self.used.append(entry)
            case tr.Finished():
                self.finished = entry

    def _act(self, entry: tr.Acted) -> None:
        action = self.actions.get(entry.action_id)
        if action is None:
            action = self.actions[entry.action_id] = Action(kind=entry.kind, argument=entry.argument)
            self._now().actions.append(action)
        if entry.state == "done":
            action.done_at = action.done_at or entry.at
        elif entry.state == "asked":
            action.asked_at = action.asked_at or entry.at

    def _begin_anew(self) -> None:
        """The call came back after its conversation was over: the numbers of its turns and segments begin anew."""
        self.finished = None
        self._numbered.clear()
        self._sentences.clear()
        self._tools.clear()
        self.actions.clear()
        self._open(Turn(turn=0))

    def _open(self, turn: Turn) -> None:
        self.turns.append(turn)
        self._numbered[turn.turn] = turn

    def _now(self) -> Turn:
        if not self.turns:
            self._open(Turn(turn=0))
        return self.turns[-1]

    def _of(self, number: int) -> Turn:
        """The caller's turn of that number; what answers none (0) belongs to where it was said."""
        return (self._numbered.get(number) if number else None) or self._now()
