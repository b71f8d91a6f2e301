"""A caller who decides for himself what to do next, and a media server that tries for long to come back."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ringover_sim import CallScript, place_call
from ringover_sim.runner import CallOver, ScriptRunner
from ringover_sim.script import Media, Pause, Say, WaitForBot
from support.sim_bot import Bot, beep, running


class Hum:
    """A voice: every line is half a second of a tone."""

    def speak(self, text: str, rate: int) -> bytes:
        return beep(0.5, rate, 800.0)


async def test_a_behaviour_goes_on_until_it_wants_to_hang_up_and_waits_for_a_whole_answer() -> None:
    waited: list[int] = []

    async def behave(runner: ScriptRunner) -> None:
        await runner.perform(WaitForBot(timeout=5, silence=0.2), Path())
        for _ in range(2):
            await runner.perform(Say(text="a question"), Path())
            ended = runner.line.now
            await runner.perform(WaitForBot(timeout=5, silence=0.1, at_least=0.7), Path())
            waited.append(runner.line.ear.heard_since(ended))

    script = CallScript(ring=0.0, longest=20.0, steps=[Say(text="a question")])
    async with running(Bot(answer=0.8)) as url:
        report = await place_call(script, gateway_url=None, streamer_url=url, voice=Hum(), behaviour=behave)
    assert report.failures == []
    assert report.ended_by == "caller"
    assert len(report.turns) == 2
    assert min(waited) >= 0.7 * 8000


async def test_a_lost_connection_is_tried_again_for_as_long_as_the_media_server_wants_to() -> None:
    async with AsyncExitStack() as bot:
        url = await bot.enter_async_context(running(Bot()))

        async def behave(runner: ScriptRunner) -> None:
            await runner.perform(WaitForBot(timeout=5, silence=0.2), Path())
            await bot.aclose()
            with pytest.raises(CallOver):
                await runner.perform(Pause(seconds=10), Path())

        media = Media(on_server_close="reconnect", reconnect_for=0.8)
        script = CallScript(ring=0.0, longest=20.0, media=media, steps=[Say(text="a question")])
        report = await place_call(script, gateway_url=None, streamer_url=url, voice=Hum(), behaviour=behave)
    assert report.ended_by == "error"
    lost = report.connections[0].closed_ms
    assert lost is not None
    tries = [entry.at_ms for entry in report.timeline if "no reconnection yet" in entry.what]
    assert len(tries) >= 2
    assert max(tries) < lost + 800 <= report.duration_ms
