"""The record out of a call's hash and transcript."""

from __future__ import annotations

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
    tr.CallerSaid(109.5, 108.2, 1, "A human, please.", "9-0"),
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


def test_a_call_of_which_little_is_known() -> None:
    made = record([], {"outcome": "failed", "ringing_at": "soon", "finished_at": "5.0"})
    assert (made.turns, made.times, made.duration_s, made.outcome) == ([], {"finished_at": 5.0}, None, "failed")


def test_an_answering_machine_is_on_record() -> None:
    made = record([*STORY[:3], tr.MachineHeard(106.0, "after the tone")])
    assert (made.machine, made.amd) == ("after the tone", None)
    assert build_record("c1", {"amd": "MACHINE"}, []).amd == "MACHINE"


def test_what_is_stored_is_read_as_it_was() -> None:
    made = record(STORY)
    assert [turn.turn for turn in made.turns] == [0, 1]
    assert CallRecord.model_validate_json(made.model_dump_json()) == made
