"""Has the caller finished, by the sound of it? An option; the words decide: see conversation.endpointing."""

from __future__ import annotations

from ai_worker.turn.judge import TurnJudge, TurnModelUnusable, turn_judge

__all__ = ["TurnJudge", "TurnModelUnusable", "turn_judge"]
