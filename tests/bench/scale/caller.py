"""One caller: what the person on the phone does next, by the clock and by what the bot does. Sans-I/O."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.scale.wire import RATE, Clip

THINKS_S = (0.6, 1.4)
"""Between the bot's last word and the caller's next."""
PATIENCE_S = 10.0
BEGINS_WITHIN_S = 6.0
"""About as long as a question with its answer: callers don't speak in step."""
COMMANDS = frozenset({"play", "break", "digits", "transfer"})


@dataclass(slots=True)
class Tally:
    """What all callers of one process have seen. Times in ms."""

    sent: int = 0
    asked: int = 0
    answered: int = 0
    unanswered: int = 0
    lost: int = 0
    """Calls whose connection ended before the caller hung up."""
    not_sent: int = 0
    """Frames that found 64 KiB unread before them."""
    strange: int = 0
    """Messages that are not of Ringover's protocol."""
    heard_ms: float = 0.0
    answers_ms: list[float] = field(default_factory=list)
    pings_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)

    def take(self) -> dict[str, Any]:
        """Counts since the process began, times since the last taking."""
        taken = asdict(self)
        self.answers_ms, self.pings_ms, self.late_ms = [], [], []
        return taken


class Caller:
    """Speaks a clip, listens to the answer, thinks for a moment, speaks again; only listens until `talk`.

    Times are s of one clock. `next_message` once every 20 ms.
    """

    def __init__(self, clips: Sequence[Clip], noise: Clip, tally: Tally, seed: int) -> None:
        self._talks = False
        self._random = random.Random(seed)
        self._clips, self._noise, self._tally = clips, noise, tally
        self._clip = noise
        self._position = self._random.randrange(len(noise.messages))
        self._bot_until = 0.0
        self._speaks_at = 0.0
        self._asked_at: float | None = None
        """The end of a question that has no answer yet."""

    def talk(self, talks: bool, now: float) -> None:
        """Begin to speak, within a few seconds; or stop after what is being said."""
        self._talks = talks
        self._speaks_at = now + self._random.uniform(0.0, BEGINS_WITHIN_S)

    def next_message(self, now: float) -> bytes:
        """What goes out now."""
        clip, position = self._clip, self._position
        if position == len(clip.messages) or (self._talks and clip is self._noise and self._may_speak(now)):
            clip, position = self._change(now)
        self._position = position + 1
        if self._position == clip.ends:
            self._tally.asked += 1
            self._asked_at = now
        return clip.messages[position]

    def heard(self, text: str, now: float) -> None:
        """A message of the streamer's."""
        said = json.loads(text)
        if said.get("type") == "streamAudio":
            length_s = len(said["data"]["audioData"]) * 3 // 4 / (2 * RATE)
            self._tally.heard_ms += 1000 * length_s
            self._bot_until = max(now, self._bot_until) + length_s
            self._think(self._bot_until)
            if self._asked_at is not None:
                self._tally.answered += 1
                self._tally.answers_ms.append(1000 * (now - self._asked_at))
                self._asked_at = None
        elif said.get("event") == "break":
            self._bot_until = now
            self._think(now)
        elif said.get("event") not in COMMANDS:
            self._tally.strange += 1

    def _may_speak(self, now: float) -> bool:
        if now < self._speaks_at:
            return False
        if self._asked_at is None:
            return True
        if now < self._asked_at + PATIENCE_S:
            return False
        self._tally.unanswered += 1
        self._asked_at = None
        return True

    def _change(self, now: float) -> tuple[Clip, int]:
        if self._clip is not self._noise:
            self._think(now)
            self._clip = self._noise
        elif self._talks and self._may_speak(now):
            self._clip = self._random.choice(self._clips)
        return self._clip, 0

    def _think(self, since: float) -> None:
        self._speaks_at = since + self._random.uniform(*THINKS_S)
