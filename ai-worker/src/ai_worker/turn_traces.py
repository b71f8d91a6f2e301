"""One call's traces, one for each turn of the caller's: from the end of what he said to the end of the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from callbus.otlp import Span, Tracer
from callbus.tracing import Attributes
from callbus.transcript import CallerSaid, Entry, TurnTimed


@dataclass(slots=True)
class _Turn:
    """`utterance` is what the caller says in it, as the conversation counts them; None: nothing."""

    span: Span
    utterance: int | None
    answered: bool = False
    over: bool = False


class TurnTraces:
    """Times are s by the call's clock, of which `now` is asked; spans are on Redis' clock.

    `about` is said of every turn. `follows` is the traceparent of the trace in which the call came to this worker.
    """

    def __init__(
        self, tracer: Tracer, call_id: str, about: Attributes, *, turn: int, follows: str, now: Callable[[], float]
    ) -> None:
        self._tracer = tracer
        self._call_id = call_id
        self._about = about
        self._follows = follows
        self._now = now
        self._turn = turn
        self._answering: _Turn | None = None
        self._listening: _Turn | None = None
        self._utterance: int | None = None
        self._speech_end: float | None = None
        self._paused_at: float | None = None

    def of(self, turn: int) -> Span:
        """The span to work below for a turn: the one that is answered, or the next one, which is listened to."""
        if turn > self._turn:
            self._listening = self._listening or self._begun(turn, self._speech_end)
            return self._listening.span
        self._answering = self._answering or self._begun(self._turn, None)
        return self._answering.span

    # --- what happens in the call

    def listening(self, utterance: int) -> None:
        """The caller says something: what was begun for an earlier utterance that was no turn is over."""
        if utterance != self._utterance:
            self._utterance = utterance
            self._speech_end = None
            if self._listening and self._listening.utterance != utterance:
                self._end(self._listening, {"turn.dismissed": True})
                self._listening = None

    def paused(self, speech_end: float, *, sure: bool) -> None:
        """The caller's last sound came to the streamer at `speech_end`; that it was the last one is known now, and, if
        `sure`, after a pause that is long enough to ask for its words.
        """
        self._speech_end = speech_end
        if sure:
            self._paused_at = self._now()

    def _taken(self, turn: int) -> None:
        """The caller's turn is over, and is answered from now on."""
        self.silent(final=True)
        current = self._listening or self._begun(turn, self._speech_end)
        self._turn, self._answering, self._listening = turn, current, None
        if self._speech_end is not None:
            start = self._speech_end + self._shift
            current.span.add("end of turn", start=start, end=self._tracer.now())

    def wrote(self, entry: Entry) -> None:
        """An entry of the transcript says how the turn goes on."""
        match entry:
            case CallerSaid():
                self._taken(entry.turn)
            case TurnTimed():
                self._timed(entry)
            case _:
                pass

    def _timed(self, timed: TurnTimed) -> None:
        """The answer is heard: where its time went, and the way of the audio that showed the end of the speech."""
        current = self._answering
        if current is None or timed.turn != self._turn:
            return
        current.answered = True
        stages = {f"stage.{name}_ms": ms for name, ms in timed.stages.items()}
        hops = {f"hop.{way}_ms": ms for way, ms in timed.hops.items()}
        way_in = timed.hops.get("in", 0.0) / 1000
        if self._paused_at is not None and "in" in timed.hops:
            told = self._paused_at + self._shift
            current.span.add("redis.in", hops, start=told - way_in, end=told)
        if self._speech_end is not None and timed.voice_to_voice_ms is not None:
            start = self._speech_end + self._shift
            length = max(0.0, timed.voice_to_voice_ms / 1000)
            heard = {"voice_to_voice_ms": timed.voice_to_voice_ms, **stages, **hops}
            current.span.add("voice to voice", heard, start=start, end=start + length)

    def silent(self, *, final: bool = False) -> None:
        """The bot says nothing more: an answer that was heard is over; if `final`, whatever became of it."""
        current = self._answering
        if current and not current.over and (final or current.answered):
            self._end(current, {"turn.answered": current.answered})

    def close(self) -> None:
        """The call is over, here at least."""
        self.silent(final=True)
        if self._listening:
            self._end(self._listening, {"turn.dismissed": True})
            self._listening = None

    # --- spans

    @property
    def _shift(self) -> float:
        """How far Redis' clock is ahead of the call's."""
        return self._tracer.now() - self._now()

    def _begun(self, turn: int, start: float | None) -> _Turn:
        about = {**self._about, "turn.number": turn}
        begun = None if start is None else start + self._shift
        span = self._tracer.begin("turn", self._call_id, about, start=begun, follows=self._follows)
        # Nobody asked for a greeting: it is over when it was said.
        return _Turn(span, self._utterance if turn > self._turn else None, answered=turn == 0)

    def _end(self, turn: _Turn, attributes: Attributes) -> None:
        turn.over = True
        turn.span.set(attributes)
        turn.span.end()
