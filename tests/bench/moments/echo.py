"""The bot's words as they come back to it from the caller's telephone."""

from __future__ import annotations

from bench.moments.clips import RATE
from bench.moments.providers import BotVoice
from ringover_sim.playout import Playback


def returning(voice: BotVoice, history: list[Playback], late_ms: int) -> list[tuple[int, int, str]]:
    """The words of what was played, `late_ms` later: first and one past the last sample, and the word.

    A seam between two playbacks may lie within a word: it is looked for in the audio without its seams.
    """
    late = late_ms * RATE // 1000
    joined = bytearray()
    began: list[tuple[int, int]] = []
    for playback in history:
        if playback.started is not None and playback.pcm is not None:
            began.append((len(joined) // 2, playback.started))
            end = playback.ended if playback.ended is not None else playback.started + playback.samples
            joined += playback.pcm[: 2 * (end - playback.started)]

    def at(sample: int) -> int:
        first, started = max(pair for pair in began if pair[0] <= sample)
        return started + sample - first + late

    return [(at(start), at(end - 1) + 1, word) for start, end, word in voice.find(bytes(joined))]
