"""A call's files that are in the bucket, and change again; killed between any two steps."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import replace

import pytest
from arq import Retry

from ai_worker.jobs import archive
from ai_worker.jobs.additions import keep_aftercall
from ai_worker.jobs.desk import Desk
from ai_worker.jobs.queue import QUEUE
from ai_worker.jobs.record import AfterCall
from ai_worker.jobs.store import store
from ai_worker.jobs.write_record import MAX_TRIES, write_record
from callbus import keys
from callbus.bucket import RECORD, RECORDING
from callbus.errors import BucketUnavailable
from support.jobs_desk import T0, ctx, recorded
from support.jobs_fate import Fate, Killed
from support.jobs_parts import read_wav, steady, write_part
from support.s3 import S3Server


async def test_late_words_reach_the_record_in_the_bucket(desk: Desk, s3: S3Server) -> None:
    folder = await recorded(desk)
    await store(ctx(desk), "c1")
    await desk.broker.execute("DEL", *keys.of_call("c1"))  # Redis has forgotten the call by now
    await keep_aftercall(desk.broker, "c1", "7-0", AfterCall(event="summary_available", at=T0, data={"text": "Court"}))
    await write_record(ctx(desk), "c1", late=True)
    assert [file.name for file in folder.iterdir()] == [RECORD]  # the recording is not needed for that
    await store(ctx(desk), "c1")
    files = await s3.files()
    record = json.loads(files[f"c1/{RECORD}"])
    assert [event["data"] for event in record["aftercall"]] == [{"text": "Court"}]
    assert (record["from_number"], len(record["turns"]), record["recording"]["file"]) == ("33612345678", 2, RECORDING)
    assert len(files[f"c1/{RECORDING}"]) == 44 + 800 * 4
    assert not folder.exists()
    assert s3.count("PUT", RECORDING) == 1


async def test_late_words_about_a_call_that_is_not_ours_leave_nothing(desk: Desk, s3: S3Server) -> None:
    await keep_aftercall(desk.broker, "c9", "7-0", AfterCall(event="tags_updated", at=T0, data={}))
    await write_record(ctx(desk), "c9", late=True)
    assert list(desk.calls_dir.iterdir()) == []
    assert await s3.files() == {}


async def test_a_caller_who_comes_back_is_joined_to_the_recording_in_the_bucket(desk: Desk, s3: S3Server) -> None:
    folder = await recorded(desk, frames=800)
    await store(ctx(desk), "c1")
    await recorded(desk, frames=400, started_at=T0 + 0.2, session="m2")
    _, audio = read_wav(folder / RECORDING)
    assert (len(audio), audio[0].tolist(), audio[-1].tolist()) == (2000, [1, 2], [1, 2])
    await store(ctx(desk), "c1")
    assert len((await s3.files())[f"c1/{RECORDING}"]) == 44 + 2000 * 4
    assert not folder.exists()


async def test_killed_while_the_files_are_brought_back_nothing_is_lost(
    desk: Desk, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fate = Fate(monkeypatch)
    for at in range(30):
        s3.empty()
        folder = await recorded(desk, frames=800)
        await store(ctx(desk), "c1")
        write_part(folder, T0 + 0.2, steady(400, 1, 2), session="m2")
        fate.strikes(at)
        survived = False
        try:
            await write_record(ctx(desk), "c1")
            await store(ctx(desk), "c1")
            survived = True
        except Killed:
            fate.strikes(-1)
            await write_record(ctx(desk), "c1")
            await store(ctx(desk), "c1")
        files = await s3.files()
        assert len(files[f"c1/{RECORDING}"]) == 44 + 2000 * 4
        recording = json.loads(files[f"c1/{RECORD}"])["recording"]
        assert (recording["duration_s"], recording["notes"]) == (0.25, [])
        assert not folder.exists()
        await desk.broker.execute("FLUSHDB")
        if survived:
            break
    assert at >= 10


async def test_late_words_wait_for_as_long_as_the_bucket_is_away(desk: Desk, s3: S3Server) -> None:
    await recorded(desk)
    await store(ctx(desk), "c1")
    await desk.broker.execute("DEL", QUEUE)
    s3.stop()
    await keep_aftercall(desk.broker, "c1", "7-0", AfterCall(event="summary_available", at=T0, data={}))
    with pytest.raises(Retry):
        await write_record(ctx(desk), "c1", late=True)
    await desk.broker.execute("EXPIRE", keys.aftercall("c1"), 60)
    await write_record(ctx(desk, MAX_TRIES), "c1", late=True)  # the last try asks for another job
    [job, at] = await desk.broker.execute("ZRANGE", QUEUE, 0, -1, "WITHSCORES")
    assert job.startswith(b"record:c1#later-")
    assert 500 < float(at) / 1000 - time.time() < 700
    assert await desk.broker.execute("TTL", keys.aftercall("c1")) > 3600
    s3.start()
    await write_record(ctx(desk), "c1", late=True)
    await store(ctx(replace(desk, bucket=s3.bucket())), "c1")
    assert len(json.loads((await s3.files())[f"c1/{RECORD}"])["aftercall"]) == 1


async def test_a_bucket_that_does_not_exist_is_away_and_no_record_is_gone(desk: Desk, s3: S3Server) -> None:
    nowhere = s3.bucket(CALLS_BUCKET="s3://nowhere-at-all")
    with pytest.raises(BucketUnavailable, match="NoSuchBucket"):
        await archive.record_body(replace(desk, bucket=nowhere), "c1")
    assert await archive.record_body(desk, "c1") is None


async def test_a_bucket_that_says_nothing_is_away(desk: Desk, s3: S3Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are taken, and nobody reads
        bucket = s3.bucket(timeout_s=0.2, CALLS_BUCKET_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(BucketUnavailable, match="can't be used"):
            await archive.record_body(replace(desk, bucket=bucket), "c1")
        assert bucket.failed_within(10)
