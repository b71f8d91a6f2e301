"""A world on virtual time around a `Conversation`: caller, line, providers, and workers that crash.

Nothing sleeps: `run` moves the time from one thing that happens to the next. What was heard is told by the audio itself
(see conversation_line), never by what the conversation believes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Literal, TypeVar

from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.conversation.machine import Conversation
from ai_worker.conversation.persona import Persona, TurnTaking
from ai_worker.conversation.rebuild import rebuilt_history
from ai_worker.providers.base import ChatMessage, ToolCall
from callbus import transcript
from callbus.media import Wish
from support.conversation_caller import Caller
from support.conversation_line import Speech, Streamer, Wire
from support.conversation_providers import Answer, Latency, Work
from support.conversation_worker import Worker

START = 10_000.0
TAKEOVER_S = 3.0
"""A worker's lease: so long after its crash the next one begins."""
MOST_STEPS = 200_000
LOOK_S = 0.1
"""How often it is looked whether something has come true, where nothing happens."""

E = TypeVar("E", bound=transcript.Entry)

__all__ = ["Answer", "Latency", "Work", "World"]


def _some_answer(_messages: tuple[ChatMessage, ...]) -> Answer:
    return Answer("That is a fine question indeed.")


def _well(_request: object) -> Literal["ok"]:
    return "ok"


def _no_answer(_call: ToolCall) -> Work:
    return Work(3600.0, "")


