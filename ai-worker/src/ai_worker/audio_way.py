"""What became of the callers' audio on its way to the conversations: how old it was, and what never came."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from callbus import media
from callbus.pcm import FRAME_MS, frame_bytes

# By the millisecond where a goal is judged.
AGES_S = tuple(ms / 1000 for ms in (*range(1, 61), *range(65, 101, 5), 125, 150, 200, 300, 500, 1000, 2000, 5000))


class AudioWay(Collector):
    """All calls of a worker. The hot path adds to plain ints; a scrape collects them.

    A frame's age is from its arrival at the streamer to the moment when its conversation has been told what the
    voice-activity detector found; by the two machines' own clocks, as far as they agree.
    """

    def __init__(self) -> None:
        self._ages = [0] * (len(AGES_S) + 1)
        self._age_sum = 0.0
        self._missed = 0
        self._expected: dict[str, int] = {}
        self._arrived: list[tuple[float, int]] = []

    def arrived(self, stream: str, event: media.MediaEvent, sample_rate: int) -> int:
        """An entry was read from a call's in stream; its audio is about to be judged.

        Returns the ms of audio before it that never came; for an entry that comes twice, as it can after an outage of
        Redis, less than 0: so many ms of it, or more, are known.
        """
        if type(event) is media.Audio:
            frames = len(event.pcm) // frame_bytes(sample_rate)
            expected = self._expected.get(stream, event.position_ms)
            lost = event.position_ms - expected
            if lost > 0:
                self._missed += lost // FRAME_MS
            self._expected[stream] = max(expected, event.position_ms + FRAME_MS * frames)
            self._arrived.append((event.at, frames))
            return lost
        if type(event) is media.MediaStarted:
            # Another session counts from 0; one that entered its call again, after Redis had lost it, goes on counting.
            self._expected.pop(stream, None)
        return 0

    def told(self, now: float) -> None:
        """The conversations know of all that arrived; `now` is epoch s."""
        for at, frames in self._arrived:
            self._ages[bisect_left(AGES_S, now - at)] += frames
            self._age_sum += (now - at) * frames
        self._arrived.clear()

    def forget(self, stream: str) -> None:
        """This call's stream is read no more."""
        self._expected.pop(stream, None)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        ages = HistogramMetricFamily(
            "ringover_worker_audio_age_seconds", "From a frame's arrival at the streamer to its conversation"
        )
        counted, buckets = 0, list[tuple[str, float]]()
        for edge, count in zip((*map(str, AGES_S), "+Inf"), self._ages, strict=True):
            counted += count
            buckets.append((edge, counted))
        ages.add_metric([], buckets, self._age_sum)
        yield ages
        missed = CounterMetricFamily("ringover_worker_audio_frames_missed", "Frames that never came to this worker")
        missed.add_metric([], self._missed)
        yield missed
