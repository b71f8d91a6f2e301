"""The job itself, on a real Redis and a real folder: when it waits, what it writes, what it leaves alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from arq import Retry

from ai_worker.jobs.desk import Desk
from ai_worker.jobs.write_record import MAX_TRIES, MEDIA_TRIES, delay_s, write_record
from callbus import calls, keys
from callbus.broker import Broker
from callbus.errors import BadCallId, BusUnavailable
from support.jobs_calls import finished_call
from support.jobs_parts import read_wav, steady, write_part

T0 = 1_732_266_000.0


class Job:
    def __init__(self, broker: Broker, calls_dir: Path) -> None:
        self._broker = broker
        self.folder = calls_dir / "c1"

    async def run(self, *, job_try: int = 1, call_id: str = "c1", timeout_s: float = 30) -> None:
        await write_record({"desk": Desk(self._broker, self.folder.parent, timeout_s), "job_try": job_try}, call_id)

    @property
    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.folder / "call.json").read_text(encoding="utf-8"))
        return record

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def job(broker: Broker, tmp_path: Path) -> Job:
    return Job(broker, tmp_path / "calls")


async def test_record_and_recording_are_written_and_the_parts_removed(broker: Broker, job: Job) -> None:
    await finished_call(broker, "c1")
    part = write_part(job.folder, T0, steady(100, 1, 2))
    await job.run()
    assert job.files == ["call.json", "call.wav"]
    assert len(read_wav(job.folder / "call.wav")[1]) == 100
    assert job.record["recording"]["parts"] == [part.name]
    assert job.record["turns"][1]["caller"]["text"] == "Café hours?"
    assert job.record["ended_by"] == "caller"


async def test_a_call_that_was_not_recorded_has_a_record_all_the_same(broker: Broker, job: Job) -> None:
    await finished_call(broker, "c1")
    await job.run()
    assert job.files == ["call.json"]
    assert job.record["recording"] is None


async def test_done_again_it_comes_to_the_same(broker: Broker, job: Job) -> None:
    await finished_call(broker, "c1")
    write_part(job.folder, T0, steady(100, 1, 2))
    await job.run()
    first = job.record
    await job.run()
    assert job.record == first
    assert len(read_wav(job.folder / "call.wav")[1]) == 100


async def test_parts_that_a_killed_run_left_are_not_joined_twice(broker: Broker, job: Job) -> None:
    await finished_call(broker, "c1")
    part = write_part(job.folder, T0, steady(100, 1, 2))
    write_part(job.folder, T0 + 1, steady(100, 3, 4), session="m2")
    left = part.read_bytes()
    await job.run()
    first = job.record
    part.write_bytes(left)
    (job.folder / ".call.wav.0a0b0c0d.tmp").write_bytes(b"half")
    await job.run()
    assert job.files == ["call.json", "call.wav"]
    assert job.record == first
    assert (read_wav(job.folder / "call.wav")[1][-100:] == (3, 4)).all()


async def test_the_medias_end_is_waited_for(broker: Broker, job: Job) -> None:
    await finished_call(broker, "c1", media="connected")
    with pytest.raises(Retry):
        await job.run(job_try=MEDIA_TRIES)
    assert not job.folder.exists()


async def test_a_media_that_ended_this_moment_is_given_time_to_close_its_files(broker: Broker, job: Job) -> None:
    await finished_call(broker, "c1")
    await calls.update(broker, "c1", media_ended_at=time.time())
    with pytest.raises(Retry):
        await job.run()


async def test_a_media_that_never_ends_is_recorded_as_far_as_it_went(broker: Broker, job: Job) -> None:
    await finished_call(broker, "c1", media="connected")
    part = write_part(job.folder, T0, steady(100, 1, 2))
    await job.run(job_try=MEDIA_TRIES + 1)
    assert job.record["recording"]["complete"] is False
    assert part.exists()


def test_the_waiting_is_bounded_and_leaves_tries_for_failures() -> None:
    assert sum(delay_s(job_try) for job_try in range(1, MEDIA_TRIES + 1)) == 31
    assert MAX_TRIES - MEDIA_TRIES >= 3


async def test_an_entry_that_cannot_be_read_does_not_cost_the_rest(broker: Broker, job: Job) -> None:
    await finished_call(broker, "c1")
    await broker.append(keys.transcript("c1"), {b"k": b"poem", b"j": b"{}"}, maxlen=100)
    await job.run()
    assert len(job.record["turns"]) == 2
    assert "not a transcript entry: KeyError(b'poem')" in job.record["unreadable"][0]


async def test_a_call_that_redis_forgot_keeps_its_record(broker: Broker, job: Job) -> None:
    await finished_call(broker, "c1")
    await job.run()
    first = job.record
    await broker.execute("DEL", keys.call("c1"), keys.transcript("c1"))
    await job.run()
    assert job.record == first


async def test_a_recording_is_joined_though_redis_forgot_the_call(broker: Broker, job: Job) -> None:
    write_part(job.folder, T0, steady(100, 1, 2))
    await job.run()
    assert job.files == ["call.json", "call.wav"]
    assert job.record["outcome"] is None


async def test_a_call_that_nobody_knows_leaves_no_folder(job: Job) -> None:
    await job.run()
    assert not job.folder.exists()


async def test_an_id_that_is_no_folder_is_refused(job: Job) -> None:
    with pytest.raises(BadCallId):
        await job.run(call_id="../c1")


async def test_a_full_disk_is_tried_again_and_at_last_reported(broker: Broker, job: Job) -> None:
    await finished_call(broker, "c1")
    job.folder.parent.mkdir()
    job.folder.write_text("in the way")
    with pytest.raises(Retry):
        await job.run(job_try=MAX_TRIES - 1)
    with pytest.raises(FileExistsError):
        await job.run(job_try=MAX_TRIES)


async def test_what_takes_too_long_is_tried_again(broker: Broker, job: Job) -> None:
    await finished_call(broker, "c1")
    with pytest.raises(Retry):
        await job.run(timeout_s=0)
    assert not (job.folder / "call.json").exists()


async def test_redis_away_is_tried_again_and_at_last_reported(tmp_path: Path, unused_tcp_port: int) -> None:
    away = Broker(f"redis://127.0.0.1:{unused_tcp_port}/0")
    job = Job(away, tmp_path)
    with pytest.raises(Retry):
        await job.run()
    with pytest.raises(BusUnavailable):
        await job.run(job_try=MAX_TRIES)
    await away.aclose()
