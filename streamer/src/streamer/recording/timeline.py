"""Places the caller's and the bot's audio on one timeline and renders it as stereo. Sans-I/O.

The caller's frames come over TCP: none is lost, but they come late, in bursts, and sometimes none is sent. Each frame's
place is the earliest that the frames of the following second allow: a burst after a stall shows that the frames before
it were only late, a pause that lasts shows that there is silence. So what is rendered lags behind by LOOKAHEAD_S.

The bot's pieces are placed where the playout clock says that they are heard.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from callbus.pcm import SAMPLE_BYTES

LOOKAHEAD_S = 1.0
LATEST_MS = 60
"""So far may a frame lie from its place (gaps of 55 ms are normal) before silence is put in or samples are left out."""

_Run = tuple[int, bytes]
"""Position of the first sample, s16le mono."""


class StereoTimeline:
    """One session's two channels, from `started` (s) on. Times are seconds of one clock."""

    def __init__(self, sample_rate: int, started: float) -> None:
        self.started = started
        self._rate = sample_rate
        self._slack = LATEST_MS * sample_rate // 1000
        self._rendered = 0
        self._arrivals: deque[tuple[float, bytes]] = deque()
        self._caller: deque[_Run] = deque()
        self._caller_end = 0
        self._bot: deque[_Run] = deque()
        self._bot_end = 0
        self.left_out_samples = 0
        """Samples of the caller that had no place: the sender's clock runs faster, or it sent audio of the past."""

    @property
    def rendered_until(self) -> float:
        """The end of what was rendered or forgotten."""
        return self.started + self._rendered / self._rate

    def caller(self, at: float, pcm: bytes) -> None:
        """Audio that arrived at `at`, its last sample being the newest."""
        self._arrivals.append((at, pcm))

    def bot(self, start: float, pcm: bytes) -> None:
        """Audio that is heard from `start` on."""
        position = self._position(start)
        if abs(position - self._bot_end) <= 2:
            position = self._bot_end  # rounding, not a gap
        self._bot.append((position, pcm))
        self._bot_end = position + len(pcm) // SAMPLE_BYTES

    def cut_bot(self, at: float) -> None:
        """Nothing of the bot is heard from `at` on."""
        position = self._position(at)
        kept = [(start, pcm[: (position - start) * SAMPLE_BYTES]) for start, pcm in self._bot if start < position]
        self._bot = deque(kept)
        self._bot_end = min(self._bot_end, position)

    def render(self, until: float) -> bytes:
        """s16le stereo from where the last rendering ended up to `until`."""
        end = self._position(until)
        length = end - self._rendered
        if length <= 0:
            return b""
        self._place(end)
        stereo: NDArray[np.int16] = np.zeros((length, 2), dtype="<i2")
        for channel, runs in enumerate((self._caller, self._bot)):
            while runs and runs[0][0] < end:
                start, pcm = runs.popleft()
                samples = np.frombuffer(pcm, "<i2")
                if start < self._rendered:
                    samples = samples[self._rendered - start :]
                    start = self._rendered
                offset = start - self._rendered
                fitting = samples[: length - offset]
                stereo[offset : offset + len(fitting), channel] = fitting
                if len(fitting) < len(samples):
                    runs.appendleft((end, samples[len(fitting) :].tobytes()))
                    break
        self._rendered = end
        return stereo.tobytes()

    def forget(self, until: float) -> None:
        """Give up what lies before `until`: the next rendering begins there."""
        end = self._position(until)
        if end <= self._rendered:
            return
        while self._arrivals and self._arrivals[0][0] <= until:
            self._arrivals.popleft()
        for runs in (self._caller, self._bot):
            while runs and runs[0][0] + len(runs[0][1]) // SAMPLE_BYTES <= end:
                runs.popleft()
        self._rendered = end

    def _place(self, end: int) -> None:
        """Give a place to the caller's frames that begin before `end`."""
        if not self._arrivals:
            return
        # A frame can't be later than the frames behind it allow, each having come when it was whole at the latest.
        places: list[int] = []
        bound = 1 << 62
        for at, pcm in reversed(self._arrivals):
            bound = min(self._position(at), bound) - len(pcm) // SAMPLE_BYTES
            places.append(bound)
        run_start = self._caller_end
        run: list[bytes] = []
        while self._arrivals:
            place = places.pop()
            late = place - self._caller_end
            if (place if late > self._slack else self._caller_end) >= end:
                break
            pcm = self._arrivals.popleft()[1]
            if late > self._slack:
                self._append_run(run_start, run)
                run_start = self._caller_end = place
                run = []
            elif -late > self._slack:
                surplus = min(-late, len(pcm) // SAMPLE_BYTES)
                self.left_out_samples += surplus
                pcm = pcm[surplus * SAMPLE_BYTES :]
            run.append(pcm)
            self._caller_end += len(pcm) // SAMPLE_BYTES
        self._append_run(run_start, run)

    def _append_run(self, start: int, run: list[bytes]) -> None:
        if run:
            self._caller.append((start, b"".join(run)))

    def _position(self, at: float) -> int:
        return round((at - self.started) * self._rate)