@dataclass
class World:
    """One call. Script it with `caller`, the fault hooks and `at`, let it happen with `run` or `until`, then look."""

    persona: Persona = field(default_factory=lambda: Persona("Hello, this is the library. How can I help you?"))
    options: TurnTaking = field(default_factory=TurnTaking)
    latency: Latency = field(default_factory=Latency)
    skew: float = 0.0
    """How much the streamer's clock is ahead of the worker's (s)."""
    answers: Callable[[tuple[ChatMessage, ...]], Answer] = field(default=_some_answer)
    speech_to_text: Callable[[act.Transcribe], Literal["ok", "fails", "stalls"]] = field(default=_well)
    tools: Callable[[ToolCall], Work] = field(default=_no_answer)
    text_to_speech: Callable[[str], Literal["ok", "fails", "breaks", "stalls"]] = field(default=_well)
    crashes: frozenset[int] = frozenset()
    """The worker dies when so many entries of the transcript are written."""

    now: float = START
    entries: list[transcript.Entry] = field(default_factory=list)
    actions: list[tuple[float, act.Action]] = field(default_factory=list)
    finish: act.Finish | None = None
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._in_stream: list[ev.Event] = []
        self.speech = Speech()
        self.wire = Wire(self.speech)
        self.streamer = Streamer(self.wire, now=lambda: self.now, later=self.later, tell=self._publish, skew=self.skew)
        self.caller = Caller(began=self.now, now=lambda: self.now, later=self.later, tell=self._publish, skew=self.skew)
        self.later(0.0, self._claim)

    # --- time

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + seconds, next(self._order), do))

    def run(self, seconds: float | None = None) -> World:
        """Let it happen: to the end of the conversation, or for so many seconds."""
        until = None if seconds is None else self.now + seconds
        for _ in range(MOST_STEPS):
            moment = self._next()
            if self.finish or moment is None or (until is not None and moment > until):
                self.now = max(self.now, until or self.now)
                return self
            self._step(moment)
        raise AssertionError("the conversation turns in circles")

    def until(self, reached: Callable[[], bool], *, limit: float = 60.0) -> World:
        """Let it happen until `reached`; fails when it is not within `limit` s."""
        deadline = self.now + limit
        while not reached():
            moment = self._next()
            assert moment is not None, f"nothing more will happen: {self.story()}"
            assert not self.finish, f"the call is over: {self.story()}"
            assert moment <= deadline, f"not within {limit} s: {self.story()}"
            if moment > self.now + LOOK_S:
                self.now += LOOK_S
            else:
                self._step(moment)
        return self

    def until_heard(self, words: str, *, limit: float = 60.0) -> World:
        """Until the caller has heard these words."""
        looked = self.now - LOOK_S

        def reached() -> bool:
            nonlocal looked
            if self.now - looked < LOOK_S / 2:
                return False
            looked = self.now
            return words in self.heard

        return self.until(reached, limit=limit)

    def until_turn(self, *, limit: float = 60.0) -> World:
        """Until the bot has said what it had to say and listens."""
        return self.until(
            lambda: (
                bool(self.workers)
                and self.worker.lives()
                and self.worker.conversation.state == "listening"
                and not self.streamer.playing
                and not self.worker.voice.busy
            ),
            limit=limit,
        )

    def lose_line(self, seconds: float, *, silently: bool = False) -> None:
        """The media connection breaks now, and is back after `seconds`. `silently`: the streamer died with it."""
        self.caller.be_lost()
        (self.streamer.die if silently else self.streamer.lose)()

        def back() -> None:
            self.caller.be_heard_again()
            self.streamer.come_back()

        self.later(seconds, back)

    def lose_audio(self, seconds: float) -> None:
        """What the caller says from now on for so long never reaches the worker: Redis is away."""
        self.caller.be_lost()

        def back() -> None:
            self.caller.be_heard_again()
            self._publish(ev.AudioLost(round(1000 * seconds)))

        self.later(seconds, back)

    def _next(self) -> float | None:
        wakes = [self._queue[0][0]] if self._queue else []
        if self.workers and self.worker.lives() and (wake := self.worker.conversation.next_wake) is not None:
            wakes.append(max(wake, self.now))
        return min(wakes, default=None)

    def _step(self, moment: float) -> None:
        self.now = max(self.now, moment)
        if self._queue and self._queue[0][0] <= self.now:
            heapq.heappop(self._queue)[2]()
        else:
            self.worker.tell(ev.Tick())

    # --- the workers

    @property
    def worker(self) -> Worker:
        return self.workers[-1]

    @property
    def conversation(self) -> Conversation:
        return self.worker.conversation

    def crash(self) -> None:
        """The worker dies here and now; after its lease another one takes the call over."""
        self.worker.dead = True
        self.later(TAKEOVER_S, self._claim)

    def _claim(self) -> None:
        takeover = bool(self.workers)
        history = rebuilt_history(self.entries)
        conversation = Conversation(self.persona, self.options, history=history, prefix=str(len(self.workers) + 1))
        after = int(history.resume_from or -1)
        worker = Worker(self, conversation, past=len(self._in_stream) - 1 if takeover else -1, read_up_to=after)
        self.workers.append(worker)
        if takeover:
            self.command(self.streamer.take_over)
        worker.tell(ev.Begin(self.now - START))
        for index in range(after + 1, worker.past + 1):
            self._read(index)

    def write(self, entry: transcript.Entry) -> None:
        """A worker adds this to the transcript; it may be its last."""
        self.entries.append(entry)
        if len(self.entries) in self.crashes:
            self.crash()

    # --- the operator

    def operator(self, wish: Wish, argument: str = "", *, after: float = 0.0) -> None:
        """A person at the console wants something done, `after` so many seconds."""
        self.later(after, lambda: self._publish(ev.OperatorAsked(f"{len(self._in_stream)}-0", wish, argument)))

    # --- the bus

    def command(self, do: Callable[[], None]) -> None:
        """Something that the worker asks of the streamer."""
        self.later(self.latency.bus, do)

    def _publish(self, event: ev.Event) -> None:
        self._in_stream.append(event)
        index = len(self._in_stream) - 1
        self.later(self.latency.bus, lambda: self._read(index))

    def _read(self, index: int) -> None:
        self.worker.read(index, self._in_stream[index])

    # --- what became of it

    @property
    def heard(self) -> str:
        """The words that the caller has heard whole, in order."""
        return " ".join(heard.word for heard in self.wire.heard(self.now))

    def written(self, kind: type[E]) -> list[E]:
        return [entry for entry in self.entries if isinstance(entry, kind)]

    @property
    def caller_said(self) -> list[str]:
        return [entry.text for entry in self.entries if isinstance(entry, transcript.CallerSaid)]

    @property
    def action_states(self) -> list[tuple[str, str]]:
        return [(entry.kind, entry.state) for entry in self.entries if isinstance(entry, transcript.Acted)]

    @property
    def notes(self) -> list[str]:
        return [entry.note for entry in self.entries if isinstance(entry, transcript.Noted)]

    @property
    def thoughts(self) -> list[act.Think]:
        return [action for _, action in self.actions if isinstance(action, act.Think)]

    def silences(self) -> Iterable[tuple[float, float]]:
        """When neither the bot nor the caller made a sound, up to now: (from, length)."""
        sounds = self.wire.sounding() + [(s.start, s.end) for s in self.caller.stretches if s.start < self.now]
        reached = START
        for start, end in sorted([*sounds, (self.now, self.now)]):
            if start > reached:
                yield reached, start - reached
            reached = max(reached, end)

    @property
    def longest_silence(self) -> float:
        return max((length for _, length in self.silences()), default=0.0)

    def story(self) -> str:
        """What happened, for a person who wants to know why a test failed."""
        lines = [f"{entry.at - START:7.2f} {entry}" for entry in self.entries]
        lines.append(f"{self.now - START:7.2f} now; heard: {self.heard}; said: {self.caller.stretches}")
        return "\n".join(["", *lines])
