"""A call's files on their way to the bucket, on a real S3 server; killed between any two steps."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from arq import Retry

from ai_worker.jobs import archive
from ai_worker.jobs.desk import Desk
from ai_worker.jobs.locks import alone
from ai_worker.jobs.queue import QUEUE
from ai_worker.jobs.store import pause_s, store, sweep
from ai_worker.jobs.write_record import write_record
from callbus import calls
from callbus.bucket import RECORD, RECORDING, Bucket
from support.jobs_desk import T0, ctx, recorded
from support.jobs_fate import Fate, Killed
from support.jobs_parts import read_wav, steady, write_part
from support.s3 import S3Server


def contents(folder: Path) -> dict[str, bytes]:
    return {f"{folder.name}/{file.name}": file.read_bytes() for file in folder.iterdir()}


async def test_a_calls_files_move_to_the_bucket(desk: Desk, s3: S3Server) -> None:
    folder = await recorded(desk)
    before = contents(folder)
    assert [name.partition("/")[2] for name in sorted(before)] == [RECORD, RECORDING]
    await store(ctx(desk), "c1")
    assert await s3.files() == before
    assert not folder.exists()
    puts = [path.rpartition("/")[2] for method, path in s3.asked if method == "PUT"]
    assert puts == [RECORDING, RECORD]
    assert desk.bucket
    for name, kind in ((RECORDING, "audio/wav"), (RECORD, "application/json")):
        got = await desk.bucket._store.get_async(f"c1/{name}")
        assert got.attributes["Content-Type"] == kind
    await store(ctx(desk), "c1")  # once more: there is nothing to do


async def test_a_large_recording_is_stored_in_pieces(desk: Desk, s3: S3Server) -> None:
    folder = await recorded(desk, frames=8000 * 60 * 4)
    before = contents(folder)
    await store(ctx(desk), "c1")
    assert await s3.files() == before
    assert desk.bucket
    assert await desk.bucket.digest("c1", RECORDING)
    write_part(folder, T0 + 300, steady(8000, 3, 4), session="m2")
    await write_record(ctx(desk), "c1")
    _, audio = read_wav(folder / RECORDING)
    assert len(audio) == 8000 * 301


async def test_what_is_there_already_is_not_sent_again(desk: Desk, s3: S3Server) -> None:
    folder = await recorded(desk)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    await store(ctx(desk), "c1")
    folder.mkdir()
    for name, content in before.items():
        (folder / name).write_bytes(content)
    await store(ctx(desk), "c1")
    assert s3.count("PUT", "") == 2
    assert not folder.exists()


async def whole(s3: S3Server, folder: Path, before: dict[str, bytes]) -> None:
    """Every file is somewhere, and a record in the bucket has its recording there."""
    stored = await s3.files()
    local = contents(folder) if await asyncio.to_thread(folder.exists) else {}
    assert {**stored, **local} == before
    assert f"c1/{RECORD}" not in stored or f"c1/{RECORDING}" in stored


async def test_killed_between_any_two_steps_nothing_is_lost(
    desk: Desk, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fate = Fate(monkeypatch)
    steps = 0
    for at in range(20):
        s3.empty()
        folder = await recorded(desk)
        before = contents(folder)
        fate.strikes(at)
        try:
            await store(ctx(desk), "c1")
            steps = at
            break
        except Killed:
            fate.strikes(-1)
        await whole(s3, folder, before)
        assert await archive.record_body(desk, "c1") == before[f"c1/{RECORD}"]
        await sweep(ctx(desk))
        asked = [job for job in await desk.broker.execute("ZRANGE", QUEUE, 0, -1) if job == b"store:c1#"]
        assert bool(asked) == (folder / RECORD).exists()
        await store(ctx(desk), "c1")
        assert await s3.files() == before
        await desk.broker.execute("FLUSHDB")
        if folder.exists():
            folder.rmdir()
    assert steps == 5  # two files there, two files and their folder gone


async def test_a_bucket_that_is_away_keeps_no_record_from_being_written(desk: Desk, s3: S3Server) -> None:
    s3.stop()
    folder = await recorded(desk)
    before = contents(folder)
    with pytest.raises(Retry) as again:
        await store(ctx(desk, 3), "c1")
    assert again.value.defer_score is not None
    assert 10_000 <= again.value.defer_score <= 20_000  # ms: 5 s, doubled twice, half of it at random
    assert contents(folder) == before
    s3.start()
    with pytest.raises(Retry):
        await store(ctx(desk), "c1")  # not asked again so soon after a failure
    assert s3.count("PUT", RECORD) == 0
    await store(ctx(replace(desk, bucket=s3.bucket())), "c1")
    assert await s3.files() == before


async def test_files_stay_while_the_caller_is_back_on_the_line(desk: Desk, s3: S3Server) -> None:
    folder = await recorded(desk)
    await calls.update(desk.broker, "c1", media="connected")
    with pytest.raises(Retry):
        await store(ctx(desk), "c1")
    await calls.update(desk.broker, "c1", media="ended")
    part = write_part(folder, T0 + 1, steady(8, 1, 2), session="m2")
    await store(ctx(desk), "c1")
    assert part.exists()
    assert (folder / RECORD).exists()
    assert len(await s3.files()) == 2


async def test_a_record_that_changes_while_it_is_stored_is_stored_again(
    desk: Desk, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = await recorded(desk)
    put = Bucket.put

    async def slowly(bucket: Bucket, call_id: str, name: str, *rest: Any, **how: Any) -> None:
        await put(bucket, call_id, name, *rest, **how)
        if name == RECORD:
            await calls.update(desk.broker, "c1", from_number="33600000000")
            await write_record(ctx(desk), "c1")

    monkeypatch.setattr(Bucket, "put", slowly)
    with pytest.raises(Retry):
        await store(ctx(desk), "c1")
    monkeypatch.setattr(Bucket, "put", put)
    assert (folder / RECORD).exists()
    await store(ctx(desk), "c1")
    assert json.loads((await s3.files())[f"c1/{RECORD}"])["from_number"] == "33600000000"
    assert not folder.exists()


async def test_two_processes_do_not_store_the_same_call(desk: Desk, s3: S3Server) -> None:
    await recorded(desk)
    async with alone(desk.broker, "c1", "storing", longest_s=5):
        with pytest.raises(Retry):
            await store(ctx(desk), "c1")
    assert s3.count("PUT", "") == 0


def test_pauses_grow_up_to_ten_minutes() -> None:
    assert 2.5 <= pause_s(1) <= 5
    assert 300 <= pause_s(9) <= 600
    assert 300 <= pause_s(999_999) <= 600
