"""Whole calls in real time, against a bot on a real WebSocket and an HTTP server for webhooks and files."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import wave
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from ringover_sim import CallReport, CallScript, StreamerError, place_call
from ringover_sim.script import (
    CallerVoice,
    DropConnection,
    Expect,
    Expectations,
    HangUp,
    Interrupt,
    Media,
    Pause,
    Press,
    Say,
    SayWav,
    Step,
    WaitForBot,
    WaitForEnd,
    Webhooks,
)
from ringover_sim.speech import Voice
from support.sim_bot import Bot, beep, running, stream_audio
from support.sim_http import HttpPeer, http_peer

LINE_S = 0.5
QUICK_WAIT = WaitForBot(timeout=5, silence=0.25)


class Hum:
    """A voice for tests: every line is half a second of a tone, then `silence` seconds of nothing."""

    def __init__(self, silence: float = 0.0) -> None:
        self._silence = silence

    def speak(self, text: str, rate: int) -> bytes:
        return beep(LINE_S, rate, 800.0) + bytes(2 * round(self._silence * rate))


def wav_file(seconds: float, rate: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(beep(seconds, rate))
    return buffer.getvalue()


async def call(
    bot: Bot,
    steps: list[Step],
    *,
    peer: HttpPeer | None = None,
    base: Path | None = None,
    speaker: Voice | None = None,
    **settings: object,
) -> CallReport:
    settings = {"ring": 0.0, "call_id": "call-1", "longest": 20.0} | settings
    script = CallScript.model_validate({"steps": steps, **settings})
    async with running(bot) as url:
        return await place_call(
            script,
            gateway_url=peer.url if peer is not None else None,
            streamer_url=url,
            secret="key",
            token="token",
            voice=speaker or Hum(),
            base=base,
        )


async def test_a_conversation_with_an_interruption_and_a_transfer(tmp_path: Path) -> None:
    bot = Bot(answer=1.0, transfer_after=3)
    with http_peer() as peer:
        peer.statuses = [202, 503]
        report = await call(
            bot,
            [
                QUICK_WAIT,
                Say(text="one"),
                Interrupt(after=0.4, say="two"),
                Expect(command="break", within=1),
                QUICK_WAIT,
                Say(text="three"),
                Expect(command="transfer", data="33199999999", within=2),
                WaitForEnd(timeout=2),
            ],
            peer=peer,
            webhooks=Webhooks(scheme="hmac"),
            expect=Expectations(
                commands=["break", "transfer"], bot_spoke_at_least=3, max_response_ms=1000, ended_by="transfer",
                close_code=1000,
            ),
        )  # fmt: skip
        events = [json.loads(post.body) for post in peer.posted]
    assert report.failures == []
    assert report.ok
    assert [(event["event"], event["attempt"]) for event in events] == [
        ("ringing", 1),
        ("answered", 1),
        ("answered", 2),
        ("hangup", 1),
    ]
    assert events[-1]["data"]["duration_in_seconds"] == pytest.approx(report.duration_ms / 1000, abs=0.5)
    assert [turn.kind for turn in report.turns] == ["say", "interrupt", "say"]
    # The bot answers 300 ms after the last loud sample; the rest is transport, the 20 ms grid and a busy machine.
    for turn in report.turns[:2]:
        assert turn.response_ms is not None
        assert 280 <= turn.response_ms <= 600
    assert report.turns[2].response_ms is None
    (stop,) = report.commands_named("break")
    assert stop.bot_audio_playing
    cut = [playback for playback in report.playbacks if playback.cut]
    assert [playback.started_ms is not None for playback in cut] == [True]
    assert report.turns[1].overlap_ms < 300
    assert report.greeting_ms is not None
    assert -20 <= report.greeting_ms < 300
    assert bot.paths == ["/ws?token=token"]
    assert json.loads(bot.texts[0])["callId"] == "call-1"
    assert report.connections[0].closed_by == "simulator"
    assert set(bot.binary_sizes[:-1]) == {320}

    report.save(tmp_path)
    with wave.open(str(tmp_path / "caller_heard.wav")) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    turn = report.turns[0]
    said = np.abs(both[turn.started_ms * 8 : turn.ended_ms * 8, 0])
    assert len(said) == pytest.approx(LINE_S * 8000, abs=80)
    assert np.sqrt((said.astype(float) ** 2).mean()) > 1000
    assert turn.response_ms is not None
    answered = (turn.ended_ms + turn.response_ms) * 8
    assert not np.abs(both[turn.ended_ms * 8 : answered - 8, 1]).any()
    assert np.abs(both[answered : answered + 80, 1].astype(int)).max() > 7000
    assert json.loads((tmp_path / "report.json").read_text())["call_id"] == "call-1"
    assert "all expectations held" in (tmp_path / "report.txt").read_text()


async def test_a_stereo_16_khz_json_call_with_a_file_keys_and_a_dropped_connection(tmp_path: Path) -> None:
    (tmp_path / "hello.wav").write_bytes(wav_file(0.4, 44100))
    with http_peer() as peer:
        peer.files["/answer.wav"] = wav_file(0.6, 22050)
        bot = Bot(rate=16000, channels=2, greeting=0.3, play=f"{peer.url}/answer.wav")
        report = await call(
            bot,
            [
                QUICK_WAIT,
                SayWav(path="hello.wav"),
                QUICK_WAIT,
                Press(digits="1#", via="text"),
                DropConnection(reconnect_after=0.2),
                Pause(seconds=0.5),
                Say(text="still there?"),
                QUICK_WAIT,
                HangUp(),
            ],
            base=tmp_path,
            media=Media(dialect="json", sample_rate=16000, channels=2, chunk_ms=100, metadata="none"),
            voice=CallerVoice(phone=False),
            expect=Expectations(ended_by="caller", bot_spoke_at_least=3, no_commands=["transfer"]),
        )
    assert report.failures == []
    assert report.violations == []
    assert [c.closed_by for c in report.connections] == ["dropped", "simulator"]
    assert [c.close_code for c in report.connections] == [1006, 1000]
    assert len(bot.paths) == 2
    assert bot.paths[0] == "/ws?sample_rate=16000&channels=2&token=token"
    events = [json.loads(text) for text in bot.texts]
    assert [e["event"] for e in events] == ["call_start", "dtmf", "dtmf", "call_start", "call_end"]
    assert [e.get("digit") for e in events[1:3]] == ["1", "#"]
    assert {e["call_id"] for e in events if "call_id" in e} == {"call-1"}
    played = next(playback for playback in report.playbacks if playback.source == "play")
    assert played.length_ms == pytest.approx(600, abs=2)
    # What the bot got on the right channel is what the caller heard of it.
    assert np.abs(np.frombuffer(bytes(bot.right), "<i2").astype(int)).max() > 7000
    dropped = report.connections[0].closed_ms
    back = report.connections[1].opened_ms
    assert dropped is not None
    assert 190 <= back - dropped < 700


async def test_messages_no_media_server_understands_are_reported() -> None:
    bot = Bot(extra=[b"\0\0", '{"event": "hangup"}', json.dumps({"event": "play", "file": "http://127.0.0.1:1/x.mp3"})])
    report = await call(bot, [QUICK_WAIT])
    assert len(report.violations) == 3
    assert "binary message" in report.violations[0]
    assert "unknown message" in report.violations[1]
    assert "play http://127.0.0.1:1/x.mp3: ConnectError" in report.violations[2]
    assert not report.ok


@pytest.mark.parametrize(("code", "ended_by", "failures"), [(1000, "bot", 0), (1011, "error", 1)])
async def test_the_bot_ends_the_call_by_closing(code: int, ended_by: str, failures: int) -> None:
    report = await call(Bot(close_after_greeting=code), [WaitForEnd(timeout=3)])
    assert (report.ended_by, len(report.failures)) == (ended_by, failures)
    assert (report.connections[0].closed_by, report.connections[0].close_code) == ("streamer", code)


async def test_a_media_server_may_come_back_at_once_after_the_streamer_closed() -> None:
    bot = Bot(close_after_greeting=1012)
    report = await call(
        bot, [Pause(seconds=0.3), Say(text="hello"), QUICK_WAIT], media=Media(on_server_close="reconnect")
    )
    assert report.failures == []
    assert [c.close_code for c in report.connections] == [1012, 1000]
    # The first connection was closed before anything of it was read: this is the second one's metadata.
    assert [json.loads(text)["callId"] for text in bot.texts] == ["call-1"]


async def test_a_bot_that_says_nothing_fails_the_wait_and_ends_the_call() -> None:
    report = await call(Bot(greeting=0.0001), [WaitForBot(timeout=0.3), Say(text="never said")])
    assert len(report.failures) == 1
    assert "step 1, wait_for_bot: the bot did not speak and finish within 0.3 s" in report.failures[0]
    assert report.turns == []


async def test_a_call_over_before_its_script_is_a_failure() -> None:
    report = await call(Bot(close_after_greeting=1000), [Pause(seconds=5)])
    assert "step 1, pause: the call had already ended" in report.failures[0]


async def test_a_transfer_during_the_silence_that_ends_a_line_is_no_failure() -> None:
    steps: list[Step] = [QUICK_WAIT, Say(text="a human please"), Expect(command="transfer"), WaitForEnd()]
    report = await call(Bot(greeting=0.3, transfer_after=1), steps, speaker=Hum(silence=1.0))
    assert report.failures == []
    assert report.ended_by == "transfer"


async def test_an_expected_command_that_does_not_come() -> None:
    report = await call(Bot(), [QUICK_WAIT, Expect(command="transfer", within=0.1)])
    assert "expected transfer within 0.1 s; since the caller's last line: streamAudio" in report.failures[0]


async def test_late_metadata_comes_after_audio() -> None:
    bot = Bot()
    await call(bot, [Pause(seconds=0.8)], media=Media(metadata="late", metadata_after_ms=200))
    assert len(bot.texts) == 1
    assert bot.audio_before_text is not None
    assert bot.audio_before_text >= 5


async def test_gaps_between_pieces_are_found() -> None:
    pieces: list[str | bytes] = [stream_audio(beep(0.1, 8000), 8000)] * 2
    report = await call(Bot(greeting=0.1, extra=pieces), [QUICK_WAIT], media=Media(seam_gap_ms=100))
    assert report.gaps_ms == [100, 100]
    assert report.underruns == 0
    assert report.bot_spoke == 1


async def test_a_handshake_that_takes_too_long_is_given_up() -> None:
    given_up = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionResetError):
            await reader.read()
        writer.close()
        given_up.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(StreamerError, match=r"no handshake .* within 1 s"):
            await place_call(
                CallScript(steps=[HangUp()], ring=0), gateway_url=None, streamer_url=f"ws://127.0.0.1:{port}"
            )
        await given_up.wait()


async def command(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ringover_sim.cli", "call", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_command_reports_and_its_exit_code_tells_the_outcome(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("ring: 0\nsteps:\n  - wait_for_bot: {timeout: 5, silence: 0.2}\n  - hang_up\n")
    bad.write_text("ring: 0\nsteps: [hang_up]\nexpect: {commands: [transfer]}\n")
    async with running(Bot(greeting=0.3)) as url:
        code, out, _ = await command("--script", str(good), "--streamer", url, "--json", "--out", str(tmp_path))
        assert code == 0
        assert json.loads(out)["bot_spoke"] == 1
        assert (tmp_path / "caller_heard.wav").is_file()
        code, out, _ = await command("--script", str(bad), "--streamer", url)
        assert code == 1
        assert "FAILED the bot never sent 'transfer'" in out
    code, _, err = await command("--script", str(good), "--streamer", url)
    assert code == 2
    assert err.startswith("ringover-sim: no streamer at ws://127.0.0.1:")
    assert err.count("\n") == 1
