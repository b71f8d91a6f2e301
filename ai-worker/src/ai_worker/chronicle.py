"""What is written down of one call: entries of its transcript, with what only the worker knows of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from ai_worker.call_clock import CallClock
from ai_worker.conversation.history import History
from ai_worker.hops import Hops
from ai_worker.metrics import Metrics
from ai_worker.outbox import Outbox
from ai_worker.providers.usage import Usage
from callbus import transcript

if TYPE_CHECKING:
    from ai_worker.turn_traces import TurnTraces


class Chronicle:
    """Writes to `outbox`; the metrics, and the traces where calls are traced, hear of the conversation's entries too.

    `read_up_to` tells the newest entry of the call's in stream that was read.
    """

    def __init__(
        self,
        outbox: Outbox,
        history: History,
        hops: Hops,
        clock: CallClock,
        metrics: Metrics,
        traces: TurnTraces | None,
        read_up_to: Callable[[], bytes],
    ) -> None:
        self._outbox = outbox
        self._history = history
        self._hops = hops
        self._clock = clock
        self._metrics = metrics
        self._traces = traces
        self._read_up_to = read_up_to
        self._notes: set[str] = set()

    def write(self, entry: transcript.Entry) -> None:
        """An entry of the conversation's."""
        entry = self._completed(entry)
        self._outbox.write(entry)
        self._metrics.wrote(entry)
        if isinstance(entry, transcript.CallerSaid | transcript.Answered):
            self._notes.clear()
        if self._traces:
            self._traces.wrote(entry)

    def used(self, usage: Usage) -> None:
        """A request to a provider has used this."""
        self._outbox.write(transcript.Used(self._clock.now(), self._history.turn, **dataclasses.asdict(usage)))

    def noted(self, note: str) -> None:
        """Somebody has something to say of the answer; the same is written once."""
        # A provider that is kept out is so for every sentence of an answer.
        if note not in self._notes:
            self._notes.add(note)
            self._outbox.write(transcript.Noted(self._clock.now(), note))

    def _completed(self, entry: transcript.Entry) -> transcript.Entry:
        # Where a successor goes on listening, and the ways through Redis, are known here only.
        match entry:
            case transcript.CallerSaid():
                return dataclasses.replace(entry, in_id=self._read_up_to().decode())
            case transcript.TurnTimed():
                return self._hops.timed(entry, self._clock.bus_ahead)
            case _:
                return entry
