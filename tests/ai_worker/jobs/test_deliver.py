"""Delivery to the customer's webhook, over real sockets: what is posted, tried again, given up, and replayed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from arq import Retry

from ai_worker.jobs import deliveries
from ai_worker.jobs.deliver import deliver, digest
from ai_worker.jobs.desk import Desk
from ai_worker.jobs.queue import QUEUE, JobQueue
from ai_worker.jobs.webhook import Webhook, retry_after
from ai_worker.jobs.write_record import write_record
from callbus import keys
from callbus.broker import Broker
from support.jobs_calls import finished_call
from support.jobs_receiver import HANG, RESET, SECRET, UNAVAILABLE, Receiver, is_signed, receiver, status
from support.tools_api import tool_api
from support.waiting import until

WEBHOOK = Webhook("", SECRET.encode(), timeout_s=5, first_retry_s=0.01)


@dataclass
class Office:
    """A record on disk, and what delivers it."""

    desk: Desk
    receiver: Receiver
    file: Path

    async def deliver(self, again: str = "") -> None:
        """One run of the job, for the record as it is."""
        await deliver({"desk": self.desk}, "c1", digest(self.file.read_bytes()), again)

    def webhook(self, **changes: float | str) -> None:
        assert self.desk.webhook is not None
        self.desk = replace(self.desk, webhook=replace(self.desk.webhook, **changes))  # type: ignore[arg-type]

    async def until_done(self) -> list[float]:
        """Run the job as arq would, at once; the pauses (s) that it asked for."""
        pauses: list[float] = []
        while True:
            try:
                await self.deliver()
                return pauses
            except Retry as retry:
                pauses.append((retry.defer_score or 0) / 1000)

    @property
    async def dead(self) -> list[deliveries.DeadLetter]:
        return await deliveries.dead(self.desk.broker)


@pytest.fixture
async def queue(broker: Broker, redis_url: str) -> AsyncIterator[JobQueue]:
    queue = JobQueue(redis_url)
    yield queue
    await queue.aclose()
    await broker.execute("DEL", QUEUE)


@pytest.fixture
async def office(broker: Broker, tmp_path: Path) -> AsyncIterator[Office]:
    file = tmp_path / "c1" / "call.json"
    file.parent.mkdir()
    file.write_text('{"call_id": "c1"}\n')
    async with receiver() as hook, httpx.AsyncClient() as http:
        webhook = replace(WEBHOOK, url=hook.url)
        yield Office(Desk(broker, tmp_path, 30, webhook=webhook, http=http), hook, file)


async def test_the_record_is_posted_as_it_is_and_signed(office: Office) -> None:
    await office.deliver()
    [asked] = office.receiver.api.asked
    assert (asked.method, asked.target) == ("POST", "/calls")
    assert asked.body == office.file.read_bytes()
    assert is_signed(asked)
    assert not is_signed(asked, "another secret")
    assert abs(int(asked.headers["x-timestamp"]) - time.time()) < 5
    assert asked.headers["content-type"] == "application/json"


async def test_what_was_delivered_is_not_posted_again(office: Office) -> None:
    await office.deliver()
    await office.deliver()
    assert len(office.receiver.api.asked) == 1


@pytest.mark.parametrize("trouble", [UNAVAILABLE, RESET, status("429 Too Many Requests"), status("408 Late")])
async def test_trouble_is_tried_again_with_the_same_key(office: Office, trouble: bytes) -> None:
    office.receiver.script += [trouble, trouble]
    pauses = await office.until_done()
    assert len(pauses) == 2
    assert len(office.receiver.api.asked) == 3
    assert len(set(office.receiver.keys)) == 1
    assert len(set(office.receiver.bodies)) == 1
    assert await office.dead == []


async def test_a_receiver_that_hangs_is_left_and_tried_again(office: Office) -> None:
    office.webhook(timeout_s=0.1)
    office.receiver.script.append(HANG)
    assert len(await office.until_done()) == 1
    known = await deliveries.known(office.desk.broker, "c1")
    assert known is not None
    assert (known.state, known.tries) == ("delivered", 2)


async def test_retry_after_is_honoured(office: Office) -> None:
    office.receiver.script.append(status("503 Busy", more="Retry-After: 1800\r\n"))
    with pytest.raises(Retry) as retry:
        await office.deliver()
    assert retry.value.defer_score == 1_800_000


async def test_being_asked_to_wait_beyond_the_end_is_the_end(office: Office) -> None:
    office.receiver.script.append(status("503 Busy", more="Retry-After: 90000\r\n"))
    await office.deliver()
    assert [letter.delivery.status for letter in await office.dead] == ["503"]


@pytest.mark.parametrize("line", ["410 Gone", "400 Bad Request", "401 Unauthorized", "404 Not Found"])
async def test_a_refusal_is_final_and_says_why(office: Office, line: str) -> None:
    office.receiver.script.append(status(line, body=b"no such\r\ncustomer"))
    await office.deliver()
    await office.deliver()
    assert len(office.receiver.api.asked) == 1
    [letter] = await office.dead
    assert (letter.call_id, letter.delivery.status, letter.delivery.tries) == ("c1", line[:3], 1)
    assert letter.delivery.reason == f"refused with status {line[:3]}: no such customer"


async def test_redirects_are_not_followed(office: Office) -> None:
    async with tool_api() as elsewhere:
        office.receiver.script.append(status("307 Elsewhere", more=f"Location: {elsewhere.url}/\r\n"))
        with pytest.raises(Retry):
            await office.deliver()
        assert elsewhere.asked == []


async def test_after_the_window_it_is_a_dead_letter_that_outlives_a_month(office: Office) -> None:
    office.webhook(window_s=0.05)
    office.receiver.script += [UNAVAILABLE] * 1000
    begun = time.monotonic()
    while not await office.dead:
        try:
            await office.deliver()
        except Retry as retry:
            await asyncio.sleep((retry.defer_score or 0) / 1000)
    assert time.monotonic() - begun >= 0.05
    for key in (keys.DEAD_LETTERS, keys.outgoing("c1")):
        assert await office.desk.broker.execute("TTL", key) > 30 * 24 * 3600
    [letter] = await office.dead
    assert letter.delivery.tries == len(office.receiver.api.asked) >= 2


def test_pauses_double_up_to_an_hour_and_vary() -> None:
    webhook = replace(WEBHOOK, first_retry_s=5)
    for tries, longest in ((1, 5), (2, 10), (5, 80), (20, 3600), (10_000, 3600)):
        pauses = {webhook.pause_s(tries) for _ in range(200)}
        assert longest / 2 <= min(pauses) < max(pauses) <= longest
        assert len(pauses) > 100


def test_retry_after_in_all_its_forms() -> None:
    assert retry_after("120") == 120
    assert 3400 < retry_after(time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3500))) <= 3500
    for nothing in ("", "soon", "-5", "nan", "inf", "Sun, 06 Nov 1994 08:49:37 GMT"):
        assert retry_after(nothing) == 0


async def test_a_dead_letter_is_replayed_with_the_same_key(office: Office, queue: JobQueue) -> None:
    office.receiver.script.append(status("410 Gone"))
    await office.deliver()
    assert await deliveries.replay_all(office.desk.broker, queue) == ["c1"]
    assert not await deliveries.replay(queue, "c1"), "asked twice, queued once"
    job = json.loads(await office.desk.broker.execute("GET", "arq:job:deliver:c1#again"))
    await deliver({"desk": office.desk}, *job["a"])
    assert await office.dead == []
    assert len(office.receiver.keys) == 2
    assert len(set(office.receiver.keys)) == 1


async def test_a_replay_that_fails_goes_on_with_new_tries(office: Office) -> None:
    office.receiver.script += [status("410 Gone"), UNAVAILABLE]
    await office.deliver()
    with pytest.raises(Retry):
        await office.deliver("r1")
    await office.deliver("r1")
    await office.deliver("r1")
    assert len(office.receiver.api.asked) == 3


async def test_a_replay_that_fails_stays_listed_and_can_be_brought_forward(office: Office, queue: JobQueue) -> None:
    broker, job_id = office.desk.broker, "deliver:c1#again"
    office.receiver.script += [status("410 Gone"), status("503 Busy", more="Retry-After: 1800\r\n")]
    await office.deliver()
    assert await deliveries.replay_all(broker, queue) == ["c1"]
    job = json.loads(await broker.execute("GET", f"arq:job:{job_id}"))
    with pytest.raises(Retry) as retry:
        await deliver({"desk": office.desk}, *job["a"])
    [letter] = await office.dead
    assert await deliveries.count(broker) == 1
    assert not letter.is_dead
    assert abs(letter.delivery.next_at - time.time() - 1800) < 10
    # As arq puts a job off.
    await broker.execute("ZINCRBY", QUEUE, retry.value.defer_score, job_id)
    assert await deliveries.replay_all(broker, queue) == ["c1"]
    assert await broker.execute("ZSCORE", QUEUE, job_id) <= time.time() * 1000 + 1  # whole milliseconds
    assert await broker.execute("ZCARD", QUEUE) == 1
    await deliver({"desk": office.desk}, *job["a"])
    assert (await office.dead, await deliveries.count(broker)) == ([], 0)
    assert len(set(office.receiver.keys)) == 1


async def test_a_delivery_that_runs_just_now_is_not_brought_forward(office: Office, queue: JobQueue) -> None:
    broker, job_id = office.desk.broker, "deliver:c1#again"
    assert await deliveries.replay(queue, "c1")
    await broker.execute("ZINCRBY", QUEUE, 60_000, job_id)
    planned = await broker.execute("ZSCORE", QUEUE, job_id)
    await broker.execute("SET", f"arq:in-progress:{job_id}", "1", "EX", 60)
    assert not await deliveries.replay(queue, "c1")
    assert await broker.execute("ZSCORE", QUEUE, job_id) == planned


async def test_a_letter_that_is_forgotten_is_neither_listed_nor_counted(office: Office) -> None:
    office.receiver.script.append(status("410 Gone"))
    await office.deliver()
    too_old = time.time() - keys.DEAD_LETTER_TTL_S - 1
    await office.desk.broker.execute("ZADD", keys.DEAD_LETTERS, too_old, "c1")
    assert (await office.dead, await deliveries.count(office.desk.broker)) == ([], 0)


async def test_a_changed_record_is_another_content_and_the_old_one_is_not_sent_any_more(office: Office) -> None:
    old = digest(office.file.read_bytes())
    await office.deliver()
    office.file.write_text('{"call_id": "c1", "summary": "x"}\n')
    await deliver({"desk": office.desk}, "c1", old)
    assert len(office.receiver.api.asked) == 1
    await office.deliver()
    assert len(set(office.receiver.keys)) == 2


async def test_two_posts_of_one_call_never_overlap(office: Office) -> None:
    office.receiver.script.append(HANG)
    first = asyncio.create_task(office.deliver())
    await until(lambda: office.receiver.api.asked)
    with pytest.raises(Retry):
        await office.deliver()
    office.receiver.go_on.set()
    await first
    assert len(office.receiver.api.asked) == 1


async def test_a_record_that_is_gone_is_no_dead_letter(office: Office) -> None:
    office.receiver.script.append(status("410 Gone"))
    await office.deliver()
    office.file.unlink()
    await deliver({"desk": office.desk}, "c1", "", "r1")
    assert await office.desk.broker.execute("EXISTS", keys.outgoing("c1"), keys.DEAD_LETTERS) == 0


async def test_writing_a_record_asks_for_its_delivery(office: Office, queue: JobQueue) -> None:
    await finished_call(office.desk.broker, "c1")
    desk = replace(office.desk, queue=queue)
    await write_record({"desk": desk, "job_try": 1}, "c1")
    [job_id] = await office.desk.broker.execute("ZRANGE", QUEUE, 0, -1)
    job = json.loads(await office.desk.broker.execute("GET", b"arq:job:" + job_id))
    assert job["a"] == ["c1", digest(office.file.read_bytes())]
    await deliver({"desk": desk}, *job["a"])
    assert office.receiver.bodies == [office.file.read_bytes()]


def test_no_secret_is_shown() -> None:
    assert SECRET not in repr(WEBHOOK)
    assert "crm" not in repr(replace(WEBHOOK, url="https://crm.example.com/?token=1"))


def test_what_is_shown_of_the_webhooks_url_is_no_secret() -> None:
    webhook = Webhook("https://me:secret@crm.example:8443/calls/in?key=secret#secret", b"")
    assert webhook.shown_url == "https://crm.example:8443/calls/in"


async def test_a_delivery_says_where_it_was_to_go(office: Office) -> None:
    office.webhook(url=f"{office.receiver.url}?key=secret")
    await office.deliver()
    known = await deliveries.known(office.desk.broker, "c1")
    assert known is not None
    assert known.url == office.receiver.url
