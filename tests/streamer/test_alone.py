"""What the streamer does without Redis, and when its own end is asked for."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from callbus import commands, keys, media, registry, sessions
from callbus.broker import Broker
from callbus.media import MediaEnded, MediaStarted
from devstack.embedded_redis import embedded_redis
from support.streamer_calls import audio, received
from support.streamer_process import COMMAND, FRAME, Streamer, Worker, streamer
from support.waiting import until

FALLBACK = {
    "FALLBACK_AFTER_S": "0.3",
    "FALLBACK_LOST_AFTER_S": "2",
    "FALLBACK_PLAY_URL": "https://test.com/wait.mp3",
    "FALLBACK_TRANSFER_NUMBER": "33184800000",
    "FALLBACK_TRANSFER_DELAY_S": "0.5",
}
PLAY = {"event": "play", "file": "https://test.com/wait.mp3"}
TRANSFER = {"event": "transfer", "data": 33184800000}


@contextmanager
def restartable_redis(directory: Path) -> Iterator[tuple[str, Any]]:
    """A Redis that can be stopped and started on the same port: the URL, and a function that starts one."""
    with closing(socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield f"redis://127.0.0.1:{port}/0", lambda: embedded_redis(directory, port=port, durable=True)


async def test_redis_may_restart_in_the_middle_of_a_call(tmp_path: Path) -> None:
    with restartable_redis(tmp_path / "redis") as (url, redis), streamer_with(tmp_path, url, redis) as (process, first):
        broker = Broker(url)
        async with connect(process.url("/ws/restart-1")) as client:
            await client.send(FRAME * 5)
            worker = await Worker.claim(broker, "restart-1")
            await until(lambda: _audio_ms(worker, 100))
            first.__exit__(None, None, None)
            # 3 s of audio while Redis is away: the last two are kept.
            for _ in range(30):
                await client.send(FRAME * 5)
                await asyncio.sleep(0.01)
            await until(lambda: _ready_is(process, 503))
            with redis():
                await until(lambda: _ready_is(process, 200))
                await client.send(FRAME * 5)
                await until(lambda: _audio_ms(worker, 100 + 2000 + 100))
                frames = [event for event in await worker.events() if isinstance(event, media.Audio)]
                assert frames[-1].position_ms + len(frames[-1].pcm) // 16 == 3200
                positions = [event.position_ms for event in frames]
                assert positions == sorted(positions)
                assert await process.metric("audio_frames_dropped_total") >= 40
                await worker.speak("s1", audio(300))
                assert (await received(client))["type"] == "streamAudio"
                await client.close()
                await worker.until_told(MediaEnded)
                await stop(process)
                await broker.aclose()


async def test_redis_may_lose_everything_in_the_middle_of_a_call(own_redis: str, tmp_path: Path) -> None:
    with embedded_redis(tmp_path / "redis") as url, streamer(tmp_path, url) as process:
        broker = Broker(url)
        async with connect(process.url("/ws/lost-1")) as client:
            worker = await Worker.claim(broker, "lost-1")
            # Epochs are of Redis' time: that one's clock was an hour fast.
            await worker.speak("s1", audio(250), epoch=worker.epoch + 3_600_000_000)
            await received(client)
            # The caller barged in, and an action was carried out.
            await worker.send(commands.Break("lost-1", worker.epoch + 3_600_000_000))
            assert await received(client) == {"event": "break"}
            await worker.send(commands.Digits("lost-1", worker.epoch + 3_600_000_000, "a1", "5"))
            assert await received(client) == {"event": "digits", "data": 5}
            await broker.execute("FLUSHALL")
            await client.send(FRAME)
            again = await Worker.claim(broker, "lost-1")
            assert again.epoch > worker.epoch
            await until(lambda: broker.execute("EXISTS", keys.commands(process.id)))
            # Another conversation, of which nothing was cut or done, whatever it calls what it says and does.
            await again.speak("s1", audio(250))
            assert (await received(client))["type"] == "streamAudio"
            await again.send(commands.Digits("lost-1", again.epoch, "a1", "7"))
            assert await received(client) == {"event": "digits", "data": 7}
        await again.until_told(MediaEnded)
        await broker.aclose()


async def test_calls_are_taken_and_saved_without_redis(tmp_path: Path) -> None:
    with restartable_redis(tmp_path / "redis") as (url, redis), streamer(tmp_path, url, **FALLBACK) as process:
        assert (await process.get("/ready"))[0] == 503
        assert (await process.get("/health"))[0] == 200
        async with connect(process.url("/ws/alone-1")) as client:
            assert await received(client) == PLAY
            assert await received(client) == TRANSFER
            with redis():
                broker = Broker(url)
                worker = await Worker.claim(broker, "alone-1")
                await worker.speak("s1", audio(300))
                assert (await received(client))["type"] == "streamAudio"
                await client.close()
                await worker.until_told(MediaEnded)
                await broker.aclose()
                await stop(process)


async def test_who_goes_while_redis_is_away_is_told_over_or_never_handed_out(tmp_path: Path) -> None:
    with restartable_redis(tmp_path / "redis") as (url, redis), streamer_with(tmp_path, url, redis) as (process, first):
        broker = Broker(url)
        idle = await process.metric("tasks")
        async with connect(process.url("/ws/live-1")), connect(process.url("/ws/moved-1")) as moved:
            live, held = await Worker.claim(broker, "live-1"), await Worker.claim(broker, "moved-1")
            first.__exit__(None, None, None)
            await until(lambda: _ready_is(process, 503))
            # One of them comes back before the old connection is known to be lost, and goes.
            async with connect(process.url("/ws/moved-1")):
                await asyncio.wait_for(moved.wait_closed(), 5)
        async with connect(process.url("/ws/came-1")) as came:
            await came.send(FRAME)
        with redis():
            await live.until_told(MediaEnded)
            await held.until_told(MediaEnded)
            await until(lambda: _tasks_are(process, idle))
            assert await broker.hash(keys.call("came-1")) == {}
            waiting = {fields[b"call_id"] for _, fields in await broker.range(keys.WAITING)}
            assert waiting == {b"live-1", b"moved-1"}
            assert await process.metric("endings_untold_total") == 0
            await broker.aclose()
            await stop(process)


async def test_sigterm_lets_the_running_call_finish(own_redis: str, bus: Broker, tmp_path: Path) -> None:
    with streamer(tmp_path, own_redis) as process:
        async with connect(process.url("/ws/drain-1")) as client:
            worker = await Worker.claim(bus, "drain-1")
            process.process.send_signal(signal.SIGTERM)
            await until(lambda: _ready_is(process, 503))
            with pytest.raises(InvalidStatus) as refused:
                await connect(process.url("/ws/drain-2"))
            assert refused.value.response.status_code == 503
            await worker.speak("s1", audio(300))
            assert (await received(client))["type"] == "streamAudio"
            assert process.process.poll() is None
            beat = await until(lambda: _draining_beat(bus, process.id))
            assert (beat["sessions"], beat["ready"]) == (1, False)
        await worker.until_told(MediaEnded)
        assert await asyncio.to_thread(process.process.wait, 10) == 0
        assert process.id not in {beat["id"] for beat in await registry.running(bus)}
    await worker.finish()


async def test_what_runs_longer_than_the_drain_is_sent_away_and_told_over(
    own_redis: str, bus: Broker, tmp_path: Path
) -> None:
    with streamer(tmp_path, own_redis, STREAMER_DRAIN_TIMEOUT="0.2") as process:
        async with connect(process.url("/ws/away-1")) as lost, connect(process.url("/ws/away-2")) as moved:
            worker = await Worker.claim(bus, "away-1")
            await Worker(bus, "away-2").until_told(MediaStarted)
            process.process.send_signal(signal.SIGTERM)
            for client in (lost, moved):
                await asyncio.wait_for(client.wait_closed(), 5)
                assert client.close_code == 1001
            # One comes back elsewhere, the other one nowhere.
            await sessions.attach(bus, "away-2", streamer="elsewhere", session="s-2", sample_rate=8000)
        assert await asyncio.to_thread(process.process.wait, 15) == 0
        assert (await worker.until_told(MediaEnded)).reason == "lost"
        assert not [event for event in await Worker(bus, "away-2").told() if isinstance(event, MediaEnded)]
    await worker.finish()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"STREAMER_SAMPLE_RATE": "44100"}, "STREAMER_SAMPLE_RATE"),
        ({"STREAMER_PORT": "http"}, "STREAMER_PORT"),
        ({"FALLBACK_PLAY_URL": "wait.mp3"}, "FALLBACK_PLAY_URL"),
        ({"FALLBACK_TRANSFER_NUMBER": "the desk"}, "FALLBACK_TRANSFER_NUMBER"),
        ({"STREAMER_HOST": "203.0.113.1", "STREAMER_PORT": "9"}, "STREAMER_HOST"),
    ],
)
async def test_a_wrong_setting_ends_it_with_one_line(
    own_redis: str, tmp_path: Path, settings: dict[str, str], expected: str
) -> None:
    environment = {"REDIS_URL": own_redis, "LOG_LEVEL": "error", **settings}
    ended = await asyncio.to_thread(
        subprocess.run, [COMMAND], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=20
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert expected in line


@contextmanager
def streamer_with(tmp_path: Path, url: str, redis: Any) -> Iterator[tuple[Streamer, Any]]:
    """A streamer that was started while its Redis ran; the Redis is to be stopped by the test."""
    first = redis()
    first.__enter__()
    try:
        with streamer(tmp_path, url) as process:
            yield process, first
    except BaseException:
        first.__exit__(None, None, None)
        raise


async def stop(process: Streamer) -> None:
    process.process.terminate()
    assert await asyncio.to_thread(process.process.wait, 15) == 0


async def _tasks_are(process: Streamer, number: float) -> bool:
    return await process.metric("tasks") == number


async def _draining_beat(bus: Broker, streamer_id: str) -> dict[str, Any] | None:
    beats = [beat for beat in await registry.running(bus) if beat["id"] == streamer_id]
    return beats[0] if beats and beats[0]["draining"] else None


async def _audio_ms(worker: Worker, ms: int) -> bool:
    return sum(len(event.pcm) // 16 for event in await worker.events() if isinstance(event, media.Audio)) >= ms


async def _ready_is(process: Streamer, status: int) -> bool:
    return (await process.get("/ready"))[0] == status
