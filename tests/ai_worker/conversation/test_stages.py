"""The moments of a turn, and the deadlines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_worker.conversation.stages import Stages
from ai_worker.conversation.timers import Timers
from ai_worker.conversation.utterance import Utterance
from ai_worker.providers.base import ChatMessage
from callbus import transcript
from support.conversation_world import Answer, Latency, World

MARKS = ("llm_first_token", "first_sentence", "tts_first_byte")


def utterance(stopped_at: float) -> Utterance:
    return Utterance(1, 0, 0, stopped_at - 1.0, stopped_at=stopped_at, ended_at=stopped_at + 5.0)


def test_the_first_time_counts() -> None:
    stages = Stages()
    stages.understood(utterance(10.0), 10.3)
    stages.turn_over(10.5)
    stages.mark("llm_first_token", 10.8)
    stages.mark("llm_first_token", 10.9)
    timed = stages.heard(3, 16.2, 11.2)
    assert timed == transcript.TurnTimed(
        11.2, 3, {"stt_final": 300.0, "turn_end": 500.0, "llm_first_token": 800.0, "playing": 1200.0}, 1200.0
    )
    assert stages.heard(3, 17.0, 12.0) is None


def test_what_still_answers_the_turn_before_is_not_counted() -> None:
    stages = Stages()
    stages.understood(utterance(10.0), 10.3)
    stages.mark("tts_first_byte", 10.4)
    assert stages.heard(1, 15.4, 10.4) is None
    stages.turn_over(10.5)
    stages.mark("tts_first_byte", 11.0)
    timed = stages.heard(2, 16.0, 11.0)
    assert timed
    assert timed.stages["tts_first_byte"] == 1000.0


def test_a_turn_whose_words_were_not_timed_is_not_timed() -> None:
    stages = Stages()
    stages.turn_over(10.5)
    assert stages.heard(1, 11.0, 11.0) is None


@given(st.lists(st.tuples(st.sampled_from(["understood", "over", "heard", *MARKS]), st.floats(0.0, 5.0)), max_size=30))
def test_no_time_is_ever_negative_or_out_of_order(steps: list[tuple[str, float]]) -> None:
    stages, now = Stages(), 100.0
    for step, passed in steps:
        now += passed
        match step:
            case "understood":
                stages.understood(utterance(now - passed), now)
            case "over":
                stages.turn_over(now)
            case "heard":
                if timed := stages.heard(1, now + 5.0, now):
                    assert timed.voice_to_voice_ms is not None
                    assert timed.voice_to_voice_ms >= -0.1
                    assert list(timed.stages.values()) == sorted(timed.stages.values())
                    assert min(timed.stages.values()) >= -0.1
                    assert list(timed.stages)[:2] == ["stt_final", "turn_end"]
            case mark:
                stages.mark(mark, now)


@pytest.mark.parametrize("skew", [-3600.0, 0.0, 5.0])
def test_the_clocks_of_worker_and_streamer_are_not_mixed(skew: float) -> None:
    def echo(messages: tuple[ChatMessage, ...]) -> Answer:
        return Answer("That is a fine question indeed. And here is more of it.")

    world = World(skew=skew, answers=echo, latency=Latency(stt=0.7)).until_turn()
    for turn in range(3):
        world.caller.say("And what is this?", after=0.5)
        world.until(lambda turn=turn: len(world.thoughts) > turn).until_heard("of it.").until_turn()  # type: ignore[misc]
    timings = [entry for entry in world.entries if isinstance(entry, transcript.TurnTimed)]
    assert [timed.turn for timed in timings] == [1, 2, 3]
    for timed in timings:
        assert timed.voice_to_voice_ms == pytest.approx(timed.stages["playing"], abs=20)
        assert sorted(timed.stages) == sorted(["stt_final", "turn_end", "llm_asked", *MARKS, "playing"])


@pytest.mark.parametrize("early", [round(0.02 * step, 2) for step in range(10)])
def test_an_answer_that_was_given_up_as_it_began_is_not_taken_for_the_next_ones(early: float) -> None:
    latency = Latency(bus=0.1, stt=1.0, first_token=2.0)
    world = World(answers=lambda _: Answer("That is a fine question indeed."), latency=latency).until_turn()
    world.caller.say("And what is this?")
    world.until(lambda: bool(world.thoughts))
    # Its words are there when the first sound of the answer is on its way.
    world.caller.say("No.", seconds=0.25, after=0.85 - early)
    world.run(8.0)
    timings = [entry for entry in world.entries if isinstance(entry, transcript.TurnTimed)]
    assert timings[-1].turn == 2
    assert all("llm_first_token" in timed.stages for timed in timings)


def test_a_deadline_is_told_once_in_order() -> None:
    timers = Timers()
    timers.set("late", 3.0)
    timers.set("early", 1.0)
    timers.set("moved", 0.5)
    timers.set("moved", 2.0)
    timers.set("cancelled", 0.1)
    timers.cancel("cancelled", "unknown")
    assert (timers.next(), timers.pop_due(0.9)) == (1.0, None)
    assert [timers.pop_due(2.5) for _ in range(3)] == ["early", "moved", None]
    assert timers.running("late")
    timers.clear()
    assert timers.next() is None
