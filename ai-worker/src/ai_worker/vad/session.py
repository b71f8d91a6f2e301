"""One call's audio, cut into the windows that the voice-activity model takes."""

from __future__ import annotations

from ai_worker.vad.silero import WINDOW_MS, VadState, context_bytes, window_bytes


class VadSession:
    """Takes s16le mono at `sample_rate` Hz (8000 or 16000) in pieces of any even length.

    `at_ms` is the media time of the first sample, in ms. Raises ValueError for another rate.
    """

    __slots__ = ("_at_ms", "_context_bytes", "_pending", "_window_bytes", "state")

    def __init__(self, sample_rate: int, *, at_ms: int = 0) -> None:
        self.state = VadState(sample_rate)
        self._window_bytes = window_bytes(sample_rate)
        self._context_bytes = context_bytes(sample_rate)
        # The context of the next window stays in front of what waits for it.
        self._pending = bytes(self._context_bytes)
        self._at_ms = at_ms

    @property
    def position_ms(self) -> int:
        """The media time of the next sample, in whole ms."""
        waiting = len(self._pending) - self._context_bytes
        return self._at_ms + waiting * WINDOW_MS // self._window_bytes

    def push(self, pcm: bytes) -> list[tuple[int, bytes]]:
        """The windows that `pcm` completes: (media time of its first sample in ms, the window with its context)."""
        if len(pcm) % 2:
            raise ValueError(f"{len(pcm)} bytes are no whole number of 16-bit samples")
        pending = self._pending + pcm
        windows = []
        size = self._context_bytes + self._window_bytes
        start = 0
        while start + size <= len(pending):
            windows.append((self._at_ms, pending[start : start + size]))
            self._at_ms += WINDOW_MS
            start += self._window_bytes
        self._pending = pending[start:]
        return windows
