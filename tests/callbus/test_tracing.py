"""Traces: off they cost nothing, on they say what was done, and a collector that is away disturbs nobody."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callbus import tracing
from callbus.busclock import BusClock
from callbus.otlp import FLUSH_S, Tracer
from devstack.ports import free_port
from support.otlp_collector import Collector
from support.waiting import until

WHAT_IS_LOADED = """
import sys, threading
import ai_worker.call, ai_worker.main, ai_worker.worker, streamer.main, webhook_gateway.main
from callbus import tracing
assert tracing.tracer("test", None) is None
assert tracing.current() is None
heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "google.protobuf", "callbus.otlp")
print([name for name in sys.modules if name.startswith(heavy)])
print([thread.name for thread in threading.enumerate()])
"""


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield collector


def test_nothing_of_it_is_loaded_unless_it_is_on() -> None:
    done = subprocess.run([sys.executable, "-c", WHAT_IS_LOADED], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "['MainThread']"]


async def test_the_sdks_settings_may_stand_in_the_env_file(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("OTEL_RESOURCE_ATTRIBUTES=deployment.environment=lab\nOTEL_SDK_DISABLED=true\n")
    monkeypatch.chdir(tmp_path)
    # Both are set while the test runs, so that they are what they were before when it is over.
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "")
    monkeypatch.delenv("OTEL_RESOURCE_ATTRIBUTES")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "")
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    assert tracing.tracer("test", collector.url) is None
    monkeypatch.setenv("OTEL_SDK_DISABLED", "false")
    tracer = tracing.tracer("test", collector.url)
    assert tracer is not None
    tracer.begin("a", "c1").end()
    await tracer.aclose()
    assert [span.service for span in collector.spans] == ["test"]


async def test_work_below_work_and_what_went_wrong(collector: Collector) -> None:
    tracer = Tracer("test")
    root = tracer.begin("root", "c1")
    with tracing.under(root):
        with tracing.working("fine", {"n": 1}), tracing.working("finer"):
            pass
        with pytest.raises(ValueError, match="0612345678"), tracing.working("wrong"):
            raise ValueError("0612345678 said no")
        with pytest.raises(asyncio.CancelledError), tracing.working("given up"):
            raise asyncio.CancelledError
    with tracing.working("not traced") as none:
        assert none is None
    root.end()
    await tracer.aclose()
    by_name = {span.name: span for span in collector.spans}
    assert set(by_name) == {"root", "fine", "finer", "wrong", "given up"}
    assert len({span.trace for span in collector.spans}) == 1
    assert {span.attributes["call.id"] for span in collector.spans} == {"c1"}
    assert by_name["finer"].parent == by_name["fine"].id
    assert by_name["fine"].parent == by_name["wrong"].parent == by_name["root"].id
    assert by_name["wrong"].attributes == {"call.id": "c1", "error.type": "ValueError"}
    assert [name for name, span in by_name.items() if span.failed] == ["wrong"]
    assert by_name["given up"].attributes["cancelled"] is True


async def test_the_way_through_redis_is_the_senders_and_on_its_clock(collector: Collector) -> None:
    sender, receiver = Tracer("worker"), Tracer("streamer")
    sender.clock, receiver.clock = BusClock(), BusClock()
    now = time.monotonic()
    # Redis' clock is an hour ahead; the receiver takes it to be 40 ms less so: its time is before the sender's.
    sender.clock.observe(now, now, time.time() + 3600)
    receiver.clock.observe(now, now, time.time() + 3600 - 0.04)
    work = sender.begin("work", "c1")
    carried = receiver.carried(work.carry(), "c1")
    assert carried is not None
    with tracing.under(carried), tracing.working("done"):
        pass
    work.end()
    await sender.aclose()
    await receiver.aclose()
    by_name = {span.name: span for span in collector.spans}
    assert by_name["redis.out"].service == by_name["done"].service == "streamer"
    assert by_name["redis.out"].parent == by_name["done"].parent == by_name["work"].id
    assert by_name["work"].start / 1e9 == pytest.approx(time.time() + 3600, abs=5)
    # Never before what it follows from, and never less than nothing.
    assert by_name["work"].start <= by_name["redis.out"].start <= by_name["redis.out"].end
    assert by_name["redis.out"].start <= by_name["done"].start <= by_name["done"].end


@pytest.mark.parametrize("given", [b"", b"nonsense", b"00-0-0-01", b"\xff\xfe", b"00-" + b"f" * 32 + b"-0-0"])
async def test_a_traceparent_that_is_none_costs_the_trace_only(collector: Collector, given: bytes) -> None:
    tracer = Tracer("test")
    assert tracer.carried({b"k": b"break"}, "c1") is None
    span = tracer.carried({b"tp": given, b"ts": b"soon"}, "c1")
    assert span is not None
    with tracing.under(span), tracing.working("done"):
        pass
    await tracer.aclose()
    assert [one.name for one in collector.spans] == ["redis.out", "done"]


@pytest.mark.parametrize("silent", [False, True], ids=["nobody listens", "it never answers"])
async def test_a_collector_that_is_away_holds_nobody_up(
    silent: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "5")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")
    async with Collector(answers=False) as collector:
        url = collector.url if silent else f"http://127.0.0.1:{free_port()}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        tracer = Tracer("test")
        begun = time.monotonic()
        for _ in range(1_000):
            tracer.begin("a", "c1").end()
        assert time.monotonic() - begun < 1.0
        if silent:
            await until(lambda: collector.requests)
        worst, last = 0.0, time.monotonic()
        closing = asyncio.create_task(tracer.aclose())
        while not closing.done():
            await asyncio.sleep(0.005)
            worst, last = max(worst, time.monotonic() - last), time.monotonic()
        await closing
        assert time.monotonic() - begun < FLUSH_S + 1.5
        assert worst < 0.5
    # One line a minute about the exporting, one about the queue; nothing for each span.
    assert len([record for record in caplog.records if record.name.startswith("opentelemetry")]) <= 2
    await until(lambda: not [t for t in threading.enumerate() if t.name == "last spans"])
