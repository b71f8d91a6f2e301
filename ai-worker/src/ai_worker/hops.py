"""One call's ways through Redis, measured turn by turn: times of two machines, made comparable. Sans-I/O."""

from __future__ import annotations

from dataclasses import replace

from callbus.media import Playback
from callbus.transcript import TurnTimed

KEPT_SEGMENTS = 64


class Hops:
    """Times are epoch s: `now` by the call's clock on this worker, `at` by the streamer's session.

    The two clocks may differ by any amount, and either machine's may be set meanwhile: both are read as monotonic
    clocks with a fixed difference, which is known from how far Redis' clock is ahead of each. Should that be wrong for
    a moment (Redis' own clock was set, and only one side has noticed), the sum of both ways is right all the same, for
    the clocks' difference is in it twice, with both signs: no way is ever less than nothing or more than that sum.
    """

    def __init__(self) -> None:
        self._latest_at: float | None = None
        self._in: float | None = None
        self._spoken: dict[str, float] = {}
        self._started: Playback | None = None

    def received(self, at: float) -> None:
        """Audio came that was at the streamer at `at`."""
        self._latest_at = at

    def paused(self, now: float) -> None:
        """The latest audio showed that the caller's speech has ended."""
        self._in = None if self._latest_at is None else now - self._latest_at

    def spoke(self, segment: str, now: float) -> None:
        """Audio of a segment is on its way to the streamer."""
        if segment not in self._spoken:
            self._spoken[segment] = now
            if len(self._spoken) > KEPT_SEGMENTS:
                del self._spoken[next(iter(self._spoken))]

    def started(self, event: Playback) -> None:
        """A segment is being heard."""
        self._started = event

    def way_in(self, bus_ahead: float | None) -> float:
        """How long (s) the audio that showed the latest end of speech was under way; 0 as long as it is not known."""
        started = self._started
        if self._in is None or started is None or started.bus_ahead is None or bus_ahead is None:
            return 0.0
        return max(0.0, self._in + bus_ahead - started.bus_ahead)

    def timed(self, turn: TurnTimed, bus_ahead: float | None) -> TurnTimed:
        """The turn with its hops and what the streamer knows of it; Redis' clock is `bus_ahead` s of the call's."""
        started = self._started
        if started is None:
            return turn
        stages = dict(turn.stages)
        hops = self._hops(started, bus_ahead)
        if "in" in hops:
            stages = {stage: round(ms + hops["in"], 1) for stage, ms in stages.items()}
        if started.sent_at is not None and turn.voice_to_voice_ms is not None:
            sent = turn.voice_to_voice_ms - (started.at - started.sent_at) * 1000
            # Two clocks read to the millisecond: what follows at once must not seem to have come before.
            stages["first_audio_sent"] = round(max(0.0, stages.get("tts_first_byte", 0.0), sent), 1)
        return replace(turn, stages=dict(sorted(stages.items(), key=lambda stage: stage[1])), hops=hops)

    def _hops(self, started: Playback, bus_ahead: float | None) -> dict[str, float]:
        spoken_at = self._spoken.get(started.segment)
        if self._in is None or spoken_at is None or started.arrived_at is None:
            return {}
        if bus_ahead is None or started.bus_ahead is None:
            return {}
        way_out = started.arrived_at - spoken_at
        both = max(0.0, self._in + way_out)
        way_in = min(both, max(0.0, self._in + bus_ahead - started.bus_ahead))
        return {"in": round(way_in * 1000, 1), "out": round((both - way_in) * 1000, 1)}
