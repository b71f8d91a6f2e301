"""A recorded call taken apart, and compared with its replay."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ai_worker.jobs.record import build_record
from callbus import transcript as tr
from support.cli_recorded import RECORD, ZERO, recorded_call, sentence, turn, write
from voicebot_cli.differences import compare, show
from voicebot_cli.errors import RecordingError
from voicebot_cli.recorded import RecordedCall, load_call
from voicebot_cli.story import Sentence, StoryTurn, by_spans, from_record


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    recorded_call(tmp_path)
    return tmp_path


def samples(pcm: bytes | None) -> tuple[int, int]:
    """The first and the last 10 ms that a piece holds."""
    assert pcm is not None
    marks = np.frombuffer(pcm, "<i2")
    return int(marks[0]), int(marks[-1])


def test_the_caller_is_cut_out_with_the_beginnings_of_the_words(calls: Path) -> None:
    call = load_call(calls, "c1")
    first, second, keys = call.pieces
    assert samples(first.pcm) == (165, 324)
    assert samples(second.pcm) == (465, 574)
    assert (first.turn, second.turn, keys.turn) == (1, 2, 2)
    assert (keys.pcm, keys.digits) == (None, "1")
    assert (call.caller, call.called) == ("33612345678", "33184800000")


def test_what_was_said_into_the_bots_speech_is_told_from_what_was_said_after_it(calls: Path) -> None:
    first, second, keys = load_call(calls, "c1").pieces
    assert first.into_speech is None
    assert first.pause == pytest.approx(1.0)
    assert second.into_speech == pytest.approx(1.0)
    assert keys.into_speech is None
    assert keys.pause == pytest.approx(1.5)


def test_two_turns_close_together_share_no_audio(calls: Path) -> None:
    record = json.loads(json.dumps(RECORD))
    record["turns"][2]["caller"]["started_at"] = ZERO + 3.2
    write(calls, record)
    first, second = load_call(calls, "c1").pieces[:2]
    assert samples(first.pcm)[1] == 309
    assert samples(second.pcm)[0] == 310


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recording": None}, "was not recorded"),
        ({"turns": [turn(0, None, sentence("Hello.", 0, 1))]}, "said nothing"),
        ({"turns": 3}, "no record of a call"),
        ({"recording": {"file": "gone.wav", "started_at": ZERO}}, "can't be read"),
    ],
)
def test_a_call_that_can_not_be_said_again_is_told(calls: Path, change: dict[str, Any], words: str) -> None:
    write(calls, RECORD | change)
    with pytest.raises(RecordingError, match=words):
        load_call(calls, "c1")


def test_a_call_without_a_record_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="--calls-dir"):
        load_call(tmp_path, "c1")


def again(call: RecordedCall) -> list[StoryTurn]:
    """A replay in which nothing differs, as `by_spans` gives it: one turn a piece."""
    greeting, first, second = call.turns
    keys = StoryTurn(pressed=second.pressed, done=second.done)
    return [greeting, first, StoryTurn(second.understood, bot=second.bot), keys]


def shown(call: RecordedCall, now: list[StoryTurn], agent: str = "desk", ended: str = "transfer") -> list[str]:
    out = io.StringIO()
    show(compare(call, now, agent=agent, ended=ended), [], Console(file=out, width=160))
    return out.getvalue().splitlines()


def test_a_replay_that_is_the_same_says_so(calls: Path) -> None:
    call = load_call(calls, "c1")
    lines = shown(call, again(call))
    assert lines[-1] == "Nothing differs."
    assert "  = unheard     every day." in lines
    assert "  = pressed     1" in lines


def test_what_differs_stands_then_and_now(calls: Path) -> None:
    call = load_call(calls, "c1")
    now = again(call)
    now[1] = StoryTurn("When do you open?", bot=[Sentence("At ten.", "At ten.")], voice_to_voice_ms=1300.0)
    now[3] = StoryTurn(pressed=[(0.0, "1")])
    lines = shown(call, now, agent="night desk", ended="caller")
    for expected in (
        "  = caller      When do you open?",
        "  - heard       At nine",
        "  + heard       At ten.",
        "  ~ answered in 900 ms → 1300 ms",
        "  - done        transfer 3312",
        "  + done        (nothing)",
        "  - agent       desk",
        "  + agent       night desk",
        "  + ended by    caller",
    ):
        assert expected in lines
    assert lines[-1] == "3 of 4 parts differ"


def test_turns_that_the_replay_did_not_reach_are_told(calls: Path) -> None:
    call = load_call(calls, "c1")
    lines = shown(call, again(call)[:2])
    assert "  + turn        not reached" in lines


def test_an_operators_wishes_and_a_failed_tool_are_told_apart_from_the_bots_deeds(calls: Path) -> None:
    record = json.loads(json.dumps(RECORD))
    record["turns"][2]["notes"] = [
        {"at": ZERO + 9.2, "note": "operator 17-0: transfer"},
        {"at": ZERO + 9.3, "note": "operator 17-1: say (not done: the bot is leaving the call)"},
        {"at": ZERO + 9.4, "note": "false barge-in"},
    ]
    tool = {"name": "book", "arguments": "{}", "asked_at": ZERO + 6, "done_at": ZERO + 7, "result": "", "failed": True}
    record["turns"][1]["tools"] = [tool]
    write(calls, record)
    call = load_call(calls, "c1")
    lines = shown(call, again(call))
    assert "  = done        tool book {} (failed)" in lines
    assert "  - operator    transfer say (not done: the bot is leaving the call)" in lines
    assert "  + operator    (nothing)" in lines


def test_a_live_transcript_tells_the_same_as_its_record() -> None:
    entries: list[tr.Entry] = [
        tr.CallerSaid(3.0, 2.0, 1, "Book it.", "1-0"),
        tr.ToolUsed(3.1, 1, "t1", "book", "{}", "asked"),
        tr.ToolUsed(3.2, 1, "t1", "book", "{}", "done", "booked"),
        tr.ToolUsed(3.3, 1, "t1", "book", "{}", "failed", "It was not done."),
        tr.ToolUsed(3.4, 1, "t2", "look", "{}", "asked"),
        tr.ToolUsed(3.5, 1, "t2", "look", "{}", "done", "seen"),
        tr.Noted(3.6, "operator 17-0: mute"),
        tr.Noted(3.7, "a note"),
    ]
    [_, live] = by_spans(entries, [2.0])
    kept = json.loads(build_record("c1", {}, entries).model_dump_json())
    [recorded] = from_record(kept)
    assert live.done == recorded.done == ["tool book {} (failed)", "tool look {}"]
    assert live.operator == recorded.operator == ["mute"]
