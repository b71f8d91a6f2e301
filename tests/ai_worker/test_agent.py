"""One agent: what is taken for granted where its file says nothing, and which of its rules answers the caller."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_worker.agent import Agent
from ai_worker.agent_rules import LONGEST_TEXT, compile_pattern, plain_words


def agent(**more: Any) -> Agent:
    return Agent.model_validate({"name": "lib", "greeting": "Hello.", "instructions": "Be brief.", **more})


def test_defaults() -> None:
    plain = agent()
    assert plain.is_default
    assert (plain.allow_interruptions, plain.recording, plain.max_call_minutes) == (True, True, 30)
    assert len(plain.silence_prompts) == 2


def test_limits_in_either_place() -> None:
    limited = agent(limits={"max_call_minutes": 5, "max_turns": 20, "silence_s": 6.5})
    assert (limited.max_call_minutes, limited.limits.max_turns, limited.limits.silence_s) == (5, 20, 6.5)
    assert agent(max_call_minutes=7).max_call_minutes == 7


def test_providers_in_their_order() -> None:
    order = agent(providers={"tts": ["elevenlabs", "local"], "llm": ["openai"]}).providers
    assert (order.tts, order.llm, order.stt) == (("elevenlabs", "local"), ("openai",), ())


def test_the_first_rule_that_matches_wins() -> None:
    ruled = agent(rules=[{"when": ["cat"], "say": "one"}, {"when": ["black cat"], "say": "two"}])
    rule = ruled.match("A black cat!")
    assert rule is not None
    assert rule.say == "one"


@pytest.mark.parametrize(
    ("pattern", "said", "matches"),
    [
        ("opening hours", "OPENING, hours?", True),
        ("opening hours", "reopening hours", False),
        ("opening hours", "opening hours2", False),
        ("that's all", "Thats all.", True),
        ("that’s all", "that's all", True),
        ("What are your hours?", "so what are your hours", True),
        ("e-mail", "E-mail me", True),
        ("café", "Au CAFÉ.", True),
        ("/open(ing)? (hours|times)/", "Your open-times, please", True),
        ("/open(ing)? (hours|times)/", "reopen times", False),
        ("/I want (a|the) cat/", "i want the cat", True),
        ("/cat|dog/", "hotdog", False),
        ("/.+/", "whatever", True),
        ("/.+/", "?!", False),
    ],
)
def test_patterns_match_whole_words(pattern: str, said: str, matches: bool) -> None:
    assert bool(compile_pattern(pattern).search(plain_words(said))) is matches


@given(st.text(max_size=2 * LONGEST_TEXT))
def test_any_text_can_be_matched(text: str) -> None:
    words = plain_words(text)
    assert len(words) <= 2 * LONGEST_TEXT
    assert words == words.strip()
    assert "  " not in words
    assert plain_words(words) == words[:LONGEST_TEXT].strip()


@given(st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=5), st.text("!?., -…", max_size=3))
def test_a_phrase_is_found_whatever_its_case_and_punctuation(words: list[str], marks: str) -> None:
    said = f"well{marks} " + f"{marks} ".join(word.title() for word in words) + f"{marks} then"
    assert compile_pattern(" ".join(words)).search(plain_words(said))


def test_a_very_long_text_costs_little() -> None:
    pattern = compile_pattern("/(one|two) .*three .*four/")
    begun = time.perf_counter()
    assert pattern.search(plain_words("one three " * 100_000)) is None
    assert time.perf_counter() - begun < 0.5
