"""The language model's tools: each call is run once, and told of to model and caller, whatever becomes of the reply."""

from __future__ import annotations

from dataclasses import replace

from ai_worker.conversation.actions import UseTool
from ai_worker.conversation.context import Context
from ai_worker.conversation.events import ToolDone
from ai_worker.conversation.mouth import Reply
from ai_worker.providers.base import ToolCall
from callbus import transcript

LATE_RESULT = "It did not answer in time, and whether it was done is not known."


class ToolUse:
    """A reply asks for tools while it is written, and waits for them when it is written.

    When the caller has gone on, they run on: `news` says that there are results of which the model was told nothing.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._running: dict[str, tuple[ToolCall, float]] = {}
        """The calls by their ids, each with the time at which it is given up."""
        self._waits = 0
        self.news = False

    @property
    def running(self) -> bool:
        """Whether any tool is at work."""
        return bool(self._running)

    def asked(self, reply: Reply, call: ToolCall) -> None:
        """The model calls a tool. The same call with the same id, once more in one reply, is no new call."""
        if call in reply.asked:
            return
        reply.asked.add(call)
        if call.id in self._context.history.exchanges or call.id in (other.id for other in reply.calls):
            # Some servers count the calls of each answer from 0.
            call = replace(call, id=f"call_{self._context.new_id().replace('.', '_')}")
        reply.calls.append(call)

    def use(self, reply: Reply) -> None:
        """The answer is whole: run what it asked for."""
        context = self._context
        reply.rounds += 1
        reply.to_tell = False
        calls, reply.calls = reply.calls, []
        if not self._running:
            self._waits = 0
        for call in calls:
            reply.working[call.id] = call
            self._running[call.id] = call, context.now + context.options.tool_limit
            context.history.asked(call, running=True)
            self._write(call, "asked", "")
            context.emit(UseTool(call))
        context.after("filler", context.options.filler_after)
        self._set_timer()

    def done(self, reply: Reply | None, event: ToolDone) -> bool:
        """A tool has ended; whether that was the last one that the reply waited for.

        What comes after the caller has gone on is news.
        """
        exchange = self._context.history.answered(event.tool_call_id, event.text)
        if exchange is None:
            return False
        self._running.pop(event.tool_call_id, None)
        self._set_timer()
        self._write(exchange.call, "failed" if event.failed else "done", event.text)
        if reply is None or reply.working.pop(event.tool_call_id, None) is None:
            self.news = self.news or event.request is None
            return False
        reply.to_tell = reply.to_tell or event.request is None
        if not reply.working:
            self._context.timers.cancel("filler")
        return not reply.working

    def too_long(self) -> list[str]:
        """The calls that have not been answered in time."""
        return [call_id for call_id, (_, deadline) in self._running.items() if deadline <= self._context.now]

    def undone(self, tool_call_id: str, result: str) -> None:
        """What a tool call wanted done on the line was not done: that is its result. Without a tool call, it is not
        told."""
        if exchange := self._context.history.failed(tool_call_id, result):
            self._write(exchange.call, "failed", result)

    def filler(self) -> str:
        """What to say while tools run: their own words first, then others; "" when there are no more."""
        persona = self._context.persona
        waits, self._waits = self._waits, self._waits + 1
        if waits == 0:
            fillers = (persona.fillers.get(call.name) for call, _ in self._running.values())
            return next((text for text in fillers if text), persona.filler)
        return persona.long_waits[(waits - 1) % len(persona.long_waits)] if persona.long_waits else ""

    def _set_timer(self) -> None:
        if self._running:
            self._context.timers.set("tools", min(deadline for _, deadline in self._running.values()))
        else:
            self._context.timers.cancel("tools")

    def _write(self, call: ToolCall, state: transcript.ToolState, result: str) -> None:
        context = self._context
        context.write(
            transcript.ToolUsed(context.now, context.history.turn, call.id, call.name, call.arguments, state, result)
        )
