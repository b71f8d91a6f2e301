"""The job that has a call summarised: a model that fails for good, and a call that came back after its summary."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from arq import Retry

from ai_worker.jobs.desk import Desk
from ai_worker.jobs.queue import QUEUE, JobQueue
from ai_worker.jobs.settings import JobsSettings
from ai_worker.jobs.summarise import MAX_TRIES, scribe_of, summarise
from ai_worker.jobs.write_record import write_record
from callbus import keys, transcript
from callbus.broker import Broker
from support.fake_providers.openai_api import FakeOpenAI, tokens
from support.fake_providers.script import Drop, Fault, Refuse
from support.jobs_calls import finished_call, write_transcript


class Model:
    """A fake OpenAI, and a desk that has records summarised by it. It says `says`."""

    def __init__(self, openai: FakeOpenAI, desk: Desk) -> None:
        self.openai = openai
        self.desk = desk
        self.says = ""

    def notes(self, summary: str) -> None:
        self.says = json.dumps({"summary": summary, "labels": ["answered"], "wish": "hours"})

    async def summarise(self, job_try: int = 1) -> None:
        await summarise({"desk": self.desk, "job_try": job_try}, "c1")

    async def record(self) -> dict[str, Any]:
        """The record, written anew."""
        await write_record({"desk": self.desk, "job_try": 1}, "c1")
        made: dict[str, Any] = json.loads((self.desk.calls_dir / "c1" / "call.json").read_text(encoding="utf-8"))
        return made

    async def asked_for(self) -> list[str]:
        """The jobs in the queue for a summary, and for a record because of one."""
        jobs = [job.decode() for job in await self.desk.broker.execute("ZRANGE", QUEUE, 0, -1)]
        return [job for job in jobs if "summary" in job]


@pytest.fixture
async def model(broker: Broker, redis_url: str, tmp_path: Path) -> AsyncIterator[Model]:
    queue = JobQueue(redis_url)
    async with FakeOpenAI(answer=lambda _messages: made.says) as openai:
        access = {"openai_api_key": openai.api_key, "openai_base_url": openai.base_url}
        scribe = scribe_of(JobsSettings.model_validate(access | {"llm_providers": "openai"}))
        assert scribe is not None
        made = Model(openai, Desk(broker, tmp_path / "calls", 20, queue, scribe=scribe))
        yield made
        await scribe.aclose()
    await queue.aclose()
    await broker.execute("DEL", QUEUE)


def test_without_a_model_of_its_own_nothing_is_summarised() -> None:
    assert scribe_of(JobsSettings.model_validate({"llm_providers": "local"})) is None


async def test_a_model_that_refuses_for_good_is_not_asked_again(broker: Broker, model: Model) -> None:
    await finished_call(broker, "c1")
    await model.record()
    [asked] = await model.asked_for()
    model.openai.fail_next(Refuse(401, "Incorrect API key provided.", code="invalid_api_key"))
    await model.summarise()
    assert await broker.execute("EXISTS", keys.summary("c1")) == 0
    assert await model.asked_for() == [asked], "the record is not written again for a summary that there is not"
    made = await model.record()
    assert (made["summary"], made["labels"]) == (None, [])


@pytest.mark.parametrize("fault", [Refuse(500), Drop(), None], ids=["500", "dropped", "chatter"])
async def test_a_model_that_keeps_failing_is_given_up(broker: Broker, model: Model, fault: Fault | None) -> None:
    await finished_call(broker, "c1")
    await model.record()
    model.says = "I'd rather chat."
    pauses = []
    for job_try in range(1, MAX_TRIES):
        if fault:
            model.openai.fail_next(fault)
        with pytest.raises(Retry) as put_off:
            await model.summarise(job_try)
        pauses.append(put_off.value.defer_score)
    assert pauses == [2000, 4000, 8000, 16000]
    if fault:
        model.openai.fail_next(fault)
    await model.summarise(MAX_TRIES)
    assert await broker.execute("EXISTS", keys.summary("c1")) == 0
    assert (await model.record())["summary"] is None


async def test_what_a_summary_used_is_in_the_record_though_nothing_came_of_it(broker: Broker, model: Model) -> None:
    await finished_call(broker, "c1")
    assert (await model.record())["costs"]["usage"] == []
    [asked] = await model.asked_for()
    await broker.pipeline([("ZREM", QUEUE, asked), ("DEL", f"arq:job:{asked}")])
    model.says = "I'd rather chat."
    for job_try in range(1, MAX_TRIES):
        with pytest.raises(Retry):
            await model.summarise(job_try)
    await model.summarise(MAX_TRIES)
    [again] = await model.asked_for()
    job = json.loads(await broker.execute("GET", f"arq:job:{again}"))
    await write_record({"desk": model.desk, "job_try": 1}, *job["a"])
    made = json.loads((model.desk.calls_dir / "c1" / "call.json").read_text(encoding="utf-8"))
    used = {line["unit"]: line["amount"] for line in made["costs"]["usage"] if line["seam"] == "summary"}
    assert used["output_tokens"] == MAX_TRIES * len(tokens(model.says))
    assert await model.asked_for() == [again], "a summary that is asked for again would go on for ever"


async def test_a_server_that_asks_for_time_gets_it(broker: Broker, model: Model) -> None:
    await finished_call(broker, "c1")
    await model.record()
    model.openai.fail_next(Refuse(429, retry_after="70"))
    with pytest.raises(Retry) as put_off:
        await model.summarise()
    assert put_off.value.defer_score == pytest.approx(70_000, abs=1000)


async def test_a_call_that_came_back_is_summarised_again(broker: Broker, model: Model) -> None:
    await finished_call(broker, "c1")
    await model.record()
    [first] = await model.asked_for()
    model.notes("Asked for the hours.")
    await model.summarise()
    assert (await model.record())["summary"] == "Asked for the hours."
    # Done again (an outage, a second request): the model is not asked.
    asked = len(model.openai.requests)
    await model.summarise()
    assert len(model.openai.requests) == asked

    more: list[transcript.Entry] = [
        transcript.Claimed(120.0, "w2", 2, "library"),
        transcript.CallerSaid(126.0, 124.0, 1, "And on Sundays?", "9-0"),
        transcript.Finished(130.0, "caller_left", "the caller hung up"),
    ]
    await write_transcript(broker, "c1", more)
    made = await model.record()
    assert made["summary"] is None, "what was written of another conversation is not this one's"
    [second] = set(await model.asked_for()) - {first, f"record:c1#summary-{first.partition('#')[2]}"}
    assert second.startswith("summary:c1#")
    model.notes("Asked for the hours, then for Sundays.")
    await model.summarise()
    made = await model.record()
    assert (made["summary"], made["labels"]) == ("Asked for the hours, then for Sundays.", ["answered"])
    assert "And on Sundays?" in json.dumps(model.openai.requests[-1].json["messages"])
