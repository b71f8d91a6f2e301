"""A report completed with what the system under test tells of its answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringover_sim.report import CallReport, Stages, Turn

ANSWERED_AT = 1_750_000_000.0


def turn(text: str, ended_ms: int) -> Turn:
    return Turn(
        kind="say",
        text=text,
        started_ms=ended_ms - 1000,
        onset_ms=ended_ms - 900,
        ended_ms=ended_ms,
        response_ms=800,
        overlap_ms=0,
    )


def told(ended_ms: float, **stages: float) -> Stages:
    return Stages(
        speech_ended_at=ANSWERED_AT + ended_ms / 1000,
        stages=stages,
        hops={"in": 11.4, "out": 1.2},
        voice_to_voice_ms=812.0,
    )


@pytest.fixture
def report() -> CallReport:
    return CallReport(
        name="call",
        call_id="c1",
        caller="33612345678",
        called="33184800000",
        sample_rate=8000,
        ended_by="caller",
        answered_at=ANSWERED_AT,
        duration_ms=20_000,
        greeting_ms=300,
        bot_spoke=3,
        gaps_ms=[],
        underruns=0,
        turns=[turn("Hello?", 4000), turn("mm-hm", 7000), turn("And on Sunday?", 12_000)],
        commands=[],
        playbacks=[],
        connections=[],
        webhooks=[],
        timeline=[],
        max_lateness_ms=1.0,
        late_ticks=0,
        chunks_sent=1000,
        chunks_dropped=0,
        violations=[],
        failures=[],
    )


def test_each_answer_is_put_to_the_turn_that_ended_when_the_system_says(report: CallReport) -> None:
    late = told(12_060, stt_final=480.0, turn_end=505.0, first_audio_sent=770.0)
    report.complete([late, told(4030, stt_final=490.0, turn_end=500.0, tts_first_byte=700.0, first_audio_sent=760.0)])
    assert [turn.told and turn.told.speech_ended_at for turn in report.turns] == [
        ANSWERED_AT + 4.03,
        None,
        ANSWERED_AT + 12.06,
    ]
    lines = report.table().splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("as the system tells it")) + 1
    assert [line.split() for line in lines[head + 1 : head + 3]] == [
        ["1", "490", "500", "700", "760", "11", "1", "812"],
        ["3", "480", "505", "-", "770", "11", "1", "812"],
    ]
    assert lines[head].split("  ")[0] == "turn"
    assert "first audio sent" in lines[head]


def test_without_it_there_is_no_such_table(report: CallReport) -> None:
    report.complete([])
    assert "as the system tells it" not in report.table()


def test_what_was_saved_is_loaded_again(report: CallReport, tmp_path: Path) -> None:
    report.complete([told(4000, turn_end=500.0)])
    report.save_figures(tmp_path)
    loaded = CallReport.load(tmp_path)
    assert loaded.turns == report.turns
    assert (tmp_path / "report.txt").read_text() == report.table() + "\n"
    with pytest.raises(OSError):
        CallReport.load(tmp_path / "nowhere")
