"""One call's incoming audio on the worker: what was said lately, when it was said, and whether it is speech."""

from __future__ import annotations

from collections import deque

import numpy as np

from ai_worker.conversation import events as ev
from ai_worker.vad import SpeechGate, SpeechPaused, SpeechStarted, SpeechStopped, VadSession
from callbus.pcm import FRAME_MS, bytes_in, duration_ms

KEPT_MS = 60_000
BARGE_IN_MS = 300
# The onset of speech is looked for in so much audio before the first window that is surely speech, in such steps; what
# the line sounds like in silence is known from the audio before that.
ONSET_MS = 384
ONSET_STEP_MS = 16
NOISE_MS = 1500
QUIETEST = 60.0
"""Amplitude (of 32767) below which nothing is a beginning, -55 dBFS; and by what factor speech is louder than noise."""
LOUDER = 3.0


class Hearing:
    """Positions are ms of audio that this worker has received of the call; a reconnect doesn't turn them back."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.vad = VadSession(sample_rate)
        self._gate = SpeechGate(find_onset=self._onset)
        self._audio = bytearray()
        self._dropped = 0
        self._sustained = False
        # (position ms, streamer's clock) of the chunks that came lately.
        self._clock: deque[tuple[float, float]] = deque(maxlen=500)

    @property
    def position_ms(self) -> float:
        """Where the next chunk begins."""
        return duration_ms(self._dropped + len(self._audio), self.sample_rate)

    def receive(self, pcm: bytes, at: float) -> None:
        """Keep a chunk that reached the streamer at `at` (epoch s)."""
        self._clock.append((self.position_ms, at))
        self._audio += pcm
        kept = bytes_in(KEPT_MS, self.sample_rate)
        if len(self._audio) > 2 * kept:
            # Cut in large steps: moving the rest costs as much as a copy.
            excess = len(self._audio) - kept
            del self._audio[:excess]
            self._dropped += excess

    def cut(self, start_ms: int, end_ms: int) -> bytes:
        """The audio between two positions, as far as it is there: s16le mono."""
        start = max(0, bytes_in(start_ms, self.sample_rate) - self._dropped)
        return bytes(self._audio[start : max(start, bytes_in(end_ms, self.sample_rate) - self._dropped)])

    def at(self, position_ms: float) -> float:
        """When the audio at a position was on the line, by the streamer's clock (epoch s): a frame comes at its end."""
        for position, at in reversed(self._clock):
            if position <= position_ms:
                return at + (position_ms - position - FRAME_MS) / 1000
        return self._clock[0][1] if self._clock else 0.0

    def _onset(self, at_ms: int) -> int:
        """Where the sound at a position began: what came before it is at most as loud as this line is in silence."""
        recent = self.cut(max(0, at_ms - NOISE_MS - ONSET_MS), at_ms)
        step = bytes_in(ONSET_STEP_MS, self.sample_rate) // 2
        samples = np.frombuffer(recent, "<i2").astype(np.float32)
        steps = len(samples) // step
        if not steps:
            return at_ms
        loudness = np.sqrt(np.mean(samples[len(samples) - steps * step :].reshape(steps, step) ** 2, axis=1))
        silence = float(np.percentile(loudness, 20))
        quiet = np.flatnonzero(loudness[-ONSET_MS // ONSET_STEP_MS :] < max(QUIETEST, LOUDER * silence))
        before = min(steps, ONSET_MS // ONSET_STEP_MS)
        sounding = before - 1 - int(quiet[-1]) if len(quiet) else before
        return at_ms - sounding * ONSET_STEP_MS

    def judge(self, at_ms: int, probability: float) -> list[ev.Event]:
        """What the next window means for the conversation."""
        found: list[ev.Event] = []
        for verdict in self._gate.push(at_ms, probability):
            match verdict:
                case SpeechStarted(at_ms=start_ms):
                    self._sustained = False
                    found.append(ev.SpeechStarted(start_ms, round(self.position_ms - start_ms)))
                case SpeechPaused(at_ms=end_ms):
                    found.append(ev.SpeechPaused(end_ms))
                case SpeechStopped(at_ms=end_ms):
                    silence_ms = round(self.position_ms - end_ms)
                    found.append(ev.SpeechStopped(end_ms, silence_ms, self.at(end_ms)))
        if self._gate.speaking and not self._sustained and self._gate.speech_ms >= BARGE_IN_MS:
            self._sustained = True
            found.append(ev.SpeechSustained())
        return found
