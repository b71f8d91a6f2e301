"""ElevenLabs' speech with timestamps, a line of JSON at a time: the audio, and at which words it has arrived."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from ai_worker.providers.base import SaidUntil

# A chunk whose times begin this much before the end of the last one's counts them from its own beginning.
BACKWARDS_S = 0.05


class AlignedAudio:
    """The answer to one `text`, as s16le mono at `sample_rate` Hz; `ms` of it have come so far.

    Each line is `{"audio_base64": "…", "alignment": {"characters": […], "character_start_times_seconds": […],
    "character_end_times_seconds": […]} or null, …}`; `alignment` is that of the text as it was sent. The times count
    from the beginning of the audio, or (as over the WebSocket) from that of the chunk.
    """

    def __init__(self, text: str, sample_rate: int) -> None:
        self._text = text
        self._bytes_per_second = 2 * sample_rate
        self._bytes = 0
        self._odd = b""
        self._words: list[SaidUntil] = []
        self._place = 0
        self._until_s = 0.0

    @property
    def ms(self) -> float:
        return 1000 * self._bytes / self._bytes_per_second

    def feed(self, line: str) -> list[bytes | SaidUntil]:
        """The words that end in this chunk, then its audio in whole samples; nothing for an empty line.

        Raises ValueError for a damaged one.
        """
        if not line:
            return []
        try:
            chunk: dict[str, Any] = json.loads(line)
            audio = self._odd + base64.b64decode(chunk["audio_base64"], validate=True)
            self._words += self._ended(chunk.get("alignment") or {})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a line that is no audio with its alignment: {line[:60]!r}") from error
        whole = len(audio) - len(audio) % 2
        self._odd = audio[whole:]
        self._bytes += whole
        # Words without any sound are no beginning of an answer.
        if not self._bytes:
            return []
        words, self._words = self._words, []
        return [*words, audio[:whole]] if whole else [*words]

    def _ended(self, alignment: dict[str, Any]) -> Iterator[SaidUntil]:
        starts = alignment.get("character_start_times_seconds") or ()
        base = self.ms / 1000 if starts and starts[0] < self._until_s - BACKWARDS_S else 0.0
        for character, end in zip(
            alignment.get("characters") or (), alignment.get("character_end_times_seconds") or (), strict=False
        ):
            self._until_s = max(self._until_s, base + end)
            # What is in the alignment and not in the text (a space around it, say) is passed over.
            if not self._text.startswith(character, self._place):
                continue
            self._place += len(character)
            ends = self._place == len(self._text) or self._text[self._place].isspace()
            if ends and not character.isspace():
                yield SaidUntil(self._place, round(1000 * self._until_s))
