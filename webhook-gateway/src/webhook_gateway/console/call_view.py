"""A call as the live page shows it: one line, from its hash and its transcript."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from callbus import transcript

CallState: TypeAlias = Literal["ringing", "connecting", "listening", "thinking", "speaking", "ended"]

_DOING: Mapping[str, CallState] = {
    "listening": "listening",
    "thinking": "thinking",
    "speaking": "speaking",
    "leaving": "speaking",
}


@dataclass(slots=True)
class Tally:
    """What the transcript adds to the hash: the caller's turns, and the last answer's voice-to-voice time (ms)."""

    turns: int = 0
    last_ms: float | None = None

    def add(self, entry: Mapping[str, Any]) -> None:
        """An entry as calls_view shows it."""
        if entry["kind"] == _CALLER and isinstance(entry.get("turn"), int):
            self.turns = max(self.turns, entry["turn"])
        elif entry["kind"] == _TIMING and entry.get("voice_to_voice_ms") is not None:
            self.last_ms = entry["voice_to_voice_ms"]


def state_of(call: Mapping[str, Any]) -> CallState:
    """What goes on in a call, by its hash (see calls_view.typed)."""
    conversation, media = call.get("conversation"), call.get("media")
    if "ended" in (call.get("state"), media) or conversation == "finished":
        return "ended"
    if conversation == "active":
        return _DOING.get(str(call.get("doing")), "listening")
    return "ringing" if call.get("state") == "ringing" and media is None else "connecting"


def line(call: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
    """The contract's CALL. `since` is when the call was answered, or began to ring (epoch s)."""
    begun = (call.get(name) for name in ("answered_at", "media_at", "ringing_at", "first_seen"))
    return {
        "call_id": call["call_id"],
        "from_number": call.get("from_number"),
        "to_number": call.get("to_number"),
        "agent": call.get("agent"),
        "state": state_of(call),
        "since": next((moment for moment in begun if isinstance(moment, float)), None),
        "worker": call.get("worker"),
        "streamer": call.get("streamer"),
        "muted": call.get("muted") == "1",
        "turns": tally.turns,
        "last_ms": tally.last_ms,
    }


def _kind(entry: transcript.Entry) -> str:
    return transcript.encode(entry)[b"k"].decode()


_CALLER = _kind(transcript.CallerSaid(0, 0, 1, "", ""))
_TIMING = _kind(transcript.TurnTimed(0, 1))
