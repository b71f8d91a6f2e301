"""A caller heard live: words while they speak, final ones at the pause, each utterance's own."""

from __future__ import annotations

import asyncio

from ai_worker.conversation.actions import PROBE, Listen
from ai_worker.conversation.events import Partial
from ai_worker.providers.base import Transcript
from support.fake_providers import (
    FakeElevenLabs,
)
from support.live_talk import RATE, WORD_MS, Talk, word
from support.waiting import until


async def test_words_are_told_while_the_caller_speaks(talk: Talk) -> None:
    talk.pauses(300)
    talk.live.listen(Listen(1, 0, 100))
    talk.says(1, 2)
    await talk.telling(Partial(1, 0, "could you"))
    talk.says(3)
    await talk.telling(Partial(1, 0, "could you book"))
    talk.pauses()
    assert await talk.asks(1, 0, 100) == "could you book"
    # All from the beginning on, and nothing of the silence before.
    assert talk.sent == talk.hearing.cut(100, talk.ms)
    assert talk.server.requests[0].query["language_code"] == "en"


async def test_the_words_are_known_before_the_final_ones(talk: Talk) -> None:
    talk.server.scribe.seconds = 0.3
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2, 3, 4)
    await talk.telling(Partial(1, 0, "could you book a"))
    talk.pauses()
    final = talk.asks(1, 0, 0)
    await asyncio.sleep(0)
    assert not final.done()
    assert await final == "could you book a"


async def test_speech_that_goes_on_after_a_pause_is_joined(talk: Talk) -> None:
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2)
    talk.pauses()
    assert await talk.asks(1, 0, 0) == "could you"
    talk.pauses(400)
    talk.says(3)
    talk.live.listen(Listen(1, 1, 0))
    await talk.telling(Partial(1, 1, "could you"), Partial(1, 1, "could you book"))
    talk.says(4, 5)
    talk.pauses()
    assert await talk.asks(1, 1, 0) == "could you book a table"
    assert talk.sent == talk.hearing.cut(0, talk.ms)
    assert len(talk.server.peers) == 1


async def test_going_on_before_the_final_words_came_loses_none(talk: Talk) -> None:
    talk.server.scribe.seconds = 0.2
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2)
    talk.pauses()
    first = talk.asks(1, 0, 0)
    await asyncio.sleep(0)
    first.cancel()
    talk.live.listen(Listen(1, 1, 0))
    talk.says(3, 4)
    talk.pauses()
    assert await talk.asks(1, 1, 0) == "could you book a"
    assert await talk.asks(1, 1, 0) == "could you book a"
    assert talk.sent == talk.hearing.cut(0, talk.ms)


async def test_each_part_has_its_own_words(talk: Talk) -> None:
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2, 3)
    middle = talk.ms
    first = talk.asks(1, 0, 0, part=True)
    talk.hears(word(4, 40))
    talk.live.listen(Listen(1, 1, middle + 40))
    talk.hears(word(4, WORD_MS - 40))
    talk.says(5)
    await talk.telling(Partial(1, 1, "a table"))
    talk.pauses()
    assert await talk.asks(1, 1, middle + 40) == "a table"
    assert await first == "could you book"


async def test_a_probe_changes_nothing(talk: Talk) -> None:
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2)
    await talk.telling(Partial(1, 0, "could you"))
    assert await talk.asks(1, PROBE, 0) == "could you"
    assert not talk.server.requests
    talk.says(3)
    talk.pauses()
    assert await talk.asks(1, 0, 0) == "could you book"


async def test_a_probe_without_a_session_asks_about_the_audio(elevenlabs_server: FakeElevenLabs) -> None:
    talk = Talk(elevenlabs_server, wanted=False)
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2, 3)
    assert await talk.asks(1, PROBE, 0) == "could you book"
    talk.pauses()
    assert await talk.asks(1, 0, 0) == "could you book"
    assert [len(request.body) for request in elevenlabs_server.requests] == [9600, 12800]
    assert not talk.told
    await talk.aclose()


async def test_what_nobody_wants_to_know_is_not_in_the_next_words(talk: Talk) -> None:
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2, 3)
    talk.live.stop()
    talk.pauses(1000)
    start = talk.ms - 300
    talk.says(4, 5)
    talk.live.listen(Listen(2, 0, start))
    await talk.telling(Partial(2, 0, "a table"))
    talk.pauses()
    assert await talk.asks(2, 0, start) == "a table"
    # Also when the next one follows without a word from the conversation.
    talk.live.listen(Listen(2, 1, start))
    talk.says(6)
    start = talk.ms
    talk.live.listen(Listen(3, 0, start))
    talk.says(7)
    talk.pauses()
    assert await talk.asks(3, 0, start) == "two"
    assert len(talk.server.peers) == 1
    assert not talk.counts.failures


async def test_audio_that_was_answered_is_not_sent_again_for_the_next_utterance(talk: Talk) -> None:
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1)
    talk.pauses(300)
    assert await talk.asks(1, 0, 0) == "could"
    start = talk.ms - 350
    talk.says(2)
    talk.live.listen(Listen(2, 0, start))
    talk.says(3)
    talk.pauses()
    assert await talk.asks(2, 0, start) == "you book"
    assert talk.sent == talk.hearing.cut(0, talk.ms)


async def test_what_is_replayed_opens_no_session_but_what_goes_on_is_heard_whole(talk: Talk) -> None:
    talk.live.replayed(3 * WORD_MS)
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2)
    await asyncio.sleep(0)
    assert talk.live._live is None
    talk.says(3)
    assert talk.live._live is None
    talk.says(4)
    talk.pauses()
    await talk.telling(Partial(1, 0, "could you book a"))
    assert await talk.asks(1, 0, 0) == "could you book a"


async def test_a_turn_that_was_over_in_the_replay_is_read_from_its_audio(talk: Talk) -> None:
    talk.live.replayed(10_000)
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1, 2)
    assert await talk.asks(1, 0, 0) == "could you"
    assert not talk.told


async def test_another_connection_is_ready_for_the_next_call(talk: Talk) -> None:
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1)
    await talk.telling(Partial(1, 0, "could"))
    await until(lambda: len(talk.server.scribe.sessions) == 2)
    assert await talk.provider.transcribe(word(5), RATE, language="en") == Transcript("table")
    assert len(talk.server.opened_at) == 2
