"""A call's story: the entries of its transcript, put into turns, as they stand in `call.json`.

Times ending in `at` are epoch seconds.
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from callbus import transcript as tr


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
    by_operator: bool = False
    """An operator at the console had it said."""


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
    """Its request failed, or what it was said to do turned out to be impossible; `result` says which."""


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


class Story:
    """`add` every entry in the order of the transcript; then read what came of them."""

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
                prompt = entry.reply_to == 0 and not entry.by_operator
                sentence = BotSentence(at=entry.at, text=entry.text, prompt=prompt, by_operator=entry.by_operator)
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
