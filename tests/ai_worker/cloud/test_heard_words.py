"""Which words a caller has heard, by the voice's own alignment: the wire format, and the way to the transcript."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from ai_worker.agents import Agent
from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.conversation.machine import Conversation
from ai_worker.conversation.persona import Persona
from ai_worker.prepared import PreparedSpeech
from ai_worker.providers._alignment import AlignedAudio
from ai_worker.providers.attempts import Link
from ai_worker.providers.base import SaidUntil
from ai_worker.providers.chain import TtsChain
from ai_worker.providers.elevenlabs_tts import ElevenLabsSpeech
from ai_worker.voice import Voice
from callbus import transcript
from support.fake_providers import CutAfter, FakeElevenLabs
from support.waiting import until

GREETING = "Reception. How can I help you today?"
PIECE = bytes(1600)  # 100 ms at 8 kHz


def line(audio: bytes, characters: str = "", ends: Sequence[float] = (), start: float = 0.0) -> str:
    starts = [start, *ends[:-1]]
    alignment = {
        "characters": list(characters),
        "character_start_times_seconds": starts[: len(ends)],
        "character_end_times_seconds": list(ends),
    }
    chunk: dict[str, Any] = {"audio_base64": base64.b64encode(audio).decode(), "alignment": None}
    return json.dumps(chunk | ({"alignment": alignment} if characters else {}))


def words(items: list[bytes | SaidUntil]) -> list[tuple[int, int]]:
    return [(item.chars, item.ms) for item in items if isinstance(item, SaidUntil)]


def test_a_word_is_told_when_its_last_character_is_known() -> None:
    aligned = AlignedAudio("one two.", 8000)
    assert words(aligned.feed(line(PIECE, "one", [0.1, 0.2, 0.3]))) == [(3, 300)]
    assert words(aligned.feed(line(PIECE, " tw", [0.35, 0.4, 0.5], 0.3))) == []
    assert words(aligned.feed(line(PIECE, "o.", [0.6, 0.7], 0.5))) == [(8, 700)]
    assert aligned.feed("") == []
    assert aligned.ms == 300


def test_times_may_count_from_the_beginning_of_the_chunk() -> None:
    aligned = AlignedAudio("one two", 8000)
    assert words(aligned.feed(line(3 * PIECE, "one ", [0.1, 0.2, 0.25, 0.3]))) == [(3, 250)]
    assert words(aligned.feed(line(3 * PIECE, "two", [0.1, 0.2, 0.25]))) == [(7, 550)]


def test_what_is_not_in_the_text_is_passed_over() -> None:
    aligned = AlignedAudio("I say", 8000)
    assert words(aligned.feed(line(PIECE, " I  say ", [0.01 * n for n in range(1, 9)]))) == [(1, 20), (5, 70)]


def test_samples_are_whole_and_words_wait_for_the_first_of_them() -> None:
    aligned = AlignedAudio("a b", 8000)
    assert aligned.feed(line(b"", "a", [0.1])) == []
    assert aligned.feed(line(b"\1")) == []
    assert aligned.feed(line(b"\2\3", " b", [0.2, 0.3], 0.1)) == [SaidUntil(1, 100), SaidUntil(3, 300), b"\1\2"]
    assert aligned.feed(line(b"\4")) == [b"\3\4"]


@pytest.mark.parametrize("damaged", ["<html>", "[]", '{"detail": "x"}', '{"audio_base64": "%"}', '{"audio_base64": 3}'])
def test_a_damaged_line_is_an_error(damaged: str) -> None:
    with pytest.raises(ValueError):
        AlignedAudio("one", 8000).feed(damaged)


def slow_beginning(text: str, seconds: float) -> list[float]:
    """The first word takes three quarters of the time."""
    first = text.index(" ")
    slow, fast = 0.75 * seconds / first, 0.25 * seconds / (len(text) - first)
    return [slow * (n + 1) if n < first else 0.75 * seconds + fast * (n + 1 - first) for n in range(len(text))]


class Told:
    """A conversation that has just begun, and its voice."""

    def __init__(self, tts: PreparedSpeech) -> None:
        self.conversation = Conversation(Persona(greeting=GREETING))
        self.heard: list[str] = []
        self.told: list[ev.Event] = []
        agent = Agent(name="test", default=True, greeting=GREETING, instructions="Be brief.")
        self.voice = Voice(tts, agent, 8000, lambda segment, pcm, last: None, self.tell)
        self.segments: list[str] = []

    def tell(self, event: ev.Event) -> None:
        self.told.append(event)
        for action in self.conversation.handle(event, 100.0):
            if isinstance(action, act.Say):
                self.segments.append(action.segment)
                self.voice.say(action)
            elif isinstance(action, act.Write) and isinstance(action.entry, transcript.BotHeard):
                self.heard.append(action.entry.heard_text)


@pytest.fixture
async def tts(elevenlabs_server: FakeElevenLabs) -> AsyncIterator[PreparedSpeech]:
    elevenlabs_server.align, elevenlabs_server.speed = slow_beginning, 1000.0
    speech = ElevenLabsSpeech(api_key=elevenlabs_server.api_key, base_url=elevenlabs_server.base_url)
    chain = TtsChain([Link("elevenlabs", speech)], deadline=5.0)
    yield PreparedSpeech(chain)
    await chain.aclose()


@pytest.mark.parametrize("prepared", [False, True])
async def test_the_words_that_were_heard_are_those_that_were_said_by_then(tts: PreparedSpeech, prepared: bool) -> None:
    call = Told(tts)
    if prepared:
        agent = Agent(name="test", default=True, greeting=GREETING, instructions="Be brief.")
        await tts.prepare([agent], sample_rate=8000)
    running = asyncio.create_task(call.voice.run())
    call.tell(ev.Begin())
    await until(lambda: any(isinstance(event, ev.Synthesised) for event in call.told))
    total = next(event.ms for event in call.told if isinstance(event, ev.Synthesised))
    call.tell(ev.Played("started", call.segments[0], 0, total, 100.0))
    # Half of it by the clock: by letters, the caller would have heard three words.
    call.tell(ev.Played("cut", call.segments[0], round(0.76 * total), total, 101.0))
    assert call.heard[0] == GREETING.split()[0]
    running.cancel()
    await asyncio.wait([running])


async def test_the_words_of_a_voice_that_breaks_off(elevenlabs_server: FakeElevenLabs, tts: PreparedSpeech) -> None:
    call = Told(tts)
    elevenlabs_server.piece_bytes = 1600
    pieces = len(GREETING) * 6 // 10
    elevenlabs_server.fail_next(CutAfter(pieces - 3))
    running = asyncio.create_task(call.voice.run())
    call.tell(ev.Begin())
    await until(lambda: any(isinstance(event, ev.SynthesisFailed) for event in call.told))
    sent = 100 * (pieces - 3)
    call.tell(ev.Played("started", call.segments[0], 0, sent, 100.0))
    call.tell(ev.Played("finished", call.segments[0], sent, sent, 102.0))
    known = [event.until for event in call.told if isinstance(event, ev.WordTimed) and event.until.ms <= sent]
    assert 1 < len(known) < len(GREETING.split())
    assert call.heard[0] == GREETING[: known[-1].chars]
    running.cancel()
    await asyncio.wait([running])
