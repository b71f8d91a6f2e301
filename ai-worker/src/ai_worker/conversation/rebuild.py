"""Rebuilds the history of a call from its transcript, where another worker wrote it down."""

from __future__ import annotations

from collections.abc import Iterable

from ai_worker.conversation import operator
from ai_worker.conversation.actions import OUTCOMES
from ai_worker.conversation.history import INTERRUPTED, History, PendingAction
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
                history.file_may_play = False
                history.turn = entry.turn
                history.resume_from = entry.in_id
            case transcript.BotSays() if entry.segment not in history.segments:
                history.bot(_segment(entry))
                history.file_may_play = False
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
            case transcript.ToolUsed():
                # What failed at once is a result like any other; what failed after it was done takes that one's place.
                if not history.answered(entry.tool_call_id, entry.result) and entry.state == "failed":
                    history.failed(entry.tool_call_id, entry.result)
            case transcript.Noted():
                operator.recall(history, entry.note)
            case transcript.MachineHeard():
                history.machine = True
            case transcript.Finished():
                history.outcome, history.finished = entry.outcome, True
            case _:
                pass
    return history


def _segment(said: transcript.BotSays) -> Segment:
    return Segment(said.segment, said.text, said.reply_to, said.protected, by_operator=said.by_operator)


def _acted(history: History, entry: transcript.Acted) -> None:
    action = next((planned for planned in history.planned if planned.action_id == entry.action_id), None)
    if entry.state in ("planned", "asked"):
        if action is None:
            action = PendingAction(
                entry.action_id,
                entry.kind,
                entry.argument,
                planned_after=len(history.said),
                tool_call_id=entry.tool_call_id,
                say=entry.say,
            )
            history.planned.append(action)
        if entry.state == "asked":
            action.asked = True
            if not operator.wanted(action):
                history.reply_is_whole()
        return
    if action:
        history.planned.remove(action)
    if entry.state == "done":
        history.outcome = OUTCOMES.get(entry.kind, history.outcome)
        history.file_may_play = entry.kind == "play"
    else:
        # The worker may have died before it could write down what the model is to know of it.
        history.failed(entry.tool_call_id, INTERRUPTED if entry.state == "dropped" else "It was not done.")
