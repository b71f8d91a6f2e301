"""The record out of a call's hash and transcript."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ai_worker.jobs.record import CallRecord, build_record
from callbus import transcript as tr

CALL = {
    "direction": "inbound",
    "from_number": "33612345678",
    "to_number": "33184800000",
    "ringing_at": "100.000",
    "answered_at": "101.500",
    "media_at": "101.600",
    "claimed_at": "101.700",
    "media_ended_at": "131.600",
    "ended_at": "132.000",
    "state": "ended",
    "sample_rate": "8000",
}
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


def record(entries: list[tr.Entry], call: dict[str, str] | None = None) -> CallRecord:
    return build_record("c1", CALL if call is None else call, entries)


def test_who_called_whom_and_when() -> None:
    made = record(STORY)
    assert (made.version, made.call_id, made.direction) == (1, "c1", "inbound")
    assert (made.from_number, made.to_number, made.agent) == ("33612345678", "33184800000", "library")
    assert list(made.times) == ["ringing_at", "answered_at", "media_at", "claimed_at", "media_ended_at", "ended_at"]
    assert made.times["answered_at"] == 101.5
    assert made.duration_s == 30.0


def test_turns_in_order() -> None:
    greeting, hours, human = record(STORY).turns
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
    [sentence] = record(STORY).turns[2].bot
    assert sentence.heard_text is None


def test_how_it_ended() -> None:
    made = record(STORY)
    assert (made.outcome, made.reason, made.ended_by) == ("transferred", "the caller asked for it", "transfer")


def test_who_ended_it() -> None:
    hangup = tr.Acted(1.0, "a", "hangup", "", "done")

    def ended_by(outcome: str, *before: tr.Entry) -> str | None:
        return record([*before, tr.Finished(2.0, outcome, "")]).ended_by

    assert ended_by("caller_left") == "caller"
    assert ended_by("bot_ended") == "bot"
    assert ended_by("failed") == "system"
    assert ended_by("completed") == "caller"
    assert ended_by("completed", hangup) == "bot"
    assert record([]).ended_by is None


def test_an_answer_that_comes_late_stands_with_its_question() -> None:
    made = record(
        [
            tr.CallerSaid(1.0, 0.5, 1, "one", "1-0"),
            tr.CallerSaid(2.0, 1.5, 2, "two", "2-0"),
            tr.BotSays(2.1, "s1", "Answer to one.", 1),
            tr.TurnTimed(2.2, 1, {}, None),
            tr.BotSays(9.0, "s2", "Are you still there?"),
        ]
    )
    assert [[said.text for said in turn.bot] for turn in made.turns] == [["Answer to one."], ["Are you still there?"]]
    assert [turn.timing is not None for turn in made.turns] == [True, False]


def test_every_worker_that_held_the_call_is_named() -> None:
    made = record([tr.Claimed(1.0, "w1", 1, "library"), tr.Claimed(5.0, "w2", 2, "library")])
    assert [(claim.worker, claim.epoch) for claim in made.claims] == [("w1", 1), ("w2", 2)]


def test_a_second_conversation_of_the_same_call_does_not_mix_with_the_first() -> None:
    made = record(
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
    assert [(turn.turn, [said.text for said in turn.bot]) for turn in made.turns] == [
        (1, ["One."]),
        (0, ["Hello again."]),
        (1, ["Two."]),
    ]
    assert made.turns[0].bot[0].heard_text is None
    assert made.outcome is None


def test_a_call_of_which_little_is_known() -> None:
    made = record([], {"outcome": "failed", "ringing_at": "soon", "finished_at": "5.0"})
    assert (made.turns, made.times, made.duration_s, made.outcome) == ([], {"finished_at": 5.0}, None, "failed")


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
    made = record(entries)
    # What stands there twice, to the millisecond, was written twice.
    written = [entry for at, entry in enumerate(entries) if entry not in entries[:at]]
    heard = [turn.caller.text for turn in made.turns if turn.caller]
    assert heard == [entry.text for entry in written if isinstance(entry, tr.CallerSaid)]
    said = sorted(sentence.text for turn in made.turns for sentence in turn.bot)
    assert said == sorted(entry.text for entry in written if isinstance(entry, tr.BotSays))
    assert sum(len(turn.notes) for turn in made.turns) == sum(isinstance(entry, tr.Noted) for entry in written)
    assert CallRecord.model_validate_json(made.model_dump_json()) == made


def test_entries_that_an_outage_has_doubled_count_once() -> None:
    assert record([*STORY, *STORY[2:]]) == record(STORY)


def test_an_answering_machine_is_on_record() -> None:
    made = record([*STORY[:4], tr.MachineHeard(106.0, "after the tone")])
    assert (made.machine, made.amd) == ("after the tone", None)
    assert build_record("c1", {"amd": "MACHINE"}, []).amd == "MACHINE"


def test_tools_stand_in_the_turn_that_asked_for_them() -> None:
    made = record(
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
    known, unknown, impossible = made.turns[1].tools
    assert (known.name, known.arguments, known.result) == ("lookup", '{"order": "7"}', "on its way")
    assert (known.asked_at, known.done_at) == (106.1, 106.9)
    assert (unknown.name, unknown.done_at, unknown.result) == ("cancel", None, None)
    assert (impossible.done_at, impossible.result) == (109.0, "nobody answers")
    assert [tool.failed for tool in made.turns[1].tools] == [False, False, True]
