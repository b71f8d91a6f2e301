"""A call's transcript, put into turns: what belongs to which, and that nothing is lost or told twice."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from ai_worker.jobs.story import Story, Turn
from callbus import transcript as tr

STORY: list[tr.Entry] = [
    tr.Claimed(101.7, "w1", 1, "library"),
    tr.BotSays(101.8, "s1", "Hello."),
    tr.BotHeard(103.0, "s1", "Hello.", False, 102.1),
    tr.CallerSaid(106.0, 104.0, 1, "What are your opening hours?", "5-0"),
    tr.BotSays(106.2, "s2", "We are open from nine.", 1),
    tr.BotSays(106.3, "s3", "Closed on Sundays.", 1),
    tr.TurnTimed(107.0, 1, {"stt": 400.0, "llm": 90.0}, 812.5),
    tr.BotHeard(108.0, "s2", "We are", True, 106.9),
    tr.BotHeard(108.0, "s3", "", True),
    tr.CallerSaid(109.5, 108.2, 2, "A human, please.", "9-0"),
    tr.CallerPressed(110.0, "0"),
    tr.BotSays(110.1, "s4", "I will put you through.", 2),
    tr.Noted(110.2, "tts fell back to local"),
    tr.Acted(112.0, "a1", "transfer", "33187654321", "asked"),
    tr.Acted(112.1, "a1", "transfer", "33187654321", "done"),
    tr.Finished(113.0, "transferred", "the caller asked for it"),
]


def told(entries: Iterable[tr.Entry]) -> Story:
    story = Story()
    for entry in entries:
        story.add(entry)
    return story


def test_turns_in_order() -> None:
    greeting, hours, human = told(STORY).turns
    assert (greeting.turn, greeting.caller) == (0, None)
    assert greeting.bot[0].prompt
    assert (greeting.bot[0].started_at, greeting.bot[0].ended_at) == (102.1, 103.0)
    assert hours.caller is not None
    assert (hours.caller.text, hours.caller.started_at, hours.caller.ended_at) == (
        "What are your opening hours?",
        104.0,
        106.0,
    )
    assert [(said.text, said.heard_text, said.interrupted) for said in hours.bot] == [
        ("We are open from nine.", "We are", True),
        ("Closed on Sundays.", "", True),
    ]
    assert hours.timing is not None
    assert (hours.timing.stages, hours.timing.voice_to_voice_ms) == ({"stt": 400.0, "llm": 90.0}, 812.5)
    assert [pressed.digits for pressed in human.pressed] == ["0"]
    assert [note.note for note in human.notes] == ["tts fell back to local"]
    assert [(a.kind, a.argument, a.asked_at, a.done_at) for a in human.actions] == [
        ("transfer", "33187654321", 112.0, 112.1)
    ]


def test_a_sentence_that_was_never_reported_on_is_not_called_heard() -> None:
    [sentence] = told(STORY).turns[2].bot
    assert sentence.heard_text is None


def test_an_operators_line_is_told_as_theirs_and_is_no_prompt_of_the_bots() -> None:
    [turn] = told([tr.BotSays(1.0, "s1", "Hello."), tr.BotSays(2.0, "s2", "One moment.", by_operator=True)]).turns
    assert [(said.by_operator, said.prompt) for said in turn.bot] == [(False, True), (True, False)]


def test_an_answer_that_comes_late_stands_with_its_question() -> None:
    story = told(
        [
            tr.CallerSaid(1.0, 0.5, 1, "one", "1-0"),
            tr.CallerSaid(2.0, 1.5, 2, "two", "2-0"),
            tr.BotSays(2.1, "s1", "Answer to one.", 1),
            tr.TurnTimed(2.2, 1, {}, None),
            tr.BotSays(9.0, "s2", "Are you still there?"),
        ]
    )
    assert [[said.text for said in turn.bot] for turn in story.turns] == [["Answer to one."], ["Are you still there?"]]
    assert [turn.timing is not None for turn in story.turns] == [True, False]


def test_every_worker_that_held_the_call_is_named() -> None:
    story = told([tr.Claimed(1.0, "w1", 1, "library"), tr.Claimed(5.0, "w2", 2, "library")])
    assert [(claim.worker, claim.epoch) for claim in story.claims] == [("w1", 1), ("w2", 2)]


def test_a_second_conversation_of_the_same_call_does_not_mix_with_the_first() -> None:
    story = told(
        [
            tr.Claimed(1.0, "w1", 1, "library"),
            tr.CallerSaid(2.0, 1.5, 1, "first", "1-0"),
            tr.BotSays(2.1, "s1", "One.", 1),
            tr.Finished(3.0, "caller_left", "gone"),
            tr.Claimed(60.0, "w1", 2, "library"),
            tr.BotHeard(60.1, "s1", "", True),
            tr.BotSays(60.2, "s1", "Hello again."),
            tr.CallerSaid(62.0, 61.5, 1, "second", "1-0"),
            tr.BotSays(62.1, "s2", "Two.", 1),
        ]
    )
    assert [(turn.turn, [said.text for said in turn.bot]) for turn in story.turns] == [
        (1, ["One."]),
        (0, ["Hello again."]),
        (1, ["Two."]),
    ]
    assert story.turns[0].bot[0].heard_text is None
    assert story.finished is None


TIMES = st.floats(min_value=0, max_value=2e9)
ENTRIES = st.lists(
    st.one_of(
        st.builds(tr.Claimed, at=TIMES),
        st.builds(tr.CallerSaid, at=TIMES, started_at=TIMES, turn=st.integers(1, 4)),
        st.builds(tr.CallerPressed, at=TIMES),
        st.builds(tr.BotSays, at=TIMES, segment=st.sampled_from("abc"), reply_to=st.integers(0, 4)),
        st.builds(tr.BotHeard, at=TIMES, segment=st.sampled_from("abc"), started_at=st.none() | TIMES),
        st.builds(tr.TurnTimed, at=TIMES, turn=st.integers(0, 4), stages=st.just({"stt": 1.5})),
        st.builds(tr.Acted, at=TIMES, action_id=st.sampled_from("xy")),
        st.builds(tr.Noted, at=TIMES),
        st.builds(tr.Finished, at=TIMES),
    ),
    max_size=30,
)


@given(ENTRIES)
def test_nothing_that_was_said_is_lost_whatever_the_order(entries: list[tr.Entry]) -> None:
    story = told(entries)
    # What stands there twice, to the millisecond, was written twice.
    written = [entry for at, entry in enumerate(entries) if entry not in entries[:at]]
    heard = [turn.caller.text for turn in story.turns if turn.caller]
    assert heard == [entry.text for entry in written if isinstance(entry, tr.CallerSaid)]
    said = sorted(sentence.text for turn in story.turns for sentence in turn.bot)
    assert said == sorted(entry.text for entry in written if isinstance(entry, tr.BotSays))
    assert sum(len(turn.notes) for turn in story.turns) == sum(isinstance(entry, tr.Noted) for entry in written)
    assert [Turn.model_validate_json(turn.model_dump_json()) for turn in story.turns] == story.turns


def test_entries_that_an_outage_has_doubled_count_once() -> None:
    once, twice = told(STORY), told([*STORY, *STORY[2:]])
    assert (twice.turns, twice.claims, twice.used) == (once.turns, once.claims, once.used)


def test_tools_stand_in_the_turn_that_asked_for_them() -> None:
    story = told(
        [
            *STORY[:4],
            tr.ToolUsed(106.1, 1, "call_1", "lookup", '{"order": "7"}', "asked"),
            tr.ToolUsed(106.2, 1, "call_2", "cancel", "{}", "asked"),
            tr.ToolUsed(106.9, 1, "call_1", "lookup", '{"order": "7"}', "done", "on its way"),
            tr.ToolUsed(107.1, 1, "call_3", "transfer", "{}", "asked"),
            tr.ToolUsed(107.2, 1, "call_3", "transfer", "{}", "done", "they are being put through"),
            tr.ToolUsed(109.0, 1, "call_3", "transfer", "{}", "failed", "nobody answers"),
        ]
    )
    known, unknown, impossible = story.turns[1].tools
    assert (known.name, known.arguments, known.result) == ("lookup", '{"order": "7"}', "on its way")
    assert (known.asked_at, known.done_at) == (106.1, 106.9)
    assert (unknown.name, unknown.done_at, unknown.result) == ("cancel", None, None)
    assert (impossible.done_at, impossible.result) == (109.0, "nobody answers")
    assert [tool.failed for tool in story.turns[1].tools] == [False, False, True]
