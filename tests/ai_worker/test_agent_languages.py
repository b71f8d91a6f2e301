"""What a bot says by itself is said in its language: from its file, or from the texts that we have."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from ai_worker.agents import Agent, AgentError, load_agents
from ai_worker.casting import persona_of
from ai_worker.conversation.persona import Persona
from ai_worker.conversation.texts import ENGLISH, Texts, languages_with_texts, texts_of
from ai_worker.prepared import PreparedSpeech
from ai_worker.tools import ToolBox
from support.conversation_world import Answer, World

FRENCH = "name: biblio\nlanguage: fr\ngreeting: Bonjour, ici la bibliothèque.\ninstructions: Soyez bref.\n"
POLISH = {
    "apology": "Przepraszam, coś poszło nie tak.",
    "not_possible": "Przepraszam, to nie jest teraz możliwe.",
    "reprompt": "Przepraszam, nie zrozumiałem.",
    "silence_prompts": ["Czy pan tam jest?", "Jestem tutaj."],
    "goodbye": "Do widzenia.",
    "filler": "Chwileczkę.",
    "long_waits": ["Jeszcze chwilę."],
}


def said_by(texts: Texts) -> tuple[str, ...]:
    return (
        texts.apology, texts.not_possible, texts.reprompt, *texts.silence_prompts, texts.goodbye, texts.filler,
        *texts.long_waits,
    )  # fmt: skip


def agent(language: str, **more: object) -> Agent:
    return Agent.model_validate({"name": "a", "greeting": "…", "instructions": "x", "language": language, **more})


async def cast(agent: Agent) -> Persona:
    async with httpx.AsyncClient() as http:
        return persona_of(agent, ToolBox(agent, http, {}, session="c1"), begun=datetime.now(UTC))


@pytest.mark.parametrize("language", languages_with_texts())
async def test_every_language_has_all_texts_and_none_of_another(language: str) -> None:
    texts = texts_of(language)
    assert texts is not None
    mine = agent(f"{language}-XX").for_call({})
    assert mine.own_texts == said_by(texts)
    assert set(mine.own_texts) <= set(mine.fixed_texts)
    persona = await cast(mine)
    assert (persona.filler, persona.long_waits, persona.goodbye) == (texts.filler, texts.long_waits, texts.goodbye)
    assert persona.silence_prompts == texts.silence_prompts
    assert len(texts.long_waits) >= 3
    assert len(set(said_by(texts))) == len(said_by(texts))
    if language != "en":
        assert set(said_by(texts)).isdisjoint(said_by(ENGLISH))


def test_what_the_file_says_counts() -> None:
    mine = agent("fr", filler="Je regarde.", long_waits=[])
    assert (mine.filler, mine.long_waits) == ("Je regarde.", ())
    assert mine.goodbye == "Je vais raccrocher. Au revoir."


def test_a_french_bot_speaks_french_whatever_happens(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(FRENCH, encoding="utf-8")
    mine = load_agents(tmp_path).default.for_call({})
    persona = Persona(mine.greeting, language=mine.language, **{
        name: getattr(mine, name) for name in ("apology", "reprompt", "silence_prompts", "goodbye")
    })  # fmt: skip
    world = World(persona, answers=lambda _: Answer("", "fails")).until_turn()
    world.caller.say("Je voudrais un livre.")
    world.until_heard(mine.apology).run()
    assert world.heard == " ".join([mine.greeting, mine.apology, *mine.silence_prompts, mine.goodbye])


def test_a_language_without_texts_must_bring_them_all(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(FRENCH.replace("fr", "pl") + "goodbye: Do widzenia.\n", encoding="utf-8")
    with pytest.raises(AgentError) as caught:
        load_agents(tmp_path)
    [problem] = caught.value.problems
    assert problem == (
        f"{tmp_path}/a.yaml:2: language: what a bot says by itself is known in en, fr, es, de, it only; for 'pl' "
        "the file must give it: `apology`, `not_possible`, `reprompt`, `silence_prompts`, `filler`, `long_waits` are "
        "missing"
    )
    assert agent("pl", **POLISH).own_texts[-1] == "Jeszcze chwilę."


@pytest.mark.parametrize("missing", POLISH)
def test_each_missing_text_is_named(missing: str) -> None:
    with pytest.raises(ValueError, match=f"`{missing}` is missing"):
        agent("pl", **{name: text for name, text in POLISH.items() if name != missing})


class Listed:
    """A voice that writes down what it was to say."""

    name = "listed"

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    async def stream(self, text: str, *, sample_rate: int, voice: str, language: str) -> AsyncGenerator[bytes, None]:
        self.said.append((text, language))
        yield bytes(160)

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...


async def test_the_texts_of_the_language_are_spoken_beforehand() -> None:
    voice = Listed()
    await PreparedSpeech(voice).prepare([agent("fr")], sample_rate=8000)
    texts = texts_of("fr")
    assert texts is not None
    assert {language for _, language in voice.said} == {"fr"}
    heard = " ".join(text for text, _ in voice.said)
    assert all(text in heard for text in said_by(texts))


async def test_the_region_is_for_the_words_and_not_for_the_voice() -> None:
    voice = Listed()
    speech = PreparedSpeech(voice)
    british = agent("en-GB", notice="It ends on 03/04/2026.")
    await speech.prepare([british], sample_rate=8000)
    made = len(voice.said)
    said = [_ async for _ in speech.stream("It ends on 03/04/2026.", sample_rate=8000, voice="", language="en-GB")]
    assert said
    assert len(voice.said) == made
    assert ("It ends on 3rd April 2026.", "en") in voice.said
