"""What one call's worker orders of the streamer: commands with the call's id and epoch, and with its span if traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ai_worker.conversation import actions as act
from ai_worker.outbox import Outbox
from callbus import commands, tracing
from callbus.claims import Lease

if TYPE_CHECKING:
    from callbus.otlp import Span


class Orders:
    """Sends through `outbox`; `span` is the turn that an order is part of, None where calls are not traced."""

    def __init__(self, outbox: Outbox, lease: Lease, span: Callable[[], Span | None]) -> None:
        self._outbox = outbox
        self._call_id = lease.call_id
        self._epoch = lease.epoch
        self._span = span
        self._speaking = ""

    def begin(self, *, takeover: bool, recording: bool) -> None:
        """The call is this worker's from now on."""
        if takeover:
            self._outbox.send(commands.TakeOver(self._call_id, self._epoch))
        else:
            self._outbox.send(commands.Record(self._call_id, self._epoch, recording))

    def speak(self, segment: str, pcm: bytes, last: bool) -> None:
        """See commands.Speak."""
        # A sentence's first audio tells the streamer whose work it is; more of it would be told the same.
        span = tracing.current() if segment != self._speaking else None
        self._speaking = segment
        self._outbox.send(commands.Speak(self._call_id, self._epoch, segment, pcm, last), span)

    def be_silent(self) -> None:
        """See commands.Break."""
        self._outbox.send(commands.Break(self._call_id, self._epoch), self._span())

    def act(self, action: act.Act) -> None:
        """Transfer, press digits, play a file, or hang up."""
        call_id, epoch, action_id, argument = self._call_id, self._epoch, action.action_id, action.argument
        command: commands.Command
        match action.kind:
            case "transfer":
                command = commands.Transfer(call_id, epoch, action_id, argument)
            case "digits":
                command = commands.Digits(call_id, epoch, action_id, argument)
            case "play":
                command = commands.Play(call_id, epoch, action_id, argument)
            case "hangup":
                command = commands.Hangup(call_id, epoch, action_id)
        self._outbox.send(command, self._span())
