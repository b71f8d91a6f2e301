"""One call's incoming audio on the worker: what was said lately, when it was said, and whether it is speech."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from ai_worker.conversation import events as ev
from ai_worker.vad import Foreground, SpeechGate, SpeechPaused, SpeechStarted, SpeechStopped, VadSession
from ai_worker.vad.foreground import BACKGROUND_MS, BACKGROUND_PERCENTILE, FADED_MS, LEVEL_MS
from ai_worker.vad.silero import WINDOW_MS
from callbus.pcm import FRAME_MS, bytes_in, duration_ms

KEPT_MS = 60_000
BARGE_IN_MS = 300
# The onset of speech is looked for in so much audio before the first window that is surely speech, its end in the last
# such windows, in such steps; what the line sounds like in silence is known from the audio before.
ONSET_MS = 384
END_MS = 96
STEP_MS = 16
TAIL_MS = 48
"""More than what was received and not judged yet."""
NOISE_MS = 1500
QUIETEST = 60.0
"""Amplitude (of 32767) below which nothing is a beginning, -55 dBFS; and by what factor speech is louder than noise."""
LOUDER = 3.0
LOUD_ENOUGH = 400.0
"""Amplitude (RMS of its loudest syllable, -38 dBFS) from which a sound alone interrupts the bot: what is fainter is
rather an echo of it. A faint voice interrupts by its words."""
BACKGROUND_EVERY_MS = 8 * WINDOW_MS
"""How often the background's loudness is looked at again, while there is speech."""


class Hearing:
    """Positions are ms of audio that this worker has received of the call; a reconnect doesn't turn them back."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.vad = VadSession(sample_rate)
        self._gate = SpeechGate(find_onset=self._onset, find_end=self._end)
        self._foreground = Foreground()
        self._background_loudness = QUIETEST
        self._background_until_ms = 0
        self._audio = bytearray()
        self._dropped = 0
        self._kept = bytes_in(KEPT_MS, sample_rate)
        self._sustained = False
        self._silence = 0.0
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
        if len(self._audio) > 2 * self._kept:
            # Cut in large steps: moving the rest costs as much as a copy.
            excess = len(self._audio) - self._kept
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
        loudness = self._loudness(at_ms, ONSET_MS + NOISE_MS)
        if not len(loudness):
            return at_ms
        self._silence = _percentile(loudness, 20)
        return at_ms - STEP_MS * _run_at_end(~self._quiet(loudness[-ONSET_MS // STEP_MS :]))

    def _end(self, at_ms: int) -> int:
        """Where the sound before a position ended."""
        return at_ms - STEP_MS * _run_at_end(self._quiet(self._loudness(at_ms, END_MS)))

    def _quiet(self, loudness: NDArray[np.float32]) -> NDArray[np.bool_]:
        return loudness < max(QUIETEST, LOUDER * self._silence)

    def _loudness(self, at_ms: int, length_ms: int) -> NDArray[np.float32]:
        """Of the steps before a position, the last of which ends there."""
        step = bytes_in(STEP_MS, self.sample_rate) // 2
        samples = np.frombuffer(self.cut(max(0, at_ms - length_ms), at_ms), "<i2").astype(np.float32)
        steps = len(samples) // step
        whole = samples[len(samples) - steps * step :].reshape(steps, step)
        return np.sqrt(np.mean(whole * whole, axis=1, dtype=np.float32), dtype=np.float32)

    def judge(self, at_ms: int, probability: float) -> list[ev.Event]:
        """What the next window means for the conversation."""
        found: list[ev.Event] = []
        for verdict in self._gate.push(at_ms, probability):
            match verdict:
                case SpeechStarted(at_ms=start_ms):
                    self._sustained = False
                    self._foreground.begin()
                    found.append(ev.SpeechStarted(start_ms, round(self.position_ms - start_ms)))
                case SpeechPaused(at_ms=end_ms):
                    found.append(ev.SpeechPaused(end_ms))
                case SpeechStopped(at_ms=end_ms):
                    found.append(self._stopped(end_ms))
        self._follow_voice(at_ms + WINDOW_MS, found)
        loud = self._foreground.loudest >= LOUD_ENOUGH
        if self._gate.speaking and not self._sustained and loud and self._gate.speech_ms >= BARGE_IN_MS:
            self._sustained = True
            found.append(ev.SpeechSustained())
        return found

    @property
    def stop_due_ms(self) -> float | None:
        """How much more silence (ms of audio) there must be for the speech to have stopped; None while it goes on."""
        stops_at_ms = self._gate.stops_at_ms
        return None if stops_at_ms is None else stops_at_ms - self.position_ms

    def stopped_between_windows(self) -> list[ev.Event]:
        """To be asked when `stop_due_ms` has passed: the end of the speech, if the sound bears it out."""
        due_ms = self.stop_due_ms
        # The last frame may still be on its way; but audio that does not come at all is not silence.
        if due_ms is None or due_ms > FRAME_MS or not self._quiet(self._loudness(int(self.position_ms), TAIL_MS)).all():
            return []
        return [self._stopped(verdict.at_ms) for verdict in self._gate.stop()]

    def _stopped(self, end_ms: int) -> ev.SpeechStopped:
        return ev.SpeechStopped(end_ms, round(self.position_ms - end_ms), self.at(end_ms))

    def _follow_voice(self, end_ms: int, found: list[ev.Event]) -> None:
        """The caller's own voice is the louder one, in the latest window too?"""
        if not self._gate.hears_speech:
            self._foreground.silence()
            return
        loudness = float(np.sqrt(np.mean(np.square(self._loudness(end_ms, LEVEL_MS)))))
        verdict = self._foreground.push(end_ms, loudness, self._background(end_ms))
        if verdict and self._gate.speaking:
            found.append(ev.SpeechFaded(end_ms - FADED_MS) if verdict == "faded" else ev.SpeechBack())

    def _background(self, at_ms: int) -> float:
        """How loud the line is in its quiet moments."""
        if at_ms >= self._background_until_ms:
            self._background_until_ms = at_ms + BACKGROUND_EVERY_MS
            lately = _percentile(self._loudness(at_ms, BACKGROUND_MS), BACKGROUND_PERCENTILE)
            self._background_loudness = max(QUIETEST, lately)
        return self._background_loudness


def _run_at_end(flags: NDArray[np.bool_]) -> int:
    """How many of the last flags are set, one after the other."""
    others = np.flatnonzero(~flags)
    return len(flags) - 1 - int(others[-1]) if len(others) else len(flags)


def _percentile(values: NDArray[np.float32], percentile: int) -> float:
    """Of no values, 0."""
    return float(np.partition(values, at := len(values) * percentile // 100)[at]) if len(values) else 0.0
