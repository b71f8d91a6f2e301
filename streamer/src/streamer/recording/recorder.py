"""Records one media session: keeps the last seconds until it is known whether to record, then writes them and goes on.

A recording is `<calls dir>/<call id>/<start, epoch ms>-<session>.part`: raw s16le stereo, the caller left, the bot
right. A `.json` of the same name says `sample_rate` (Hz), `started_at` (epoch s of the first sample), `session` and
`streamer`. A call whose connection dropped and came back has one of each a session.

Files that the media server plays (`play`) are not in it: the streamer never sees their audio.
"""

from __future__ import annotations

from pathlib import Path

from streamer.recording.disk import Disk
from streamer.recording.timeline import LOOKAHEAD_S, StereoTimeline

UNDECIDED_S = 10.0
"""So much is kept while nobody has said whether to record."""
BLOCK_S = 1.0


class Recorder:
    """One session's recording. Times are epoch seconds."""

    def __init__(
        self, disk: Disk, calls_dir: Path, *, session: str, streamer: str, sample_rate: int, started: float
    ) -> None:
        self._disk = disk
        self._calls_dir = calls_dir
        self._session = session
        self._streamer = streamer
        self._rate = sample_rate
        self._started = started
        self._timeline: StereoTimeline | None = StereoTimeline(sample_rate, started)
        self._part: Path | None = None
        self._next = started + UNDECIDED_S
        self._owed_bytes = 0

    def caller(self, at: float, pcm: bytes) -> None:
        """The caller's audio (s16le mono) that arrived at `at`."""
        timeline = self._timeline
        if timeline is not None:
            timeline.caller(at, pcm)
            if at >= self._next:
                self._advance(at)

    def bot(self, start: float, pcm: bytes) -> None:
        """The bot's audio (s16le mono), heard from `start` on."""
        if self._timeline is not None:
            self._timeline.bot(start, pcm)
            if start >= self._next:
                # It may lie in the future: so much of it is not to be rendered yet.
                self._advance(start - BLOCK_S)

    def cut(self, at: float) -> None:
        """The bot fell silent at `at`."""
        if self._timeline is not None:
            self._timeline.cut_bot(at)

    def decide(self, on: bool, call_id: str, now: float) -> None:
        """Record this call from the session's start, or as far back as was kept; or don't, and forget what was kept."""
        if not on:
            self.close(now)
        elif self._timeline is not None and self._part is None:
            name = f"{int(self._started * 1000)}-{self._session}"
            folder = self._calls_dir / call_id
            self._part = folder / f"{name}.part"
            sidecar = {
                "sample_rate": self._rate,
                "started_at": round(self._timeline.rendered_until, 4),
                "session": self._session,
                "streamer": self._streamer,
            }
            self._disk.write_json(folder / f"{name}.json", sidecar)
            self._advance(now)

    def close(self, now: float) -> None:
        """The session is over: write the rest."""
        if self._timeline is not None and self._part is not None:
            self._write(self._timeline.render(now))
        self._timeline = None

    def _advance(self, now: float) -> None:
        self._next = now + BLOCK_S
        if self._timeline is None:
            return
        if self._part is None:
            self._timeline.forget(now - UNDECIDED_S)
        else:
            self._write(self._timeline.render(now - LOOKAHEAD_S))

    def _write(self, block: bytes) -> None:
        if self._part is None or not block:
            return
        if self._owed_bytes:
            # What the disk was too slow for becomes silence, so that the rest keeps its place.
            if not self._disk.append(self._part, bytes(self._owed_bytes)):
                self._owed_bytes += len(block)
                return
            self._owed_bytes = 0
        if not self._disk.append(self._part, block):
            self._owed_bytes = len(block)
