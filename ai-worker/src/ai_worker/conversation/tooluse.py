"""The language model's tools: each call is run once, and told of to the model, whatever becomes of the reply."""

from __future__ import annotations

from ai_worker.conversation.actions import UseTool
from ai_worker.conversation.context import Context
from ai_worker.conversation.events import ToolDone
from ai_worker.conversation.mouth import Reply
from ai_worker.providers.base import ToolCall
from callbus import transcript

LATE_RESULT = "It did not answer in time, and whether it was done is not known."


class ToolUse:
    """A reply asks for tools while it is written, and waits for them when it is written."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def asked(self, reply: Reply, call: ToolCall) -> None:
        """The model calls a tool. A call id that was used before in this conversation is no new call."""
        if call.id not in self._context.history.exchanges and call.id not in (other.id for other in reply.calls):
            reply.calls.append(call)

    def use(self, reply: Reply) -> None:
        """The answer is whole: run what it asked for."""
        context = self._context
        reply.rounds += 1
        calls, reply.calls = reply.calls, []
        for call in calls:
            reply.working[call.id] = call
            context.history.asked(call)
            self._write(call, "asked", "")
            context.emit(UseTool(call))
        context.after("filler", context.options.filler_after)
        context.after("tools", context.options.tool_limit)

    def done(self, reply: Reply | None, event: ToolDone) -> Reply | None:
        """A tool has ended; the reply, if that was the last one it waited for.

        What comes after the caller has gone on is kept too: the model must know what was done.
        """
        exchange = self._context.history.answered(event.tool_call_id, event.text)
        if exchange is None:
            return None
        self._write(exchange.call, "done", event.text)
        if reply is None or reply.working.pop(event.tool_call_id, None) is None:
            return None
        if event.request and not reply.request:
            reply.request, reply.requested_by = event.request, event.tool_call_id
        if reply.working:
            return None
        self._context.timers.cancel("filler", "tools")
        return reply

    def refused(self, tool_call_id: str, reason: str) -> None:
        """What a tool call wanted done on the line can't be done: the model is told. Without a tool call, nobody is."""
        result = f"It was not done, and can't be: {reason}"
        if exchange := self._context.history.failed(tool_call_id, result):
            self._write(exchange.call, "failed", result)

    def filler(self, reply: Reply) -> str:
        """What to say while the reply's tools run."""
        persona = self._context.persona
        fillers = (persona.fillers.get(call.name) for call in reply.working.values())
        return next((text for text in fillers if text), persona.filler)

    def _write(self, call: ToolCall, state: transcript.ToolState, result: str) -> None:
        context = self._context
        context.write(
            transcript.ToolUsed(context.now, context.history.turn, call.id, call.name, call.arguments, state, result)
        )
