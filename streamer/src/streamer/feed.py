"""One call's entries on their way to its stream, in order and within bounds. Sans-I/O."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from callbus import keys, media
from callbus.broker import xadd
from callbus.pcm import FRAME_MS

MOST_FRAMES = 2000 // FRAME_MS
"""2 s of audio: older than that, it is worthless."""
MOST_EVENTS = 500
BACKLOG_COMES_S = 0.1
LONGEST_BACKLOG_S = 0.5
"""After a stall of more than 2 s it is waited for what comes at once, of which the newest 2 s are kept: this long after
the last frame that came faster than it was spoken, and this long in all."""


class _Frames:
    """Consecutive 20 ms frames, which become one entry."""

    __slots__ = ("at", "pcm", "position_ms")

    def __init__(self, at: float, position_ms: int, pcm: bytes) -> None:
        self.at = at
        self.position_ms = position_ms
        self.pcm = [pcm]


Entry: TypeAlias = "_Frames | dict[bytes, bytes]"


class Feed:
    """What one session has to tell, until it is written. Audio beyond 2 s is dropped, the oldest first."""

    __slots__ = (
        "_entries",
        "_events",
        "_frames",
        "_heard_at",
        "_hold_most",
        "_hold_until",
        "_key",
        "_packer",
        "dropped_frames",
        "lost",
        "muted",
    )

    def __init__(self) -> None:
        self._key = ""
        self._packer: media.AudioAppender | None = None
        self._entries: list[Entry] = []
        self._frames = 0
        self._events = 0
        self._heard_at = math.inf
        self._hold_until = self._hold_most = 0.0
        self.dropped_frames = 0
        self.lost = False
        """The stream was gone when entries were to be written: the conversation is over, or Redis lost its data."""
        self.muted = False
        """Nobody reads this stream any more: it gets no audio, and takes no events."""

    def open(self, call_id: str) -> None:
        """Say whose stream it is; only then may it be marked for writing."""
        self._key = keys.media_in(call_id)
        self._packer = media.AudioAppender(self._key, maxlen=keys.MEDIA_IN_MAXLEN)

    @property
    def is_open(self) -> bool:
        return bool(self._key)

    def audio(self, at: float, position_ms: int, pcm: bytes) -> bool:
        """One 20 ms frame; whether it should be written now, or later together with what follows at once."""
        apart = at - self._heard_at
        self._heard_at = at
        if apart > MOST_FRAMES * FRAME_MS / 1000:
            self._hold_until = at + BACKLOG_COMES_S
            self._hold_most = at + LONGEST_BACKLOG_S
        elif at < self._hold_until and apart < FRAME_MS / 2000:
            self._hold_until = min(at + BACKLOG_COMES_S, self._hold_most)
        last = self._entries[-1] if self._entries else None
        if type(last) is _Frames and position_ms == last.position_ms + FRAME_MS * len(last.pcm):
            last.pcm.append(pcm)
        else:
            self._entries.append(_Frames(at, position_ms, pcm))
        self._frames += 1
        if self._frames > MOST_FRAMES:
            self._drop_oldest()
        return at >= self._hold_until

    def event(self, event: media.MediaEvent) -> None:
        """Anything but audio. Beyond 500 of them the oldest is dropped: nobody has read this call for so long that what
        became of its playback is history."""
        if self.muted:
            return
        self._entries.append(media.encode(event))
        self._events += 1
        if self._events > MOST_EVENTS:
            self._drop_oldest_event()

    def take(self) -> list[Entry]:
        """What is to be written now. Hand it back with `put_back` if that fails."""
        entries, self._entries = self._entries, []
        self._frames = self._events = 0
        return entries

    def put_back(self, entries: list[Entry]) -> None:
        """These were not written: they go before what came since."""
        self._entries = entries + self._entries
        self._frames = sum(len(entry.pcm) for entry in self._entries if isinstance(entry, _Frames))
        self._events = sum(isinstance(entry, dict) for entry in self._entries)
        while self._frames > MOST_FRAMES:
            self._drop_oldest()
        while self._events > MOST_EVENTS:
            self._drop_oldest_event()

    def commands(self, entries: list[Entry]) -> list[tuple[Any, ...] | bytes]:
        """The entries as XADDs, which don't bring a stream back that is gone."""
        packer = self._packer
        if packer is None:
            return []
        return [
            xadd(self._key, entry, maxlen=keys.MEDIA_IN_MAXLEN, create=False)
            if isinstance(entry, dict)
            else packer.pack(entry.at, entry.position_ms, b"".join(entry.pcm))
            for entry in entries
        ]

    def _drop_oldest(self) -> None:
        for index, entry in enumerate(self._entries):
            if isinstance(entry, _Frames):
                del entry.pcm[0]
                entry.at += FRAME_MS / 1000
                entry.position_ms += FRAME_MS
                if not entry.pcm:
                    del self._entries[index]
                break
        self._frames -= 1
        self.dropped_frames += 1

    def _drop_oldest_event(self) -> None:
        del self._entries[next(index for index, entry in enumerate(self._entries) if isinstance(entry, dict))]
        self._events -= 1
