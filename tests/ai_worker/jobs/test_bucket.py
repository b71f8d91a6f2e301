"""ai-jobs with a bucket: as a process, through its commands, and what is erased there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ai_worker.jobs import commands
from ai_worker.jobs.desk import Desk
from ai_worker.jobs.forget import over_at, retention
from ai_worker.jobs.queue import QUEUE, JobQueue
from ai_worker.jobs.settings import JobsSettings
from callbus import calls, keys
from callbus.broker import Broker
from callbus.bucket import RECORD, RECORDING, Bucket
from callbus.bucket_records import BucketRecords
from support.fake_providers.openai_api import FakeOpenAI
from support.jobs_calls import finished_call
from support.jobs_desk import T0, ctx
from support.jobs_parts import steady, write_part
from support.jobs_process import ai_jobs
from support.jobs_receiver import SECRET, UNAVAILABLE, receiver
from support.s3 import KEYS, S3Server

DAY_S = 24 * 3600


async def aftercall(broker: Broker, event: str) -> None:
    lifecycle = calls.LifecycleEvent("aftercall", event, "c1", time.time(), data={"call_id": "c1"})
    assert await calls.publish_webhook(broker, lifecycle, delivery=event, state=None, once={}, latest={})


async def test_a_call_goes_its_whole_way_with_its_files_in_the_bucket_only(
    redis_url: str, broker: Broker, s3: S3Server, tmp_path: Path
) -> None:
    calls_dir = tmp_path / "calls"
    await finished_call(broker, "c1")
    write_part(calls_dir / "c1", T0, steady(800, 1, 2))
    queue = JobQueue(redis_url)
    await queue.record("c1")
    await queue.aclose()
    notes = {"summary": "Il a demandé les horaires.", "labels": ["answered"], "wish": "les horaires"}
    asked: list[Any] = []

    def answer(messages: Any) -> str:
        asked.append(messages)
        return "not yet" if len(asked) < 2 else json.dumps(notes)

    async with FakeOpenAI(answer=answer) as openai, receiver([UNAVAILABLE]) as hook:
        settings = {
            **s3.settings,
            "OPENAI_API_KEY": openai.api_key,
            "OPENAI_BASE_URL": openai.base_url,
            "CALLS_BUCKET_AFTER_S": "0",
            "CALLS_WEBHOOK_URL": hook.url,
            "CALLS_WEBHOOK_SECRET": SECRET,
            "CALLS_WEBHOOK_FIRST_RETRY_S": "0.05",
        }
        async with ai_jobs(redis_url, calls_dir, tmp_path, **settings) as jobs:
            await jobs.until(lambda: len(hook.bodies) == 2, "delivery of the record with its summary")
            await aftercall(broker, "record_available")
            await jobs.until(lambda: len(hook.bodies) == 3, "delivery with the late event")
            await jobs.until(lambda: not list(calls_dir.iterdir()), "move to the bucket")
            jobs.send(signal.SIGTERM)
            assert await jobs.exit_code() == 0, jobs.log
    files = await s3.files()
    assert sorted(files) == [f"c1/{RECORD}", f"c1/{RECORDING}"]
    record = json.loads(files[f"c1/{RECORD}"])
    assert (record["summary"], [event["event"] for event in record["aftercall"]]) == (
        notes["summary"],
        ["record_available"],
    )
    assert hook.bodies[-1] == files[f"c1/{RECORD}"]
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in jobs.log
    await broker.execute("DEL", QUEUE)  # the delivery that waited for the summary


async def test_what_lies_in_the_folder_is_stored_once_there_is_a_bucket(
    redis_url: str, broker: Broker, s3: S3Server, tmp_path: Path
) -> None:
    calls_dir = tmp_path / "calls"
    (calls_dir / "c1").mkdir(parents=True)
    (calls_dir / "c1" / RECORD).write_text("{}")
    (calls_dir / "not a call").mkdir()
    (calls_dir / "not a call" / RECORD).write_text("{}")
    s3.stop()
    async with ai_jobs(redis_url, calls_dir, tmp_path, **s3.settings) as jobs:
        await jobs.until(lambda: "files not stored yet" in jobs.log, "word about the bucket")
        assert "can't be used" in jobs.log
        jobs.send(signal.SIGKILL)
        await jobs.exit_code()
    s3.start()
    # The dead process's hold, and the pause, are over; here at once.
    for key in await broker.execute("KEYS", "arq:*"):
        await broker.execute("DEL", key)
    async with ai_jobs(redis_url, calls_dir, tmp_path, **s3.settings) as jobs:
        await jobs.until(lambda: not (calls_dir / "c1").exists(), "move to the bucket")
        jobs.send(signal.SIGTERM)
        assert await jobs.exit_code() == 0, jobs.log
    assert await s3.files() == {f"c1/{RECORD}": b"{}"}
    assert (calls_dir / "not a call" / RECORD).exists()


@pytest.fixture
def settings(redis_url: str, s3: S3Server, tmp_path: Path) -> JobsSettings:
    values = {name.lower(): value for name, value in s3.settings.items()}
    return JobsSettings.model_validate({"redis_url": redis_url, "calls_dir": tmp_path, **values})


async def run(settings: JobsSettings, *words: str) -> int:
    return await commands.run(settings, commands.parse(words))


async def put(bucket: Bucket, call_id: str, at: float = T0, *, number: str = "33612345678") -> None:
    record = {
        "version": 1,
        "call_id": call_id,
        "direction": "inbound",
        "from_number": number,
        "to_number": "33184800000",
        "times": {"media_at": at - 5, "media_ended_at": at},
    }
    for name, body in ((RECORDING, b"RIFF"), (RECORD, json.dumps(record).encode())):
        await bucket.put(call_id, name, io.BytesIO(body), digest=hashlib.sha256(body).hexdigest())


async def test_forgetting_erases_in_the_bucket_too(
    broker: Broker, settings: JobsSettings, s3: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    for call_id, number in (("c1", "33612345678"), ("c2", "33699999999"), ("c3", "33612345678")):
        await put(s3.bucket(), call_id, number=number)
    # This one is on its way: its recording is there, its record is here.
    await s3.bucket().put("c4", RECORDING, io.BytesIO(b"RIFF"), digest="")
    await finished_call(broker, "c4")
    assert await run(settings, "forget", "--number", "+33 6 12 34 56 78") == 0
    assert "3 calls erased" in capsys.readouterr().out
    assert sorted(await s3.files()) == [f"c2/{RECORD}", f"c2/{RECORDING}"]


async def test_forgetting_while_the_bucket_is_away_says_so_and_can_be_done_again(
    broker: Broker, settings: JobsSettings, s3: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await put(s3.bucket(), "c1")
    await finished_call(broker, "c1")
    s3.stop()
    assert await run(settings, "forget", "--number", "33612345678") == 1
    said = capsys.readouterr()
    assert "0 calls erased" in said.out
    assert "can't be used" in said.err
    assert "not all is erased: ask again" in said.err
    assert await broker.execute("EXISTS", keys.call("c1")) == 1
    s3.start()
    assert await run(settings, "forget", "--number", "33612345678") == 0
    assert await s3.files() == {}
    assert await broker.execute("EXISTS", keys.call("c1")) == 0


async def test_a_replay_finds_the_record_in_the_bucket(
    broker: Broker, settings: JobsSettings, s3: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await put(s3.bucket(), "c1")
    delivering = settings.model_copy(update={"calls_webhook_url": "https://crm.example.com/calls"})
    assert await run(delivering, "replay", "c1") == 0
    assert await run(delivering, "replay", "c2") == 1
    assert "or s3://calls/bots/paris" in capsys.readouterr().err
    await broker.execute("DEL", QUEUE)


def keeping_a_week(desk: Desk) -> tuple[Bucket, Desk]:
    assert desk.bucket
    return desk.bucket, replace(desk, retention_days=7, over_at=BucketRecords(desk.bucket, over_at))


async def test_old_calls_are_erased_in_the_bucket(desk: Desk, s3: S3Server, tmp_path: Path) -> None:
    bucket, desk = keeping_a_week(desk)
    now = time.time()
    await put(bucket, "old", now - 8 * DAY_S)
    await put(bucket, "new", now - 6 * DAY_S)
    await put(bucket, "strange", 0)
    await bucket.put("strange", RECORD, io.BytesIO(b"no record"), digest="")
    await retention(ctx(desk))
    assert sorted({name.partition("/")[0] for name in await s3.files()}) == ["new", "strange"]
    read = s3.count("GET", f"/{RECORD}")
    await retention(ctx(desk))
    assert s3.count("GET", f"/{RECORD}") == read  # nothing has changed


async def test_while_the_bucket_is_away_old_calls_are_erased_in_the_folder(
    desk: Desk, s3: S3Server, tmp_path: Path
) -> None:
    bucket, desk = keeping_a_week(desk)
    old = time.time() - 8 * DAY_S
    part = write_part(tmp_path / "old", old, steady(8, 1, 2))
    for file in (part, part.with_suffix(".json")):
        os.utime(file, (old, old))
    await put(bucket, "stored", old)
    s3.stop()
    await retention(ctx(desk))
    assert not part.parent.exists()
    s3.start()
    assert len(await s3.files()) == 2
    await retention(ctx(desk))
    assert await s3.files() == {}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"CALLS_BUCKET": "https://calls"}, "setting CALLS_BUCKET='https://calls' is wrong: expected s3://bucket"),
        ({"CALLS_BUCKET_ENDPOINT": "minio:9000"}, "setting CALLS_BUCKET_ENDPOINT"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "belong together"),
    ],
)
async def test_a_wrong_setting_is_said(
    s3: S3Server, tmp_path: Path, wrong: dict[str, str], said: str, redis_url: str
) -> None:
    async with ai_jobs(redis_url, tmp_path, tmp_path, **{**s3.settings, **wrong}) as jobs:
        assert await jobs.exit_code() == 2
        assert said in jobs.log
        assert "a-secret-key" not in jobs.log
