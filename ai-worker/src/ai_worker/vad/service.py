"""Speech probabilities for all of a worker's calls, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from ai_worker.vad.session import VadSession
from ai_worker.vad.silero import VadBatch, VadState

# One entry is one window: (media time of its first sample in ms, probability of speech 0..1).
Verdicts = list[tuple[int, float]]
RUN_HERE = 64
"""So few windows (40 µs each) take less time than a change to the thread and back."""


class VadService:
    """Owns the model and the one thread that runs it. Raises VadModelMissing."""

    def __init__(self) -> None:
        self._batch = VadBatch()
        self._running = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vad")

    async def process(self, audio: Mapping[VadSession, bytes]) -> dict[VadSession, Verdicts]:
        """New audio of each call in (s16le mono at the session's rate), the verdicts on the windows it completed out.

        Every session given is in the answer. Windows are cut when this is called, so concurrent calls keep their order.
        """
        windows = {session: session.push(pcm) for session, pcm in audio.items()}
        count = sum(map(len, windows.values()))
        if count == 0:
            return {session: [] for session in windows}
        if count <= RUN_HERE and not self._running:
            return self._run(windows)
        self._running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, windows)
        finally:
            self._running -= 1

    async def aclose(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)

    def _run(self, windows: dict[VadSession, list[tuple[int, bytes]]]) -> dict[VadSession, Verdicts]:
        verdicts: dict[VadSession, Verdicts] = {session: [] for session in windows}
        for step in range(max(map(len, windows.values()))):
            sessions = [session for session, waiting in windows.items() if step < len(waiting)]
            batch: list[tuple[VadState, bytes]] = [(session.state, windows[session][step][1]) for session in sessions]
            for session, probability in zip(sessions, self._batch.run(batch), strict=True):
                verdicts[session].append((windows[session][step][0], probability))
        return verdicts
