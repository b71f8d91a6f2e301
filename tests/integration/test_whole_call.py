"""A complete conversation through all services as processes, with real speech and real models."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from callbus import transcript
from devstack.stack import LocalStack
from ringover_sim.script import (
    CallScript,
    Expect,
    Expectations,
    HangUp,
    Interrupt,
    Media,
    Say,
    SayWav,
    WaitForBot,
    WaitForEnd,
    Webhooks,
)
from ringover_sim.speech import Voice
from support.whole_calls import (
    ANSWER_WORDS,
    QUESTION,
    bot_sentences,
    caller_turns,
    entries_of,
    heard_text,
    loud,
    place,
    read_stereo,
    record_of,
    running,
)

pytestmark = [pytest.mark.speech, pytest.mark.timeout(150)]

TRANSFER_NUMBER = "33187654321"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with running(tmp_path_factory.mktemp("stack"), env={"STREAMER_TOKEN": "a-token-for-the-tests"}) as stack:
        yield stack


async def test_a_caller_asks_twice_interrupts_and_is_put_through(stack: LocalStack, voice: Voice) -> None:
    script = CallScript(
        name="whole",
        steps=[
            WaitForBot(timeout=20),
            Say(text="Can I borrow a laptop?"),
            WaitForBot(timeout=30),
            Say(text="What are your opening hours on Saturday?"),
            Interrupt(after=1.2, say="Sorry, could I talk to a human please?", timeout=20),
            Expect(command="break", within=4),
            Expect(command="transfer", data=int(TRANSFER_NUMBER), within=30),
            WaitForEnd(timeout=20),
        ],
        expect=Expectations(ended_by="transfer", bot_spoke_at_least=4, close_code=1000),
    )
    report = await place(stack, script, voice)

    # On the wire: silence was asked for while the bot spoke, and the transfer came when nothing was playing any more.
    # Where the recogniser is slow, the bot goes on before it knows the words, and is stopped again.
    stopped, *again = report.commands_named("break")
    assert stopped.bot_audio_playing
    assert len(again) <= 1
    [transfer] = report.commands_named("transfer")
    assert not transfer.bot_audio_playing

    # In the record: both questions and the interruption, the answers as they were heard, the transfer.
    record = await record_of(stack, report.call_id)
    said = [text.lower() for text in caller_turns(record)]
    assert len(said) == 3
    assert "laptop" in said[0]
    assert "opening hours" in said[1]
    assert "human" in said[2]
    assert (record["from_number"], record["to_number"]) == (script.caller, script.called)
    assert (record["agent"], record["outcome"], record["ended_by"]) == ("library", "transferred", "transfer")
    cut = [sentence for sentence in bot_sentences(record) if sentence["interrupted"]]
    assert cut
    assert all(sentence["text"].startswith(sentence["heard_text"]) for sentence in cut)
    [action] = record["turns"][-1]["actions"]
    assert (action["kind"], action["argument"]) == ("transfer", TRANSFER_NUMBER)
    # The transfer was announced, and the announcement heard, before it was asked for.
    announced = record["turns"][-1]["bot"][-1]
    assert not announced["interrupted"]
    assert action["asked_at"] >= announced["ended_at"]
    for turn in record["turns"][1:]:
        stages = list(turn["timing"]["stages"].values())
        assert stages == sorted(stages)
        assert 0 < stages[0] < 30_000
        assert 0 < turn["timing"]["voice_to_voice_ms"] < 60_000

    # In the recording: what the simulator says was sent and heard, on the same timeline.
    rate, caller, bot = read_stereo(stack.calls_dir / report.call_id / "call.wav")
    assert rate == 8000
    assert len(caller) / rate == pytest.approx(report.duration_ms / 1000, abs=1.0)
    first = report.turns[0]
    begin, end = (int(ms * rate / 1000) for ms in (first.started_ms, first.ended_ms))
    assert loud(caller[begin:end]) > 10 * max(1.0, loud(bot[begin:end]))
    heard = report.playbacks[0]
    assert heard.started_ms is not None
    assert heard.ended_ms is not None
    begin, end = (int(ms * rate / 1000) for ms in (heard.started_ms + 200, heard.ended_ms - 200))
    assert loud(bot[begin:end]) > 10 * max(1.0, loud(caller[begin:end]))


VARIANTS = {
    "bare PCM with metadata first": Media(),
    "JSON audio_data": Media(dialect="json"),
    "RTP PCMU": Media(dialect="rtp"),
    "16 kHz": Media(sample_rate=16000),
    "stereo": Media(channels=2),
    "no metadata at all": Media(metadata="none", call_id_in="nowhere"),
    "call id in the path": Media(metadata="none", call_id_in="path"),
}
WEBHOOKS = [
    Webhooks(scheme="v1"),
    Webhooks(scheme="v3"),
    Webhooks(scheme="hmac", form="specification"),
]


@pytest.mark.long
@pytest.mark.parametrize("group", [list(VARIANTS)[:4], list(VARIANTS)[4:]], ids=["first", "second"])
async def test_the_same_call_in_every_dialect(stack: LocalStack, voice: Voice, group: list[str]) -> None:
    async def one(number: int, name: str) -> None:
        script = CallScript(
            name=name.replace(" ", "-"),
            caller=f"3361234567{number}",
            media=VARIANTS[name],
            webhooks=WEBHOOKS[number % len(WEBHOOKS)],
            steps=[WaitForBot(timeout=20), Say(text=QUESTION), WaitForBot(timeout=30), HangUp()],
            expect=Expectations(ended_by="caller", bot_spoke_at_least=2, no_commands=["break", "transfer"]),
        )
        report = await place(stack, script, voice)
        if name == "no metadata at all":
            # Nothing ties the audio to the webhooks' call: the conversation has an id of its own.
            call_id = await media_call(stack)
        else:
            call_id = report.call_id
        record = await record_of(stack, call_id)
        assert any("opening hours" in text.lower() for text in caller_turns(record)), caller_turns(record)
        assert all(words in heard_text(record) for words in ANSWER_WORDS), heard_text(record)
        assert record["outcome"] == "caller_left"
        assert record["recording"]["sample_rate"] == script.media.sample_rate

    await asyncio.gather(*(one(number, name) for number, name in enumerate(group)))


async def media_call(stack: LocalStack) -> str:
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {stack.admin_token}"}) as client:
        listing = (await client.get(f"{stack.gateway_url}/api/v1/calls")).json()
    own = [call["call_id"] for call in listing["calls"] if call["call_id"].startswith("media-")]
    assert len(own) == 1
    return str(own[0])


async def test_a_real_recording_is_understood(stack: LocalStack, voice: Voice) -> None:
    recording = Path(__file__).parents[1] / "data" / "speech" / "goforward.wav"
    script = CallScript(
        name="recording",
        steps=[WaitForBot(timeout=20), SayWav(path=str(recording)), WaitForBot(timeout=30), HangUp()],
        expect=Expectations(bot_spoke_at_least=2),
    )
    report = await place(stack, script, voice)
    said = [entry for entry in await entries_of(stack, report.call_id) if isinstance(entry, transcript.CallerSaid)]
    assert "forward" in " ".join(entry.text.lower() for entry in said)
    assert "meters" in " ".join(entry.text.lower() for entry in said)


async def test_without_the_token_nobody_gets_in(stack: LocalStack, voice: Voice) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        answer = await client.get(f"http://127.0.0.1:{stack.streamer_port}/ws", headers=upgrade)
    assert answer.status_code == 401
