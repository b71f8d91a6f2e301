"""Behind a caller others may go on talking, and a voice-activity detector hears speech without end. The caller's own
voice is the louder one: that tells when it ends. Sans-I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NEAR = 5.0
FAINT = 2.2
"""How many times louder than the background's quiet moments (see `push`) a voice is that is near the telephone, and
what is still taken for the background. Four people talking 10 dB below the caller are below 2.2 for three quarters of
the time and above 3.0 for a tenth; the caller is above 2.5 for three quarters of it."""
BACK = 0.5
"""A sound of which the loudest of the caller's is at most twice as loud is the caller again."""
FADED_MS = 160
"""So long without the louder voice: it is longer than a plosive, a breath or a soft syllable."""
LEVEL_MS = 192
"""The loudness is taken over so much audio, BACKGROUND_MS are looked at for the background's."""
BACKGROUND_MS = 4000
BACKGROUND_PERCENTILE = 20
FOOLED = 0.5
"""The share of the background's windows that the detector takes for speech: below it, the detector is the better judge.
Noise without voices is at 0, babble at 0.4 to 0.9."""
_DECAY = 0.998
"""Of what is known of the caller's loudness, per window of 32 ms: half of it in 11 s."""
_LATELY = 1 / 30
"""How much of that share each window makes up."""


@dataclass(slots=True)
class Foreground:
    """Follows one call, of which the detector says "speech" or not, window by window."""

    _loudest: float = 0.0
    _caller: float = 0.0
    """The loudest lately: the detector may begin an utterance anew with nothing but the background."""
    _fooled: float = 0.0
    _faint_since_ms: int | None = None
    _faded: bool = False

    def begin(self) -> None:
        """Another utterance begins."""
        self._loudest, self._faint_since_ms, self._faded = 0.0, None, False

    @property
    def loudest(self) -> float:
        """The loudest of this utterance so far."""
        return self._loudest

    def silence(self) -> None:
        """A window without speech, as far as the detector knows."""
        self._fooled *= 1 - _LATELY

    def push(self, at_ms: int, loudness: float, background: float) -> Literal["faded", "back"] | None:
        """The next window with speech, which ends at `at_ms`. In any unit: its `loudness` (RMS over LEVEL_MS up to
        there), and the background's (the BACKGROUND_PERCENTILE of the last BACKGROUND_MS).

        "faded" when a voice that was near is not heard any more, "back" when it is again.
        """
        self._loudest = max(self._loudest, loudness)
        self._caller = max(self._caller * _DECAY, loudness)
        if loudness >= FAINT * background:
            self._faint_since_ms = None
            if self._faded and loudness >= BACK * self._caller:
                self._faded = False
                return "back"
            return None
        self._fooled += (1 - self._fooled) * _LATELY
        if self._faint_since_ms is None:
            self._faint_since_ms = at_ms
        long = at_ms - self._faint_since_ms >= FADED_MS
        if self._faded or not long or self._caller < NEAR * background or self._fooled < FOOLED:
            return None
        self._faded = True
        return "faded"
