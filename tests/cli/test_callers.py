"""The callers of test-agents and of replay on a real line, against a small bot that greets, answers and breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringover_sim import CallReport, place_call
from support.sim_bot import Bot, beep, running
from voicebot_cli.bots.perform import Performance, as_script
from voicebot_cli.bots.spec_yaml import read
from voicebot_cli.recorded import Piece, RecordedCall
from voicebot_cli.replay import RecordedCaller
from voicebot_cli.story import Sentence, StoryTurn

pytestmark = pytest.mark.long

RATE = 8000


class Hum:
    """A voice: every line is half a second of a tone."""

    def speak(self, text: str, rate: int) -> bytes:
        return beep(0.5, rate, 800.0)


async def performed(folder: Path, text: str, bot: Bot) -> tuple[Performance, CallReport]:
    file = folder / "call.yaml"
    file.write_text(text)
    test = read(file)
    caller = Performance(test.call, folder)
    async with running(bot) as url:
        script = as_script(test.call, "33184800000", "c1")
        report = await place_call(script, gateway_url=None, streamer_url=url, voice=Hum(), behaviour=caller)
    return caller, report


async def test_the_caller_presses_interrupts_and_waits_in_silence(tmp_path: Path) -> None:
    text = """\
name: a caller
turns:
  - press: "1"
  - say: But wait.
    interrupt: 0.4
  - silent: 1.0
"""
    caller, report = await performed(tmp_path, text, Bot(greeting=0.5, answer=2.0))
    assert [begun.spoken for begun in caller.begun] == [0, 1, None]
    assert [turn.kind for turn in report.turns] == ["press", "interrupt"]
    assert [begun.at_ms for begun in caller.begun[:2]] == [turn.started_ms for turn in report.turns]
    assert report.turns[1].overlap_ms > 0
    assert report.commands_named("break")
    # The bot had nothing more to say.
    assert caller.stopped is not None
    assert "within 1 s" in caller.stopped


async def test_a_transfer_ends_the_wait_for_the_call_to_end(tmp_path: Path) -> None:
    text = "name: t\nturns:\n  - say: A human.\n    expect: {transfers_to: human}\n"
    caller, report = await performed(tmp_path, text, Bot(greeting=0.4, transfer_after=1))
    assert (caller.stopped, report.ended_by, len(caller.begun)) == (None, "transfer", 1)


async def test_a_recorded_caller_speaks_into_the_bots_speech_again(tmp_path: Path) -> None:
    heard = [Sentence("Hello.", "Hello.", False, 0.1, 0.6), Sentence("A long answer.", "A long", True, 3.0, 4.0)]
    turns = [
        StoryTurn(bot=heard[:1]),
        StoryTurn("one", 1.6, 2.1, bot=heard[1:]),
        StoryTurn("two", 3.8, 4.3, bot=[Sentence("Well.", "Well.", False, 5.0, 5.5)]),
    ]
    tone = beep(0.5, RATE, 800.0)
    pieces = [Piece(1, 1.6, 2.1, tone, "", None, 1.0), Piece(2, 3.8, 4.3, tone, "", 0.8, 0.0)]
    call = RecordedCall("c1", "33612345678", "33184800000", "desk", "caller", RATE, turns, pieces)
    caller = RecordedCaller(call, call.save_pieces(tmp_path))
    async with running(Bot(greeting=0.5, answer=2.0)) as url:
        report = await place_call(caller.script("r1"), gateway_url=None, streamer_url=url, behaviour=caller)
    assert report.failures == []
    assert caller.remarks == []
    assert [turn.started_ms for turn in report.turns] == caller.begun_ms
    first, second = report.turns
    greeted = report.playbacks[0].ended_ms
    assert greeted is not None
    # As long after the bot's last word as then, the silence kept at a piece's beginning left out.
    assert first.started_ms - greeted == pytest.approx(650, abs=150)
    answered = report.playbacks[1].started_ms
    assert answered is not None
    assert second.started_ms - answered == pytest.approx(450, abs=150)
    assert second.overlap_ms > 0
