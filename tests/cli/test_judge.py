"""What came of a scripted call against what was expected, from its report and its transcript."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callbus.transcript import Acted, BotHeard, BotSays, CallerSaid, Claimed, Entry, Finished, TurnTimed
from ringover_sim.report import CallReport, CommandSeen, Turn
from voicebot_cli.bots.book import KnownAgent
from voicebot_cli.bots.judge import CallResult, judge
from voicebot_cli.bots.perform import Begun, Performance
from voicebot_cli.bots.spec_yaml import read

ZERO = 1000.0
AGENT = KnownAgent("desk", ("33184800000",), True, {"human": "33187654321"})
CALL = """\
name: a call
greeting:
  says: hello
  within_ms: 500
turns:
  - say: Do you open on Sundays?
    expect:
      says: [closed, Saturdays]
      never_says: [open on Sundays]
      within_ms: 1000
  - say: A human please.
    expect:
      says: put you through
      transfers_to: human
"""
ENTRIES: list[Entry] = [
    Claimed(ZERO, "w", 1, "desk"),
    BotSays(ZERO + 0.1, "g", "Hello."),
    BotHeard(ZERO + 0.9, "g", "Hello.", False, ZERO + 0.2),
    CallerSaid(ZERO + 4.0, ZERO + 2.0, 1, "Do you open on Sundays", "1-0"),
    BotSays(ZERO + 4.7, "a", "On Sundays we are closed.", 1),
    # Written after the caller has begun again: it belongs to the answer before.
    BotSays(ZERO + 7.2, "b", "On Saturdays we are open from ten to four.", 1),
    TurnTimed(ZERO + 4.8, 1, {}, 800.0),
    BotHeard(ZERO + 6.0, "a", "On Sundays we are closed.", False, ZERO + 4.8),
    BotHeard(ZERO + 7.5, "b", "On Saturdays", True, ZERO + 6.0),
    CallerSaid(ZERO + 8.5, ZERO + 7.0, 2, "A human please.", "2-0"),
    BotSays(ZERO + 9.1, "c", "I will put you through.", 2),
    BotHeard(ZERO + 11.0, "c", "I will put you through.", False, ZERO + 9.2),
    Acted(ZERO + 11.0, "x", "transfer", "33187654321", "done"),
    Finished(ZERO + 11.1, "transferred", "closed"),
]


def report(**other: Any) -> CallReport:
    said = [("Do you open on Sundays?", 2000, 3900, 800), ("A human please.", 7000, 8400, 700)]
    fields: dict[str, Any] = {
        "name": "a call", "call_id": "c", "caller": "1", "called": "2", "sample_rate": 8000, "ended_by": "transfer",
        "answered_at": ZERO, "duration_ms": 11_000, "greeting_ms": 200, "bot_spoke": 3, "gaps_ms": [], "underruns": 0,
        "turns": [
            Turn(
                kind="say", text=text, started_ms=start, onset_ms=start, ended_ms=end, response_ms=ms, overlap_ms=0
            )
            for text, start, end, ms in said
        ],
        "commands": [CommandSeen(at_ms=11_000, command="transfer", data="33187654321", bot_audio_playing=False)],
        "playbacks": [], "connections": [], "webhooks": [], "timeline": [], "max_lateness_ms": 1.0, "late_ticks": 0,
        "chunks_sent": 1, "chunks_dropped": 0, "violations": [], "failures": [],
    }  # fmt: skip
    return CallReport(**(fields | other))


def judged(
    folder: Path, text: str = CALL, *, entries: list[Entry] = ENTRIES, reached: int = 2, **other: Any
) -> CallResult:
    file = folder / "call.yaml"
    file.write_text(text)
    test = read(file)
    done = Performance(test.call, folder, [Begun(2000, 0), Begun(7000, 1)][:reached], other.pop("stopped", None))
    return judge(test, AGENT, done, report(**other), entries)


def told(result: CallResult) -> list[str]:
    problems = [*(problem for turn in result.turns for problem in turn.problems), *result.problems]
    return [f"{problem.line}: {problem.text}" for problem in problems]


def test_a_call_that_went_as_expected_has_nothing_to_tell(tmp_path: Path) -> None:
    result = judged(tmp_path)
    assert told(result) == []
    assert result.ok
    assert [turn.heard for turn in result.turns] == [
        "Hello.",
        "On Sundays we are closed. On Saturdays",
        "I will put you through.",
    ]
    assert [turn.response_ms for turn in result.turns] == [200, 800, 700]
    assert result.turns[2].done == ["transfer 33187654321"]


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("says: hello", "says: good day", "3: the bot did not say 'good day'"),
        ("within_ms: 500", "within_ms: 100", "4: was answered after 200 ms, expected within 100 ms"),
        ("[closed, Saturdays]", "[Saturdays, closed]", "8: the bot did not say 'closed'"),
        # Said, and cut off before it was heard.
        ("[closed, Saturdays]", "[closed, ten to four]", "8: the bot did not say 'ten to four'"),
        ("[open on Sundays]", "[/ten to/]", "9: the bot said '/ten to/'"),
        ("within_ms: 1000", "within_ms: 700", "10: was answered after 800 ms, expected within 700 ms"),
        (
            "transfers_to: human",
            "transfers_to: '3312'",
            "14: expected a transfer to 3312 (3312): transferred to 33187654321 instead",
        ),
        (
            "      transfers_to: human\n",
            "",
            "12: the bot transferred the call to 33187654321, which nothing expects",
        ),
        ("transfers_to: human", "hangs_up: true", "14: the bot did not hang up"),
        (
            "      transfers_to: human",
            "      transfers_to: human\n      presses: '1'",
            "15: the bot pressed nothing, expected 1",
        ),
        ("turns:", "never_says: [closed]\nturns:", "5: the bot said 'closed'"),
    ],
)  # fmt: skip
def test_what_did_not_hold_is_told_with_its_line(tmp_path: Path, was: str, becomes: str, problem: str) -> None:
    assert was in CALL
    result = judged(tmp_path, CALL.replace(was, becomes))
    assert told(result) == [problem]
    assert not result.ok


def test_a_call_that_ends_early_has_not_reached_the_rest(tmp_path: Path) -> None:
    commands: list[CommandSeen] = []
    result = judged(tmp_path, entries=ENTRIES[:8], reached=1, ended_by="bot", commands=commands)
    assert told(result) == [
        "8: the bot did not say 'Saturdays'",
        "7: the bot hung up, which nothing expects",
        "11: not reached: the bot had hung up (1 left)",
    ]


def test_a_bot_that_is_silent_and_a_line_that_is_lost_are_told(tmp_path: Path) -> None:
    nothing = judged(
        tmp_path,
        entries=[],
        reached=0,
        stopped="the bot did not speak",
        greeting_ms=None,
        ended_by="error",
        commands=[],
    )
    assert told(nothing) == [
        "3: the bot did not say 'hello'",
        "4: was not answered, expected within 500 ms",
        "2: the caller gave up: the bot did not speak",
        "2: the media connection was lost",
    ]


def test_keys_that_the_bot_presses_are_put_together(tmp_path: Path) -> None:
    pressed = [
        CommandSeen(at_ms=9000 + n, command="digits", data=key, bot_audio_playing=False) for n, key in enumerate("12#")
    ]
    text = CALL.replace("      transfers_to: human", '      presses: "12#"')
    assert told(judged(tmp_path, text, commands=pressed, ended_by="caller")) == []
    assert told(judged(tmp_path, text, commands=pressed[:2], ended_by="caller")) == [
        "14: the bot pressed 12, expected 12#"
    ]
