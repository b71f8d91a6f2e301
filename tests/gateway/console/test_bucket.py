"""Past calls whose files are in a bucket: found, shown, heard; and what is said when the bucket is away."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from ai_worker.jobs.recording import join
from callbus.bucket import RECORD, RECORDING, Bucket
from support.console import API, look
from support.console_calls import NOON, a_record, a_recording
from support.gateway_webhooks import AUTHORIZED
from support.jobs_parts import steady, write_part
from support.s3 import S3Server, s3, s3_server
from support.waiting import until
from webhook_gateway.console import stored_calls
from webhook_gateway.console.call_list import Search
from webhook_gateway.console.past import PastCalls

__all__ = ["s3", "s3_server"]


@pytest.fixture(scope="module")
def more_settings(s3_server: S3Server) -> dict[str, str]:
    return s3_server.settings


@pytest.fixture
async def bucket(s3: S3Server) -> Bucket:
    return s3.bucket()


async def put(bucket: Bucket, call_id: str, *, sound: bytes = b"", **values: Any) -> dict[str, Any]:
    record = a_record(call_id, **values)
    for name, body in ((RECORDING, sound), (RECORD, json.dumps(record).encode())):
        if body:
            await bucket.put(call_id, name, io.BytesIO(body), digest=hashlib.sha256(body).hexdigest())
    return record


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_calls, "LOOK_EVERY_S", 0.0)


def ids(found: dict[str, Any]) -> list[str]:
    return [call["call_id"] for call in found["calls"]]


async def test_calls_of_both_places_are_found_and_the_folders_come_first(
    s3: S3Server, bucket: Bucket, tmp_path: Path, at_once: None
) -> None:
    await put(bucket, "old", started_at=NOON - 5)
    await put(bucket, "both", agent="as it was")
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / RECORD).write_text(json.dumps(a_record("both", agent="as it is")))
    past = PastCalls(tmp_path, bucket)
    found = await past.search(Search(limit=1))
    assert (ids(found), found["calls"][0]["agent"], found["problem"]) == (["both"], "as it is", None)
    assert ids(await past.search(Search(before=found["next"]))) == ["old"]
    assert s3.count("GET", f"/{RECORD}") == 2
    await past.search(Search())
    assert s3.count("GET", f"/{RECORD}") == 2  # they have not changed
    await put(bucket, "old", started_at=NOON - 5, outcome="failed")
    assert ids(await past.search(Search(outcome="failed"))) == ["old"]
    assert s3.count("GET", f"/{RECORD}") == 3
    await bucket.delete("old")
    assert ids(await past.search(Search())) == ["both"]


async def test_the_bucket_is_listed_every_few_seconds_and_when_a_call_has_left_the_folder(
    s3: S3Server, bucket: Bucket, tmp_path: Path
) -> None:
    (tmp_path / "c1").mkdir()
    (tmp_path / "c1" / RECORD).write_text(json.dumps(a_record("c1")))
    past = PastCalls(tmp_path, bucket)
    for _ in range(3):
        assert ids(await past.search(Search())) == ["c1"]
    assert s3.count("GET", "/calls") == 1
    await put(bucket, "c1")
    (tmp_path / "c1" / RECORD).unlink()
    assert ids(await past.search(Search())) == ["c1"]
    assert s3.count("GET", "/calls") == 2


async def test_a_bucket_that_is_away_hides_no_call_that_is_here(
    s3: S3Server, bucket: Bucket, tmp_path: Path, at_once: None
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / RECORD).write_text(json.dumps(a_record("here")))
    await put(bucket, "there")
    past = PastCalls(tmp_path, bucket)
    assert ids(await past.search(Search())) == ["there", "here"]
    s3.stop()
    found = await past.search(Search())
    assert ids(found) == ["there", "here"]  # what is known of it can still be listed
    assert "the bucket s3://calls/bots/paris can't be used" in found["problem"]
    s3.start()
    assert (await past.search(Search()))["problem"] is None


async def test_a_search_does_not_wait_for_a_bucket_that_is_slow(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(bucket, "c1")
    go_on = asyncio.Event()
    get = bucket.get

    async def slow(*args: Any, **how: Any) -> bytes | None:
        await go_on.wait()
        return await get(*args, **how)

    monkeypatch.setattr(bucket, "get", slow)
    monkeypatch.setattr(stored_calls, "PATIENCE_S", 0.01)
    past = PastCalls(tmp_path, bucket)
    found = await past.search(Search())
    assert found["calls"] == []
    assert "is still being read" in found["problem"]
    go_on.set()

    async def read() -> bool:
        return ids(await past.search(Search())) == ["c1"]

    await until(read)


async def test_a_calls_page_and_its_sound(client: httpx.AsyncClient, s3: S3Server, bucket: Bucket) -> None:
    sound = a_recording(1.0)
    record = await put(bucket, "c1", sound=sound)
    shown = await look(client, "/calls/c1")
    assert {**shown, "waveform": None} == {**record, "waveform": None}
    assert shown["waveform"]["caller"] == pytest.approx([0.5] * 5 + [0.0] * 5, abs=0.01)
    asked = s3.count("GET", RECORDING)
    await look(client, "/calls/c1")
    assert s3.count("GET", RECORDING) == asked + 1  # is it still the same? it need not be drawn again
    whole = await client.get(f"{API}/calls/c1/audio", headers=AUTHORIZED)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, sound, "audio/wav")
    assert whole.headers["accept-ranges"] == "bytes"
    download = await client.get(f"{API}/calls/c1/record", headers=AUTHORIZED)
    assert download.json() == record
    assert 'attachment; filename="c1.json"' in download.headers["content-disposition"]
    for path in ("", "/audio", "/record"):
        assert (await client.get(f"{API}/calls/nobody{path}", headers=AUTHORIZED)).status_code == 404


async def test_a_page_whose_record_has_the_waveform_asks_for_no_sound(
    client: httpx.AsyncClient, s3: S3Server, bucket: Bucket, tmp_path: Path
) -> None:
    audio = np.concatenate([steady(4000, 16384, 0), steady(4000, 0, 32767)])
    write_part(tmp_path, NOON, audio)
    made = join(tmp_path, before=None, sample_rate=8000, complete=True, stop=threading.Event())
    assert made
    sound = (tmp_path / "call.wav").read_bytes()
    await put(bucket, "c1", sound=sound, recording=made.model_dump(mode="json"))
    s3.asked.clear()
    drawn = (await look(client, "/calls/c1"))["waveform"]
    assert s3.count("GET", RECORDING) == s3.count("HEAD", RECORDING) == 0
    assert drawn["ms_per_point"] == 100
    assert drawn["caller"] == pytest.approx([0.5] * 5 + [0.0] * 5, abs=0.01)
    assert drawn["bot"] == pytest.approx([0.0] * 5 + [1.0] * 5, abs=0.01)


@pytest.mark.parametrize(
    "written",
    [None, {}, {"ms_per_point": 0, "caller": "", "bot": ""}, {"ms_per_point": 100, "caller": "é?", "bot": ""}],
)
async def test_a_waveform_that_can_not_be_read_is_drawn_anew(
    client: httpx.AsyncClient, bucket: Bucket, written: object
) -> None:
    await put(bucket, "c1", sound=a_recording(1.0), recording={"file": "call.wav", "waveform": written})
    assert len((await look(client, "/calls/c1"))["waveform"]["caller"]) == 10


async def test_a_long_recording_comes_in_pieces(client: httpx.AsyncClient, s3: S3Server, bucket: Bucket) -> None:
    sound = a_recording(80.0)
    await put(bucket, "c1", sound=sound)
    s3.asked.clear()
    whole = await client.get(f"{API}/calls/c1/audio", headers=AUTHORIZED)
    assert whole.content == sound
    assert s3.count("GET", RECORDING) == 4  # what it is, then one for each MiB
    assert len((await look(client, "/calls/c1"))["waveform"]["bot"]) == 800


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=100-199", 100, 200),
        ("bytes=32000-", 32000, 32044),
        ("bytes=-44", 32000, 32044),
        ("bytes=0-99999", 0, 32044),
        ("bytes=-99999", 0, 32044),
    ],
)
async def test_ranges(client: httpx.AsyncClient, bucket: Bucket, asked: str, start: int, end: int) -> None:
    sound = a_recording(1.0)
    await put(bucket, "c1", sound=sound)
    part = await client.get(f"{API}/calls/c1/audio", headers={**AUTHORIZED, "range": asked})
    assert (part.status_code, part.content) == (206, sound[start:end])
    assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(sound)}"
    again = await client.get(
        f"{API}/calls/c1/audio", headers={**AUTHORIZED, "range": asked, "if-range": part.headers["etag"]}
    )
    assert again.status_code == 206
    other = await client.get(f"{API}/calls/c1/audio", headers={**AUTHORIZED, "range": asked, "if-range": '"another"'})
    assert (other.status_code, other.content) == (200, sound)


async def test_ranges_that_are_none(client: httpx.AsyncClient, bucket: Bucket) -> None:
    sound = a_recording(1.0)
    await put(bucket, "c1", sound=sound)
    for asked in ("bytes=-", "bytes=9-3", "lines=1-2", "bytes=0-1,5-6"):
        answer = await client.get(f"{API}/calls/c1/audio", headers={**AUTHORIZED, "range": asked})
        assert (answer.status_code, answer.content) == (200, sound), asked
    for asked in ("bytes=32044-", "bytes=-0"):
        answer = await client.get(f"{API}/calls/c1/audio", headers={**AUTHORIZED, "range": asked})
        assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */32044"), asked


async def test_a_page_says_that_the_bucket_is_away(client: httpx.AsyncClient, s3: S3Server, bucket: Bucket) -> None:
    await put(bucket, "c1", sound=a_recording(1.0))
    s3.stop()
    for path in ("", "/audio", "/record"):
        answer = await client.get(f"{API}/calls/c1{path}", headers=AUTHORIZED)
        assert answer.status_code == 503
        assert "can't be used" in answer.json()["error"]
        assert "CALLS_BUCKET" in answer.json()["hint"]
    s3.start()
    assert (await client.get(f"{API}/calls/c1", headers=AUTHORIZED)).status_code == 200
