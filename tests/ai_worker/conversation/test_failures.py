"""Providers that fail, stall, break off: the caller hears an honest sentence, and at last a person. On virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from ai_worker.conversation.persona import Persona
from support.conversation_world import START, Answer, Latency, World

GREETING = "Hello, this is the library. How can I help you?"
APOLOGY = "I am sorry, something went wrong on my side."
REPROMPT = "Sorry, I did not catch that."
GOOD = "Members can borrow a laptop for two hours."

WITH_A_PERSON = Persona(GREETING, fallback_number="33100000000")
Ends = Literal["well", "fails", "stalls"]
Verdict = Literal["ok", "fails", "breaks", "stalls"]


def ask(world: World) -> None:
    world.until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until(lambda: bool(world.caller_said))


@pytest.mark.parametrize(
    ("answer", "within"),
    [
        (Answer("", "fails"), 5.0),
        (Answer("", "well"), 5.0),
        (Answer("", "stalls"), 16.0),
        (Answer("Just this", "fails"), 5.0),
        (Answer("word " * 3, "well", token=6.0), 16.0),
        (Answer("w " * 200, "well", token=5.0), 16.0),
    ],
    ids=["fails", "empty", "stalls", "breaks off", "slow", "drips"],
)
def test_a_model_that_does_not_deliver_is_apologised_for(answer: Answer, within: float) -> None:
    world = World(Persona(GREETING), answers=lambda _: answer)
    ask(world)
    asked = world.now
    world.until_heard(APOLOGY)
    assert world.now - asked < within
    assert world.heard == f"{GREETING} {APOLOGY}"
    world.until_turn()
    world.answers = lambda _: Answer(GOOD)
    world.caller.say("Once more, can I?")
    world.until_heard(GOOD)


@pytest.mark.parametrize("ends", ["fails", "stalls"])
def test_an_answer_that_breaks_off_is_apologised_for_after_its_whole_sentences(ends: Ends) -> None:
    world = World(Persona(GREETING), answers=lambda _: Answer(f"{GOOD} But not on", ends))
    ask(world)
    world.until_heard(APOLOGY).until_turn()
    assert world.heard == f"{GREETING} {GOOD} {APOLOGY}"


def test_an_apology_is_not_said_into_the_callers_speech() -> None:
    world = World(Persona(GREETING), answers=lambda _: Answer("", "fails", first_token=0.8))
    ask(world)
    ended = world.caller.say("And then I would like to know something else too.", after=0.1)
    world.until_heard(APOLOGY)
    assert [start for start, _ in world.wire.sounding() if ended - 3.0 < start < ended] == []


@pytest.mark.parametrize("number", ["33100000000", ""])
def test_a_model_that_keeps_failing_leads_to_a_person_or_a_polite_end(number: str) -> None:
    world = World(Persona(GREETING, fallback_number=number), answers=lambda _: Answer("", "fails"))
    for _ in range(2):
        world.until_turn()
        assert world.streamer.asked == []
        world.caller.say("Can I borrow a laptop?")
        thoughts = len(world.thoughts)
        world.until(lambda thoughts=thoughts: len(world.thoughts) > thoughts)  # type: ignore[misc]
        world.run(1.0)
    world.run()
    [(_, _, kind, argument)] = world.streamer.done
    assert (kind, argument) == (("transfer", number) if number else ("hangup", ""))
    assert len(world.caller_said) == 2
    assert world.heard.endswith(APOLOGY if number else "Goodbye.")


def test_failures_are_forgiven_when_an_answer_came_through() -> None:
    answers = iter([Answer("", "fails"), Answer(GOOD), Answer("", "fails"), Answer(GOOD)] * 2)
    world = World(WITH_A_PERSON, answers=lambda _: next(answers))
    for turn in range(8):
        world.until_turn()
        world.caller.say("Can I borrow a laptop?", after=0.5)
        world.until(lambda turn=turn: len(world.thoughts) > turn)  # type: ignore[misc]
        world.run(1.0)
    world.until_turn()
    assert world.streamer.asked == []


@pytest.mark.parametrize("verdict", ["fails", "stalls"])
def test_a_voice_that_never_works_leads_to_a_person_without_words(verdict: Literal["fails", "stalls"]) -> None:
    world = World(WITH_A_PERSON, text_to_speech=lambda _: verdict).run()
    assert world.heard == ""
    assert [kind for _, _, kind, _ in world.streamer.done] == ["transfer"]
    assert world.now - START < (2.0 if verdict == "fails" else 45.0)


def once(bad: Literal["fails", "breaks", "stalls"], words: str) -> Callable[[str], Verdict]:
    """A voice that has trouble with one sentence, once."""
    done: list[str] = []

    def verdict(text: str) -> Verdict:
        if words in text and not done:
            done.append(text)
            return bad
        return "ok"

    return verdict


@pytest.mark.parametrize("bad", ["fails", "stalls"])
def test_a_sentence_that_cannot_be_spoken_is_apologised_for(bad: Literal["fails", "stalls"]) -> None:
    world = World(WITH_A_PERSON, answers=lambda _: Answer(GOOD), text_to_speech=once(bad, GOOD))
    ask(world)
    world.until_heard(APOLOGY)
    world.caller.say("Once more, please.", after=1.0)
    world.until(lambda: len(world.thoughts) == 2)
    heard = world.heard.removeprefix(GREETING).strip()
    assert [(m.role, m.content) for m in world.thoughts[-1].messages[1:]] == [
        ("user", "Can I borrow a laptop?"),
        ("assistant", heard.replace(f" {APOLOGY}", f" … {APOLOGY}")),
        ("user", "Once more, please."),
    ]


LATER = "Then bring it back to us. That is all."


def test_the_rest_of_a_sentence_whose_voice_broke_off_is_said_before_what_follows() -> None:
    world = World(WITH_A_PERSON, answers=lambda _: Answer(f"{GOOD} {LATER}"), text_to_speech=once("breaks", GOOD))
    ask(world)
    world.until_heard("That is all.").run(3.0)
    assert world.heard == f"{GREETING} {GOOD} {LATER}"
    assert max(length for at, length in world.silences() if at > world.now - 9.0 and at + length < world.now) < 0.5
    world.caller.say("Once more, please.")
    world.until(lambda: len(world.thoughts) == 2)
    assert world.thoughts[-1].messages[-2].content == f"{GOOD} {LATER}"


def test_a_rest_that_breaks_off_too_is_apologised_for_after_what_follows() -> None:
    world = World(
        WITH_A_PERSON,
        answers=lambda _: Answer(f"{GOOD} {LATER}"),
        text_to_speech=lambda text: "breaks" if text in GOOD else "ok",
    )
    ask(world)
    world.until_heard(APOLOGY).run(1.0)
    assert world.heard == f"{GREETING} Members can borrow a laptop for {LATER} {APOLOGY}"


def test_a_caller_who_interrupts_a_sentence_that_broke_off_does_not_hear_its_rest() -> None:
    world = World(WITH_A_PERSON, answers=lambda _: Answer(f"{GOOD} {LATER}"), text_to_speech=once("breaks", GOOD))
    ask(world)
    world.until_heard("Members can")
    world.answers = lambda _: Answer("Of course.")
    world.caller.say("No, please tell me about the books instead.")
    world.until_heard("Of course.").run(1.0)
    assert world.heard == f"{GREETING} Members can Of course."


def test_noise_over_a_sentence_that_broke_off_holds_its_rest_back_for_a_moment() -> None:
    world = World(WITH_A_PERSON, answers=lambda _: Answer(f"{GOOD} {LATER}"), text_to_speech=once("breaks", GOOD))
    ask(world)
    world.until_heard("Members")
    world.caller.noise(0.5)
    world.until_heard("That is all.").run(3.0)
    assert world.heard == f"{GREETING} {GOOD} {LATER}"


def test_a_line_lost_over_a_sentence_that_broke_off_gives_way_to_its_rest_when_it_is_back() -> None:
    world = World(WITH_A_PERSON, answers=lambda _: Answer(f"{GOOD} {LATER}"), text_to_speech=once("breaks", GOOD))
    ask(world)
    world.until_heard("Members")
    world.lose_line(2.0)
    world.until_heard("That is all.").run(3.0)
    assert world.heard == f"{GREETING} {GOOD} {LATER}"


def test_a_sentence_that_failed_but_was_said_after_all_is_not_apologised_for() -> None:
    later = "Then bring it back to us."
    world = World(WITH_A_PERSON, answers=lambda _: Answer(f"{GOOD} {later}"), text_to_speech=once("fails", later))
    ask(world)
    world.until_heard("Members can")
    world.caller.noise(0.5)
    world.until_heard(later).run(3.0)
    assert world.heard == f"{GREETING} {GOOD} {later}"


def test_a_voice_that_wakes_up_late_is_not_heard_any_more() -> None:
    world = World(WITH_A_PERSON, answers=lambda _: Answer(GOOD))
    ask(world)
    world.latency = Latency(first_audio=10.6)
    world.until(lambda: len(world.speech.segments) == 3)
    world.latency = Latency()
    world.until_heard(APOLOGY).run(7.0)
    assert world.heard == f"{GREETING} {APOLOGY}"


@pytest.mark.parametrize("verdict", ["fails", "stalls"])
def test_a_speech_to_text_that_does_not_deliver_is_apologised_for_and_then_leads_to_a_person(
    verdict: Literal["fails", "stalls"],
) -> None:
    world = World(WITH_A_PERSON, speech_to_text=lambda _: verdict).until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until(lambda: world.heard.count(REPROMPT) == 1).until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.run()
    assert world.heard.endswith(APOLOGY)
    assert [kind for _, _, kind, _ in world.streamer.done] == ["transfer"]
    assert world.longest_silence < 10.0
