"""ai-jobs dead and replay, on a real Redis and real folders."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from ai_worker.jobs import commands, deliveries
from ai_worker.jobs.deliveries import Delivery
from ai_worker.jobs.desk import Desk
from ai_worker.jobs.queue import QUEUE
from ai_worker.jobs.settings import JobsSettings
from ai_worker.jobs.write_record import write_record
from callbus import calls
from callbus.broker import Broker
from support.jobs_calls import finished_call
from support.jobs_parts import steady, write_part

T0 = 1_732_266_000.0


@pytest.fixture
async def settings(broker: Broker, redis_url: str, tmp_path: Path) -> AsyncIterator[JobsSettings]:
    yield JobsSettings.model_validate(
        {
            "redis_url": redis_url,
            "calls_dir": tmp_path,
            "calls_webhook_url": "https://crm.example.com/calls",
            "calls_webhook_secret": SecretStr("s"),
        }
    )
    await broker.execute("DEL", QUEUE)


async def run(settings: JobsSettings, *words: str) -> int:
    return await commands.run(settings, commands.parse(words))


async def recorded(broker: Broker, settings: JobsSettings, call_id: str, **fields: object) -> Path:
    await finished_call(broker, call_id)
    await calls.update(broker, call_id, **fields)
    folder = settings.calls_dir / call_id
    write_part(folder, T0, steady(8, 1, 2))
    await write_record({"desk": Desk(broker, settings.calls_dir, 30), "job_try": 1}, call_id)
    return folder


async def die(broker: Broker, call_id: str) -> None:
    letter = Delivery("d", state="dead", first_at=time.time(), tries=3, status="410", reason="refused with status 410")
    await deliveries.note(broker, call_id, letter)


async def test_dead_letters_are_listed_and_replayed(
    broker: Broker, settings: JobsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    for call_id in ("c1", "c2"):
        await recorded(broker, settings, call_id)
        await die(broker, call_id)
    assert await run(settings, "dead") == 0
    said = capsys.readouterr().out
    assert "c1 " in said
    assert "3 tries  refused with status 410" in said
    assert "2 dead letters" in said
    assert await run(settings, "replay", "c1") == 0
    assert await run(settings, "replay", "--all") == 0
    assert "2 records" in capsys.readouterr().out
    assert await broker.execute("ZCARD", QUEUE) == 2


async def test_a_replay_of_nothing_says_so(settings: JobsSettings, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(settings, "replay", "c9") == 1
    assert "no record of call c9" in capsys.readouterr().err
    assert await run(settings, "replay", "../c9") == 1


async def test_a_dead_letter_that_is_tried_again_is_listed_with_its_next_try(
    broker: Broker, settings: JobsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    await recorded(broker, settings, "c1")
    await die(broker, "c1")
    retrying = Delivery("d", again="r1", first_at=time.time(), next_at=T0, tries=1, status="503", reason="status 503")
    await deliveries.note(broker, "c1", retrying)
    assert await run(settings, "dead") == 0
    said = capsys.readouterr().out
    assert "1 tries  status 503  being tried again, next at 2024-11-22T09:00:00+00:00" in said
    assert "1 dead letters, 1 of them being tried again" in said
    assert await run(settings, "replay", "c1") == 0
    assert await run(settings, "replay", "c1") == 0
    assert "asked already, so it is tried now" in capsys.readouterr().out


async def test_redis_away_is_said(unused_tcp_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    away = JobsSettings.model_validate({"redis_url": f"redis://127.0.0.1:{unused_tcp_port}/0", "calls_dir": tmp_path})
    assert await run(away, "dead") == 1
    assert "Redis is away" in capsys.readouterr().err
