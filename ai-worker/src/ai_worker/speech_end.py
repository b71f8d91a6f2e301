"""Notices the end of speech when it comes, which is seldom at the end of one of the detector's windows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ai_worker.conversation.events import Event
from ai_worker.hearing import Hearing
from ai_worker.vad.silero import WINDOW_MS
from callbus.pcm import FRAME_MS

_NEXT_VERDICT_MS = WINDOW_MS + FRAME_MS
"""Before then there is another verdict, which may say something else."""


class SpeechEnd:
    """`watch` after every verdict of the detector; `heard` is told of an end that comes before the next one."""

    def __init__(self, hearing: Hearing, heard: Callable[[Event], None]) -> None:
        self._hearing = hearing
        self._heard = heard
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """The detector has said something."""
        self.cancel()
        due_ms = self._hearing.stop_due_ms
        if due_ms is not None and due_ms <= _NEXT_VERDICT_MS:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due_ms) / 1000, self._look)

    def cancel(self) -> None:
        """Nothing is waited for any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        for event in self._hearing.stopped_between_windows():
            self._heard(event)
