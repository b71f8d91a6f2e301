"""How media sessions join and leave their call."""

from __future__ import annotations

from callbus import calls, sessions
from callbus.broker import Broker


async def test_a_drop_is_noted_for_the_session_that_has_the_call_only(broker: Broker) -> None:
    await sessions.attach(broker, "c1", streamer="st", session="s1", sample_rate=8000)
    await sessions.attach(broker, "c1", streamer="st", session="s2", sample_rate=8000)
    assert await sessions.away(broker, "c1", session="s1") is False
    assert (await calls.get(broker, "c1"))["media"] == "connected"
    assert await sessions.away(broker, "c1", session="s2") is True
    assert (await calls.get(broker, "c1"))["media"] == "away"
    await sessions.attach(broker, "c1", streamer="st", session="s3", sample_rate=8000)
    assert "media_closed" not in await calls.get(broker, "c1")
