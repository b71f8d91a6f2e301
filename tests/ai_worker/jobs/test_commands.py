"""ai-jobs dead, replay and forget, on a real Redis and real folders."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from ai_worker.jobs import commands, deliveries
from ai_worker.jobs.deliveries import Delivery
from ai_worker.jobs.desk import Desk
from ai_worker.jobs.forget import digits
from ai_worker.jobs.queue import QUEUE
from ai_worker.jobs.settings import JobsSettings
from ai_worker.jobs.write_record import write_record
from callbus import calls, keys
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


async def test_forgetting_erases_the_persons_calls_and_no_others(
    broker: Broker, settings: JobsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = await recorded(broker, settings, "c1")
    await die(broker, "c1")
    await calls.publish(broker, calls.LifecycleEvent("media", "ended", "c1", T0))
    await calls.publish(broker, calls.LifecycleEvent("media", "ended", "c2", T0))
    called = await recorded(
        broker, settings, "c3", direction="outbound", from_number="33184800000", to_number="33612345678"
    )
    other = await recorded(broker, settings, "c2", from_number="33699999999")
    await finished_call(broker, "c4")  # known to Redis alone
    assert await run(settings, "forget", "--number", "+33 6 12 34 56 78") == 0
    assert "3 calls erased" in capsys.readouterr().out
    assert not mine.exists()
    assert not called.exists()
    assert sorted(path.name for path in other.iterdir()) == ["call.json", "call.wav"]
    left = await broker.execute("KEYS", "call:*")
    assert sorted(left) == sorted(key.encode() for key in (keys.call("c2"), keys.transcript("c2")))
    assert await deliveries.dead(broker) == []
    assert [fields[b"call_id"] for _, fields in await broker.range(keys.EVENTS)] == [b"c2"]
    # Our own line is nobody's number.
    assert await run(settings, "forget", "--number", "0033184800000") == 0
    assert "0 calls erased" in capsys.readouterr().out
    assert other.exists()


async def test_a_running_call_is_left_and_said_so(
    broker: Broker, settings: JobsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    await finished_call(broker, "c1", media="connected")
    part = write_part(settings.calls_dir / "c1", T0, steady(8, 1, 2))
    assert await run(settings, "forget", "--number", "33612345678") == 1
    assert "still running, so left: c1" in capsys.readouterr().out
    assert part.exists()
    assert await broker.execute("EXISTS", keys.call("c1")) == 1


def test_numbers_are_their_digits() -> None:
    assert {digits(number) for number in ("+33 6 12-34.56 78", "0033612345678", "33612345678")} == {"33612345678"}
    with pytest.raises(ValueError, match="no phone number"):
        digits("anonymous")


async def test_redis_away_is_said(unused_tcp_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    away = JobsSettings.model_validate({"redis_url": f"redis://127.0.0.1:{unused_tcp_port}/0", "calls_dir": tmp_path})
    assert await run(away, "dead") == 1
    assert "Redis is away" in capsys.readouterr().err
