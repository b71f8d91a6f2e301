"""Rebuilds the history of a call from its transcript, where another worker wrote it down."""

from __future__ import annotations

from collections.abc import Iterable

from ai_worker.conversation import operator
from ai_worker.conversation.actions import OUTCOMES
from ai_worker.conversation.history import History, PendingAction
from ai_worker.conversation.segment import Segment
from ai_worker.providers.base import ToolCall
from callbus import transcript


def rebuilt_history(entries: Iterable[transcript.Entry]) -> History:
    """What has happened by the last of `entries`. One can be there twice: an outage of Redis does that."""
    history = History()
    for entry in entries:
        match entry:
            case transcript.CallerSaid() if entry.turn > history.turn:
                history.caller(entry.text)
                history.turn = entry.turn
                history.resume_from = entry.in_id
            case transcript.BotSays() if entry.segment not in history.segments:
                history.bot(Segment(entry.segment, entry.text, entry.reply_to, entry.protected))
            case transcript.Answered():
                history.reply_is_whole()
            case transcript.BotHeard():
                if segment := history.segments.get(entry.segment):
                    segment.heard = entry.heard_text
                    segment.interrupted = entry.interrupted
                    segment.started_at = entry.started_at
            case transcript.Acted():
                _acted(history, entry)
            case transcript.ToolUsed(state="asked") if entry.tool_call_id in history.exchanges:
                pass
            case transcript.ToolUsed(state="asked"):
                history.asked(ToolCall(entry.tool_call_id, entry.name, entry.arguments))
            case transcript.ToolUsed(state="failed"):
                history.failed(entry.tool_call_id, entry.result)
            case transcript.ToolUsed():
                history.answered(entry.tool_call_id, entry.result)
            case transcript.Noted():
                operator.recall(history, entry.note)
            case transcript.MachineHeard():
                history.machine = True
            case transcript.Finished():
                history.outcome, history.finished = entry.outcome, True
            case _:
                pass
    return history


def _acted(history: History, entry: transcript.Acted) -> None:
    pending = history.pending
    known = pending is not None and pending.action_id == entry.action_id
    if entry.state == "planned" and known:
        return
    if entry.state in ("planned", "asked"):
        asked = entry.state == "asked"
        after = pending.planned_after if asked and pending else len(history.said)
        history.pending = PendingAction(entry.action_id, entry.kind, entry.argument, asked, after, entry.tool_call_id)
        return
    if known:
        history.pending = None
    if entry.state == "done":
        history.outcome = OUTCOMES.get(entry.kind, history.outcome)
