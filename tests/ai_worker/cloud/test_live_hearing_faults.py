"""A live session that is refused, lost, stalled or closed: the whole audio's words all the same, and nothing left."""

from __future__ import annotations

import asyncio

import pytest

from ai_worker.conversation.actions import PROBE, Listen
from ai_worker.conversation.events import Partial
from ai_worker.live_hearing import AGAIN_S
from ai_worker.providers.base import ProviderDenied, ProviderError, Transcript
from support.fake_providers import (
    CutAfter,
    Drop,
    EndAfter,
    ErrorAfter,
    FakeElevenLabs,
    Fault,
    HoldAfter,
    Refuse,
)
from support.live_talk import DEADLINE_S, RATE, Talk, word
from support.waiting import until


async def test_a_session_that_was_closed_between_utterances_is_replaced(talk: Talk) -> None:
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1)
    talk.pauses()
    assert await talk.asks(1, 0, 0) == "could"
    await talk.server.scribe.hang_up()
    await until(lambda: talk.live._live is None or not talk.live._live.usable)
    start = talk.ms
    talk.live.listen(Listen(2, 0, start))
    talk.says(2, 3)
    await talk.telling(Partial(2, 0, "you book"))
    assert await talk.asks(2, 0, start) == "you book"
    assert not talk.counts.failures


@pytest.mark.parametrize(
    "fault",
    [
        Refuse(429),
        Drop(),
        CutAfter(1),
        EndAfter(1),
        HoldAfter(0),
        ErrorAfter(0, code="transcriber_error"),
        ErrorAfter(1, code="session_time_limit_exceeded"),
        ErrorAfter(0, code="auth_error"),
    ],
    ids=str,
)
async def test_a_commit_that_fails_is_made_good_within_the_turn(talk: Talk, fault: Fault) -> None:
    loop = asyncio.get_running_loop()
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2)
    talk.pauses()
    assert await talk.asks(1, 0, 0) == "could you"
    talk.live.listen(Listen(1, 1, 0))
    talk.says(3, 4, 5)
    await talk.telling(Partial(1, 1, "could you book a table"))
    talk.server.fail_next(fault)
    talk.pauses()
    asked = loop.time()
    assert await talk.asks(1, 1, 0) == "could you book a table"
    assert loop.time() - asked < 2 * DEADLINE_S
    assert talk.counts.failures["stt", "elevenlabs-stt"] == 1
    # A provider that was late is not asked again first.
    assert bool(talk.other.asked) is (isinstance(fault, HoldAfter) or getattr(fault, "code", "") == "auth_error")

    # The caller goes on: the whole is asked for, and nothing is heard live for a while.
    talk.live.listen(Listen(1, 2, 0))
    talk.says(6)
    talk.pauses()
    assert await talk.asks(1, 2, 0) == "could you book a table for"
    talk.live.stop()
    start, partials = talk.ms, len(talk.told)
    talk.live.listen(Listen(2, 0, start))
    talk.says(7, 8)
    assert await talk.asks(2, 0, start) == "two people"
    assert len(talk.told) == partials


async def test_after_a_while_it_hears_live_again(talk: Talk) -> None:
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2)
    talk.server.fail_next(Drop())
    assert await talk.asks(1, 0, 0) == "could you"
    talk.now += AGAIN_S
    start = talk.ms
    talk.live.listen(Listen(2, 0, start))
    talk.says(3)
    await talk.telling(Partial(2, 0, "book"))


async def test_a_session_that_is_lost_in_the_middle_of_speech(talk: Talk) -> None:
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2)
    await talk.telling(Partial(1, 0, "could you"))
    await talk.server.scribe.hang_up()
    await until(lambda: talk.live._live is None or not talk.live._live.usable)
    talk.says(3)
    assert await talk.asks(1, PROBE, 0) == "could you book"
    talk.pauses()
    assert await talk.asks(1, 0, 0) == "could you book"
    assert talk.counts.failures["stt", "elevenlabs-stt"] == 1


async def test_a_connection_that_is_refused(talk: Talk) -> None:
    talk.server.fail_next(Refuse(500))
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2)
    talk.pauses()
    assert await talk.asks(1, 0, 0) == "could you"
    assert talk.counts.failures["stt", "elevenlabs-stt"] == 1


async def test_every_provider_failing_is_an_error(elevenlabs_server: FakeElevenLabs) -> None:
    talk = Talk(elevenlabs_server, others=False)
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2)
    talk.server.fail_next(ErrorAfter(0, code="auth_error"), ErrorAfter(0, code="auth_error"))
    with pytest.raises(ProviderDenied):
        await talk.asks(1, 0, 0)
    await talk.aclose()


async def test_a_provider_that_is_kept_out_hears_nobody(talk: Talk) -> None:
    talk.breaker.denied(talk.breaker.force(), 0.0 + asyncio.get_running_loop().time())
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2)
    assert await talk.asks(1, 0, 0) == "could you"
    assert len(talk.other.asked) == 1
    assert not talk.server.opened_at


async def test_a_server_that_takes_no_audio_is_left_before_a_minute_of_it_is_kept(talk: Talk) -> None:
    live = talk.provider.open_live(RATE, language="en", on_text=lambda number, text: None)
    answer, seconds = live.commit(), 0
    while live.usable and seconds < 100:
        live.feed(bytes(2 * RATE))
        seconds += 1
    assert 59 <= seconds <= 61
    for failed in (answer, live.commit()):
        with pytest.raises(ProviderError, match="could not be sent"):
            await failed


@pytest.mark.parametrize("moment", ["connecting", "speaking", "committing", "idle"])
async def test_the_end_of_the_call_leaves_nothing_behind(talk: Talk, moment: str) -> None:
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2)
    asking = None
    if moment != "connecting":
        await talk.telling(Partial(1, 0, "could you"))
    if moment == "committing":
        talk.server.fail_next(HoldAfter(0))
        asking = talk.asks(1, 0, 0)
        await talk.server.request()
        asking.cancel()
    if moment == "idle":
        await talk.asks(1, 0, 0)
    await talk.live.aclose()
    if asking:
        await asyncio.wait([asking])
        assert asking.cancelled()
    if moment == "idle":
        # Its session is for the next call, and no speech of this one is in it.
        assert await talk.provider.transcribe(word(5), RATE, language="en") == Transcript("table")
        assert len(talk.server.peers) == 1


async def test_closing_the_provider_ends_what_is_heard(talk: Talk) -> None:
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2)
    await talk.telling(Partial(1, 0, "could you"))
    talk.server.fail_next(HoldAfter(0))
    asking = talk.asks(1, 0, 0)
    await talk.server.request()
    await talk.provider.aclose()
    assert await asking == "could you"  # the other provider's
    await until(lambda: not talk.server.open_connections)
    with pytest.raises(ProviderError):
        await talk.provider.transcribe(word(1), RATE, language="en")
