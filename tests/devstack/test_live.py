"""The live view of a call, fed through a real stream, and the table of its stages."""

from __future__ import annotations

import asyncio
import io

from rich.console import Console

from callbus import keys
from callbus.broker import Broker
from callbus.transcript import (
    Acted,
    BotHeard,
    BotSays,
    CallerSaid,
    Claimed,
    Entry,
    Finished,
    TurnTimed,
    encode,
)
from devstack.live import LiveView, follow
from devstack.timings import stage_rows, stages_table

CALL: list[Entry] = [
    Claimed(100.0, "w-1", 1, "library"),
    BotSays(100.1, "s1", "Hello [this] is the library."),
    BotHeard(103.0, "s1", "Hello [this] is the library.", False, 100.4),
    CallerSaid(105.5, 104.0, 1, "When do you open?", "1-0"),
    BotSays(106.0, "s2", "We open at nine every day.", 1),
    TurnTimed(106.3, 1, {"vad_stop": 200.0, "stt": 410.2, "first_audio": 700.0}, 812.4, {"in": 11.2, "out": 2.1}),
    BotHeard(107.0, "s2", "We open", True, 106.4),
    Acted(108.0, "a1", "transfer", "33184800000", "asked"),
    Acted(108.1, "a1", "transfer", "33184800000", "done"),
    Claimed(108.5, "w-2", 2, "library"),
    Finished(109.0, "transferred", "the caller asked"),
]


async def shown(broker: Broker, entries: list[Entry]) -> tuple[str, LiveView]:
    out = io.StringIO()
    view = LiveView(Console(file=out, width=160, highlight=False))
    following = asyncio.create_task(follow(broker, "c1", view))
    for entry in entries:
        await broker.append(keys.transcript("c1"), encode(entry), maxlen=100)
    await broker.execute("EXPIRE", keys.transcript("c1"), 60)
    async with asyncio.timeout(10):
        await following
    return out.getvalue(), view


async def test_a_call_reads_as_a_conversation(broker: Broker) -> None:
    text, view = await shown(broker, CALL)
    assert [line.split("s  ", 1)[1].strip() for line in text.splitlines()] == [
        "system  w-1 takes the call, agent library",
        "bot     Hello [this] is the library.",
        "caller  When do you open?",
        "bot     We open at nine every day.",
        "latency turn 1: 812 ms voice to voice; ms after the caller's last word: "
        "vad stop 200 · stt 410 · first audio 700; hop in 11; hop out 2",
        "bot     … cut off after “We open”",
        "action  transfer 33184800000",
        "system  w-2 takes the call over, agent library",
        "system  conversation over: transferred (the caller asked)",
    ]
    assert text.splitlines()[2].startswith("   4.00 s  caller")
    assert view.questions == {1: "When do you open?"}
    assert view.said_until == {1: 105.5}
    assert view.began.is_set()


async def test_what_cannot_be_read_is_said_and_passed_over(broker: Broker) -> None:
    await broker.append(keys.transcript("c1"), {b"k": b"novelty", b"j": b"{}"}, maxlen=100)
    text, _ = await shown(broker, CALL[-1:])
    assert "not a transcript entry" in text
    assert "conversation over" in text


def test_stages_stand_in_the_order_in_which_they_are_passed() -> None:
    timings = [
        TurnTimed(0.5, 0, {"vad_stop": 100.0, "first_audio": 200.0}),
        TurnTimed(1.0, 1, {"vad_stop": 200.0, "first_audio": 900.0, "stt": 500.0}, 850.0),
        TurnTimed(2.0, 2, {"vad_stop": 210.0, "stt": 400.0, "first_audio": 600.0}),
        TurnTimed(3.0, 2, {"vad_stop": 220.0, "stt": 420.0, "first_audio": 700.0}, hops={"in": 9.0, "out": 1.0}),
    ]
    stages, rows = stage_rows(timings)
    assert stages == ["vad_stop", "stt", "first_audio", "hop in", "hop out", "voice to voice"]
    assert rows[2] == {"vad_stop": 220.0, "stt": 420.0, "first_audio": 700.0, "hop in": 9.0, "hop out": 1.0}


def test_the_table_has_each_turn_and_the_median() -> None:
    timings = [TurnTimed(float(turn), turn, {"stt": 100.0 * turn}, None) for turn in (1, 2, 3)]
    table = stages_table(timings, {2: "And on Sunday?"})
    assert table is not None
    out = io.StringIO()
    Console(file=out, width=100).print(table)
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.getvalue().splitlines() if "│" in line]
    assert lines == [["1", "", "100"], ["2", "And on Sunday?", "200"], ["3", "", "300"], ["", "median", "200"]]


def test_no_table_when_nothing_was_timed() -> None:
    assert stages_table([], {}) is None
