"""Speech-to-text that can't be wrong: it finds the audio it is given in what the callers have sent.

Every caller has a noise of his own on the line, so 20 ms of it are found in one place only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from faults.talk import Question
from ringover_sim.runner import ScriptRunner

RATE = 8000
_WINDOW = 2 * RATE * 20 // 1000
_EVERY = 2 * RATE * 60 // 1000
_MEMORY = 2 * RATE * 30
"""So much of what a caller has sent is searched, bytes: 30 s."""
UNDERSTOOD = 0.5
"""So much of a question must have been heard for its words to be understood."""


class Speaker(Protocol):
    """A caller as far as he can be listened to."""

    runner: ScriptRunner | None
    questions: list[Question]


def understood(speakers: Sequence[Speaker], pcm: bytes) -> list[Question]:
    """The questions in the audio (s16le mono, 8000 Hz) that the speech-to-text was given."""
    offsets = range(0, len(pcm) - _WINDOW, _EVERY)
    for speaker in speakers:
        if speaker.runner is None:
            continue
        sent = speaker.runner.line.mouth.sent
        # A few windows tell who it is: what the telephone line did not change is in no other call.
        probes = [offset for offset in offsets[:: max(1, len(offsets) // 4)] if any(pcm[offset : offset + _WINDOW])]
        if any(_place(sent, pcm, offset) >= 0 for offset in probes):
            return _covered(speaker, sent, pcm, offsets)
    return []


def _covered(speaker: Speaker, sent: bytearray, pcm: bytes, offsets: Sequence[int]) -> list[Question]:
    found: set[int] = set()
    shift: int | None = None
    for offset in offsets:
        window = pcm[offset : offset + _WINDOW]
        if shift is not None and sent[offset + shift : offset + shift + _WINDOW] == window:
            found.add(offset + shift)
        elif (place := _place(sent, pcm, offset)) >= 0:
            shift = place - offset
            found.add(place)
    assert speaker.runner is not None
    result: list[Question] = []
    for question, turn in zip(speaker.questions, speaker.runner.turns, strict=False):
        start, end = turn.line.speech_start, turn.line.speech_end
        if start is None or end is None:
            continue
        heard = sum(2 * start <= place < 2 * end for place in found) * _EVERY
        if heard >= UNDERSTOOD * 2 * (end - start):
            result.append(question)
    return result


def _place(sent: bytearray, pcm: bytes, offset: int) -> int:
    return sent.rfind(pcm[offset : offset + _WINDOW], max(0, len(sent) - _MEMORY))
