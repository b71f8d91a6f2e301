"""A call that is recorded, and the desk of the jobs that bring its files to a bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ai_worker.jobs.desk import Desk
from ai_worker.jobs.queue import QUEUE, JobQueue
from ai_worker.jobs.write_record import write_record
from callbus.broker import Broker
from support.jobs_calls import finished_call
from support.jobs_parts import steady, write_part
from support.s3 import S3Server

T0 = 1_732_266_000.0


@pytest.fixture
async def desk(broker: Broker, redis_url: str, s3: S3Server, tmp_path: Path) -> AsyncIterator[Desk]:
    queue = JobQueue(redis_url)
    yield Desk(broker, tmp_path, 20, queue, bucket=s3.bucket())
    await queue.aclose()
    await broker.execute("DEL", QUEUE)


def ctx(desk: Desk, job_try: int = 1) -> dict[str, Any]:
    return {"desk": desk, "job_try": job_try}


async def recorded(desk: Desk, *, frames: int = 800, started_at: float = T0, session: str = "m1") -> Path:
    """The folder of the call c1, which has a recording and a record."""
    folder = desk.calls_dir / "c1"
    await finished_call(desk.broker, "c1")
    write_part(folder, started_at, steady(frames, 1, 2), session=session)
    await write_record(ctx(desk), "c1")
    return folder
