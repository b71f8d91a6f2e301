"""What one call has to tell, until Redis has it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbus import commands as bus_commands
from callbus import keys, media, sessions
from callbus.broker import Broker
from callbus.errors import BusUnavailable
from streamer.actions import Actions
from streamer.feed import MOST_EVENTS, MOST_FRAMES, Feed

FRAME = b"\x01\x02" * 160


def feed_of(call_id: str = "call-1") -> Feed:
    feed = Feed()
    feed.open(call_id)
    return feed


def written(feed: Feed) -> list[dict[str, Any]]:
    """What `take` gives, as the broker would write it: the position and length of audio, or the digit."""
    found: list[dict[str, Any]] = []
    for entry in feed.take():
        if isinstance(entry, dict):
            event = media.decode(entry)
            assert isinstance(event, media.Dtmf)
            found.append({"digit": event.digit})
        else:
            found.append({"position": entry.position_ms, "ms": 20 * len(entry.pcm), "at": entry.at})
    return found


def test_frames_of_one_tick_are_one_entry() -> None:
    feed = feed_of()
    for number in range(3):
        feed.audio(10.0 + number, number * 20, FRAME)
    feed.event(media.Dtmf(1.0, "5"))
    feed.audio(20.0, 60, FRAME)
    assert written(feed) == [
        {"position": 0, "ms": 60, "at": 10.0},
        {"digit": "5"},
        {"position": 60, "ms": 20, "at": 20.0},
    ]
    assert written(feed) == []


def test_audio_beyond_two_seconds_is_dropped_the_oldest_first() -> None:
    feed = feed_of()
    feed.audio(0.0, 0, FRAME)
    feed.event(media.Dtmf(1.0, "5"))
    for number in range(1, 151):
        feed.audio(number * 0.02, number * 20, FRAME)
    assert written(feed) == [{"digit": "5"}, {"position": 1020, "ms": 2000, "at": pytest.approx(1.02)}]
    assert feed.dropped_frames == 51


def test_what_could_not_be_written_goes_before_what_came_since() -> None:
    feed = feed_of()
    feed.audio(0.0, 0, FRAME)
    feed.event(media.Dtmf(1.0, "1"))
    failed = feed.take()
    feed.event(media.Dtmf(2.0, "2"))
    feed.audio(0.02, 20, FRAME)
    feed.put_back(failed)
    assert [entry.get("digit", entry.get("position")) for entry in written(feed)] == [0, "1", "2", 20]


@given(st.lists(st.sampled_from(["frames", "event", "fail", "write"]), max_size=60))
def test_it_stays_within_its_bounds_and_in_order(steps: list[str]) -> None:
    feed = feed_of()
    position = 0
    seen: list[dict[str, Any]] = []
    for step in steps:
        match step:
            case "frames":
                for _ in range(30):
                    feed.audio(position / 1000, position, FRAME)
                    position += 20
            case "event":
                for _ in range(60):
                    feed.event(media.Dtmf(1.0, "5"))
            case "fail":
                feed.put_back(feed.take())
            case _:
                entries = written(feed)
                assert sum(entry.get("ms", 0) for entry in entries) <= MOST_FRAMES * 20
                seen += entries
    entries = written(feed)
    seen += entries
    audio = [entry for entry in seen if "position" in entry]
    assert [entry["position"] for entry in audio] == sorted(entry["position"] for entry in audio)
    assert sum(entry["ms"] for entry in audio) + 20 * feed.dropped_frames == position


def test_events_of_a_long_outage_are_bounded() -> None:
    feed = feed_of()
    for _ in range(3 * MOST_EVENTS):
        feed.event(media.Dtmf(1.0, "5"))
        feed.put_back(feed.take())
    assert len(feed.take()) == MOST_EVENTS


def test_events_that_nobody_takes_are_bounded_and_the_newest_of_them_kept() -> None:
    feed = feed_of()
    for number in range(3 * MOST_EVENTS):
        feed.event(media.Dtmf(1.0, str(number % 10)))
        feed.audio(number * 0.02, number * 20, FRAME)
    digits = [entry["digit"] for entry in written(feed) if "digit" in entry]
    assert digits == [str(number % 10) for number in range(2 * MOST_EVENTS, 3 * MOST_EVENTS)]


def test_a_muted_feed_takes_no_events() -> None:
    feed = feed_of()
    feed.muted = True
    feed.event(media.Dtmf(1.0, "1"))
    assert feed.take() == []


async def test_entries_are_read_back_as_they_were(broker: Broker) -> None:
    feed = feed_of("50%-call")
    await sessions.attach(broker, "50%-call", streamer="st", session="s", sample_rate=8000)
    feed.audio(1.25, 40, FRAME)
    feed.audio(1.27, 60, FRAME)
    feed.event(media.Dtmf(2.0, "#"))
    replies = await broker.burst(feed.commands(feed.take()))
    assert all(isinstance(reply, bytes) for reply in replies)
    _, *events = [media.decode(fields) for _, fields in await broker.range(keys.media_in("50%-call"))]
    assert events == [media.Audio(1.25, 40, FRAME * 2), media.Dtmf(2.0, "#")]
    # A stream that is gone stays gone.
    gone = feed_of("gone")
    gone.audio(0.0, 0, FRAME)
    gone.event(media.Dtmf(0.0, "1"))
    assert await broker.burst(gone.commands(gone.take())) == [None, None]


class LosesAReply(Broker):
    """A connection that breaks once after Redis carried out the command."""

    lost = False

    async def pipeline(self, commands: Any) -> list[Any]:
        replies = await super().pipeline(commands)
        if not self.lost:
            self.lost = True
            raise BusUnavailable("the reply was lost")
        return replies


async def test_an_action_whose_mark_got_no_reply_is_done_once(broker: Broker, redis_url: str) -> None:
    action = bus_commands.Transfer("call-1", 1, "a1", "1234")
    flaky = LosesAReply(redis_url)
    actions = Actions(flaky)
    try:
        assert await actions.first_time(action) is True
        assert await actions.first_time(action) is False
        assert await Actions(broker).first_time(action) is False
    finally:
        await flaky.aclose()


def test_of_a_backlog_that_comes_after_a_long_stall_the_newest_is_kept() -> None:
    feed = feed_of()
    assert feed.audio(100.0, 0, FRAME)
    feed.take()
    # 5 s of silence, then 5 s of audio within 250 ms: none of it is to be written before all of it has come.
    now = [feed.audio(105.0 + number * 0.001, 20 + number * 20, FRAME) for number in range(250)]
    assert not any(now)
    assert not feed.audio(105.27, 5020, FRAME)
    assert feed.audio(105.35, 5040, FRAME)
    assert feed.dropped_frames == 252 - MOST_FRAMES
    [audio] = written(feed)
    assert audio["position"] == 5060 - 20 * MOST_FRAMES
    assert feed.audio(105.37, 5060, FRAME)


def test_who_goes_on_too_fast_for_ever_is_not_waited_for() -> None:
    feed = feed_of()
    feed.audio(100.0, 0, FRAME)
    written_at = next(at for at in (105.0 + 0.005 * number for number in range(400)) if feed.audio(at, 0, FRAME))
    assert written_at == pytest.approx(105.5, abs=0.01)


def test_after_a_stall_of_half_a_second_everything_is_written_at_once() -> None:
    feed = feed_of()
    assert feed.audio(100.0, 0, FRAME)
    assert all(feed.audio(100.5, 20 + number * 20, FRAME) for number in range(25))
    assert feed.dropped_frames == 0
