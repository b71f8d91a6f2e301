"""A caller heard live: words while they speak, final ones at the pause, and the whole audio's after a loss."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from ai_worker.conversation.actions import PROBE, Listen, Transcribe
from ai_worker.conversation.events import Partial
from ai_worker.hearing import Hearing
from ai_worker.live_hearing import AGAIN_S, LiveHearing
from ai_worker.providers.attempts import Counts, Link
from ai_worker.providers.base import ProviderDenied, ProviderError, SpeechToText, Transcript
from ai_worker.providers.breaker import CircuitBreaker
from ai_worker.providers.chain import SttChain
from ai_worker.providers.elevenlabs_stt import ElevenLabsTranscription
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
from support.waiting import until

RATE = 8000
WORDS = "- could you book a table for two people on Friday evening please".split()
WORD_MS, CHUNK_MS = 200, 20
DEADLINE_S = 0.5


def word(number: int, ms: int = WORD_MS) -> bytes:
    """Audio that is this word, for those who know: every sample is its number."""
    return struct.pack("<h", number) * (RATE * ms // 1000)


def understood(pcm: bytes, language: str) -> str:
    """The words whose audio is there whole, as often as it is there, in the order of their ends."""
    samples = Counter[int]()
    found = []
    for number in struct.unpack(f"<{len(pcm) // 2}h", pcm):
        samples[number] += 1
        if number and samples[number] % (RATE * WORD_MS // 1000) == 0:
            found.append(WORDS[number])
    return " ".join(found)


class Other:
    """The next provider in the list."""

    name = "other-stt"

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def transcribe(self, pcm: bytes, sample_rate: int, *, language: str) -> Transcript:
        self.asked.append(pcm)
        return Transcript(understood(pcm, language))

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...


class Talk:
    """A caller who is heard, faster than they speak; `told` is what the conversation was told."""

    def __init__(self, server: FakeElevenLabs, *, others: bool = True, wanted: bool = True) -> None:
        server.scribe.hear = understood
        server.scribe.lag = 0.02
        self.server = server
        self.other = Other()
        self.counts = Counts()
        self.breaker = CircuitBreaker()
        self.provider = ElevenLabsTranscription(api_key=server.api_key, base_url=server.base_url, timeout=1.0)
        links: list[Link[SpeechToText]] = [Link("elevenlabs", self.provider, self.breaker), Link("other", self.other)]
        self.chain = SttChain(links if others else links[:1], deadline=DEADLINE_S, counts=self.counts)
        self.hearing = Hearing(RATE)
        self.told: list[Partial] = []
        self.now = 100.0
        self.live = LiveHearing(
            self.chain, self.hearing, "en-US", self.told.append, wanted=wanted, clock=lambda: self.now
        )

    @property
    def ms(self) -> int:
        return int(self.hearing.position_ms)

    @property
    def sent(self) -> bytes:
        """All audio that was committed, without what was put behind a short one."""
        return b"".join(request.body for request in self.server.requests)

    def hears(self, pcm: bytes) -> None:
        size = 2 * RATE * CHUNK_MS // 1000
        for start in range(0, len(pcm), size):
            self.hearing.receive(pcm[start : start + size], 0.0)
            self.live.advance(self.ms)

    def says(self, *numbers: int) -> None:
        self.hears(b"".join(word(number) for number in numbers))

    def pauses(self, ms: int = 200) -> None:
        self.hears(bytes(2 * RATE * ms // 1000))

    def asks(self, utterance: int, revision: int, start_ms: int, *, part: bool = False) -> asyncio.Task[str]:
        words = self.live.words(Transcribe(utterance, revision, start_ms, self.ms, part))
        return asyncio.ensure_future(words())

    async def telling(self, *expected: Partial) -> None:
        await until(lambda: set(expected) <= set(self.told), timeout=5, what=f"{expected} in {self.told}")

    async def aclose(self) -> None:
        await self.live.aclose()
        await self.chain.aclose()


@pytest.fixture
async def talk(elevenlabs_server: FakeElevenLabs) -> AsyncIterator[Talk]:
    talk = Talk(elevenlabs_server)
    yield talk
    await talk.aclose()


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


async def test_another_connection_is_ready_for_the_next_call(talk: Talk) -> None:
    talk.live.listen(Listen(1, 0, 0))
    talk.says(1)
    await talk.telling(Partial(1, 0, "could"))
    await until(lambda: len(talk.server.scribe.sessions) == 2)
    assert await talk.provider.transcribe(word(5), RATE, language="en") == Transcript("table")
    assert len(talk.server.opened_at) == 2


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
