"""Past calls: found, read, drawn, heard and downloaded, from a real gateway over a folder of records."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from callbus import keys
from callbus.broker import Broker
from support.console import API, ask, look
from support.console_calls import NOON, a_record, a_recording
from support.gateway_webhooks import AUTHORIZED
from webhook_gateway.console.call_list import Search
from webhook_gateway.console.past import PastCalls

DAY = 86_400.0


def put(folder: Path, call_id: str, started_at: float = NOON, **values: Any) -> dict[str, Any]:
    """A record as ai-jobs writes it."""
    record = a_record(call_id, started_at, **values)
    (folder / call_id).mkdir(exist_ok=True)
    (folder / call_id / "call.json").write_text(json.dumps(record))
    return record


def record_sound(folder: Path, call_id: str, seconds: float = 1.0) -> bytes:
    sound = a_recording(seconds)
    (folder / call_id / "call.wav").write_bytes(sound)
    return sound


@pytest.fixture(autouse=True)
def emptied(calls_dir: Path) -> None:
    for file in calls_dir.rglob("*.*"):
        file.unlink()
    for folder in calls_dir.iterdir():
        folder.rmdir()


async def found(client: httpx.AsyncClient, **params: str) -> list[str]:
    return [call["call_id"] for call in (await look(client, "/calls", **params))["calls"]]


async def test_calls_are_found_by_what_is_known_of_them(client: httpx.AsyncClient, calls_dir: Path) -> None:
    put(calls_dir, "old", NOON - DAY, from_number="33700000000", agent="sales")
    put(calls_dir, "noon", summary="Asked for the hours.")
    put(calls_dir, "late", NOON + DAY / 2 - 1, outcome="transferred", from_number=None)
    put(calls_dir, "next", NOON + DAY / 2)
    assert await found(client) == ["next", "late", "noon", "old"]
    assert await found(client, number="+33 7") == ["old"]
    assert await found(client, number="848") == ["next", "late", "noon", "old"]
    assert await found(client, number="anonymous") == []
    assert await found(client, agent="sales") == ["old"]
    assert await found(client, outcome="transferred") == ["late"]
    assert await found(client, **{"from": "2026-01-31"}) == ["next", "late", "noon"]
    assert await found(client, to="2026-01-31") == ["late", "noon", "old"]
    assert await found(client, **{"from": "2026-01-31T12:00:00Z", "to": str(NOON + 1)}) == ["noon"]
    [noon] = (await look(client, "/calls", **{"from": str(NOON), "to": str(NOON + 1)}))["calls"]
    assert noon == {
        "call_id": "noon",
        "from_number": "33612345678",
        "to_number": "33184800000",
        "agent": "library",
        "started_at": NOON,
        "duration_s": 61.5,
        "outcome": "completed",
        "ended_by": "caller",
        "turns": 1,
        "summary": "Asked for the hours.",
    }


async def test_pages_follow_each_other_without_a_gap(client: httpx.AsyncClient, calls_dir: Path) -> None:
    for number in range(7):
        put(calls_dir, f"c{number}", NOON + number // 2)
    pages, before = [], ""
    while True:
        page = await look(client, "/calls", limit="3", **({"before": before} if before else {}))
        pages.append([call["call_id"] for call in page["calls"]])
        before = page["next"]
        if before is None:
            break
    assert pages == [["c6", "c5", "c4"], ["c3", "c2", "c1"], ["c0"]]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "from=yesterday", "to=1e999", "before=x"])
async def test_what_cannot_be_looked_for_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"{API}/calls?{query}", headers=AUTHORIZED)
    assert (answer.status_code, set(answer.json())) == (400, {"error", "hint"})


async def test_a_record_is_read_again_only_when_it_has_changed(tmp_path: Path) -> None:
    past = PastCalls(tmp_path)
    put(tmp_path, "c1")
    [before] = (await past.search(Search()))["calls"]
    assert (await past.search(Search()))["calls"][0] is before
    put(tmp_path, "c1", outcome="failed")
    file = tmp_path / "c1" / "call.json"
    os.utime(file, ns=(1, file.stat().st_mtime_ns + 1))
    assert (await past.search(Search()))["calls"][0]["outcome"] == "failed"
    file.unlink()
    assert await past.search(Search()) == {"calls": [], "next": None, "problem": None}


async def test_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    for number, text in enumerate(["", "{", "[]", "null", '{"times": 3}', '{"times": {}}', "[" * 100_000]):
        (tmp_path / f"bad{number}").mkdir()
        (tmp_path / f"bad{number}" / "call.json").write_text(text)
    (tmp_path / ".hidden").mkdir()
    put(tmp_path, "good", turns=None, times={"first_seen": 5})
    (tmp_path / "good" / "call.wav").write_bytes(b"RIFF and no more")
    past = PastCalls(tmp_path)
    assert [call["call_id"] for call in (await past.search(Search()))["calls"]] == ["good"]
    record = await past.record("good")
    assert record
    assert record["waveform"] is None
    assert await past.record("bad1") is None
    assert (await PastCalls(tmp_path / "nowhere").search(Search()))["calls"] == []


async def test_a_calls_page(client: httpx.AsyncClient, broker: Broker, calls_dir: Path) -> None:
    record = put(calls_dir, "c1")
    assert await look(client, "/calls/c1") == {**record, "waveform": None}
    record_sound(calls_dir, "c1")
    drawn = (await look(client, "/calls/c1"))["waveform"]
    assert drawn["ms_per_point"] == 100
    assert drawn["caller"] == pytest.approx([0.5] * 5 + [0.0] * 5, abs=0.01)
    assert drawn["bot"] == pytest.approx([0.0] * 5 + [1.0] * 5, abs=0.01)
    record_sound(calls_dir, "c1", 2.0)
    assert len((await look(client, "/calls/c1"))["waveform"]["bot"]) == 20
    await dead_letter(broker, "c1")
    [delivery] = (await look(client, "/calls/c1"))["deliveries"]
    assert (delivery["state"], delivery["attempts"], delivery["error"]) == ("dead", 9, "503: no answer")


async def test_the_recording_is_heard_from_any_place(client: httpx.AsyncClient, calls_dir: Path) -> None:
    record = put(calls_dir, "c1")
    sound = record_sound(calls_dir, "c1")
    whole = await client.get(f"{API}/calls/c1/audio", headers=AUTHORIZED)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, sound, "audio/wav")
    part = await client.get(f"{API}/calls/c1/audio", headers={**AUTHORIZED, "range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, sound[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(sound)}"
    download = await client.get(f"{API}/calls/c1/record", headers=AUTHORIZED)
    assert download.json() == record
    assert 'attachment; filename="c1.json"' in download.headers["content-disposition"]


async def test_nothing_outside_the_folder_is_shown(client: httpx.AsyncClient, calls_dir: Path) -> None:
    (calls_dir.parent / "call.json").write_text('{"secret": 1}')
    for call_id in ("..", "%2e%2e", "..%2F..", "%00", ".", "a%2F..%2F.."):
        for path in ("", "/audio", "/record"):
            answer = await client.get(f"{API}/calls/{call_id}{path}", headers=AUTHORIZED)
            assert "secret" not in answer.text
            assert answer.status_code in (400, 404) or "calls" in answer.json()
    for path in ("", "/audio", "/record"):
        assert (await client.get(f"{API}/calls/nobody{path}", headers=AUTHORIZED)).status_code == 404


async def dead_letter(broker: Broker, call_id: str) -> None:
    """A delivery that ai-jobs has given up."""
    fields = {"digest": "d", "state": "dead", "first_at": "1.0", "at": "5.5", "tries": "9"}
    pairs = [part for pair in {**fields, "status": "503", "reason": "no answer"}.items() for part in pair]
    await broker.pipeline(
        [
            ("HSET", keys.outgoing(call_id), *pairs),
            ("EXPIRE", keys.outgoing(call_id), 60),
            ("ZADD", keys.DEAD_LETTERS, 5.5, call_id),
            ("EXPIRE", keys.DEAD_LETTERS, 60),
        ]
    )


async def test_dead_letters_are_listed_and_sent_again(client: httpx.AsyncClient, broker: Broker) -> None:
    assert await look(client, "/jobs/dead") == {"deliveries": []}
    await dead_letter(broker, "c1")
    [letter] = (await look(client, "/jobs/dead"))["deliveries"]
    assert (letter["id"], letter["call_id"], letter["at"], letter["attempts"]) == ("c1", "c1", 5.5, 9)
    assert (letter["state"], letter["next_at"]) == ("dead", None)
    # A replay that fails once is tried again: until it is taken, it stays listed, and can be asked for.
    await broker.execute("HSET", keys.outgoing("c1"), "state", "trying", "next_at", "7.5")
    [letter] = (await look(client, "/jobs/dead"))["deliveries"]
    assert (letter["state"], letter["next_at"]) == ("trying", 7.5)
    assert (await ask(client, "/jobs/dead/c2/replay")).status_code == 404
    assert (await ask(client, "/jobs/dead/c1/replay")).status_code == 202
    [(_, event)] = await broker.range(keys.EVENTS)
    assert (event[b"resource"], event[b"event"], event[b"call_id"]) == (b"delivery", b"replay", b"c1")
