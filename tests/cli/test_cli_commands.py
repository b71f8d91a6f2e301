"""status, calls, tail and sign as processes, against a real gateway; Redis they neither know nor need."""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from callbus import calls, keys
from callbus.broker import Broker
from callbus.transcript import (
    Acted,
    BotHeard,
    BotSays,
    CallerPressed,
    CallerSaid,
    Claimed,
    Entry,
    Finished,
    Noted,
    ToolUsed,
    TurnTimed,
    encode,
)
from support.cli_process import run, started
from support.gateway_process import Gateway, gateway
from support.gateway_signing import KEY
from support.gateway_webhooks import ADMIN
from support.waiting import until
from voicebot_cli.calls import list_calls
from voicebot_cli.errors import CliError, NoSuchCall
from voicebot_cli.settings import CliSettings
from voicebot_cli.sign import sign
from voicebot_cli.status import status
from voicebot_cli.system import System
from voicebot_cli.tail import tail

pytestmark = [pytest.mark.long, pytest.mark.timeout(90)]

ENTRIES: list[Entry] = [
    Claimed(100.0, "w-1", 1, "desk"),
    BotSays(100.1, "s1", "Hello [this] is the desk."),
    BotHeard(103.0, "s1", "Hello [this] is the desk.", False, 100.4),
    CallerSaid(105.5, 104.0, 1, "When do you open?", "1-0"),
    ToolUsed(105.7, 1, "t1", "hours", '{"day": "today"}', "asked"),
    ToolUsed(105.9, 1, "t1", "hours", '{"day": "today"}', "done", "nine to five"),
    BotSays(106.0, "s2", "We open at nine every day.", 1),
    BotSays(106.0, "s3", "And close at five.", 1),
    TurnTimed(106.3, 1, {"stt_final": 410.2, "playing": 700.0}, 812.4, {"in": 11.2, "out": 2.1}),
    BotHeard(107.0, "s2", "We open", True, 106.4),
    CallerPressed(107.5, "3"),
    Noted(107.6, "false barge-in"),
    Acted(108.0, "a1", "transfer", "33187654321", "done"),
    ToolUsed(108.1, 1, "t2", "transfer_call", '{"to": "boss"}', "failed", "It was not done."),
    Noted(108.2, "operator 1700-0: mute"),
    Noted(108.3, "operator 1700-1: say (not done: no words)"),
    Acted(108.4, "operator-1700-2", "hangup", "", "asked"),
    Noted(108.4, "operator 1700-2: hang_up"),
    BotSays(108.5, "s4", "One moment, please.", 0, by_operator=True),
    BotHeard(109.5, "s4", "One moment, please.", False, 108.6),
]
SHOWN = [
    "   0.00 s  system  w-1 takes the call, agent desk",
    "   0.10 s  says    “Hello [this] is the desk.”",
    "   3.00 s  heard   Hello [this] is the desk.",
    "   4.00 s  caller  When do you open?",
    '   5.70 s  tool    hours {"day": "today"}',
    "   5.90 s  tool    hours (done): nine to five",
    "   6.00 s  says    “We open at nine every day.”",
    "   6.00 s  says    “And close at five.”",
    "   6.30 s  latency turn 1: 812 ms voice to voice; ms after the caller's last word: stt final 410 · playing 700; "
    "hop in 11; hop out 2",
    "   7.00 s  heard   We open … interrupted; unheard “at nine every day.”",
    "   7.50 s  caller  presses 3",
    "   7.60 s  note    false barge-in",
    "   8.00 s  action  transfer 33187654321 (done)",
    "   8.10 s  tool    transfer_call (failed): It was not done.",
    "   8.20 s  console the operator mutes the bot",
    "   8.30 s  console the operator has the bot say a line: not done: no words",
    "   8.40 s  action  hangup (asked, the operator's wish)",
    "   8.40 s  console the operator hangs up",
    "   8.50 s  says    “One moment, please.” (the operator's line)",
    "   9.50 s  heard   One moment, please. (the operator's line)",
]


@pytest.fixture(scope="module")
def running(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("gateway")
    known = {"REDIS_URL": redis_server, "RINGOVER_WEBHOOK_SECRET": f"{KEY}, the-old-one", "ADMIN_TOKEN": ADMIN}
    with gateway(directory, **known) as process:
        yield process


def system(gateway_url: str, secret: str = "") -> System:
    return System(
        CliSettings.model_construct(),
        gateway_url=gateway_url,
        streamer_url="ws://localhost:1",
        redis_url="redis://localhost:1",
        redis_asked_for=False,
        webhook_key=secret,
        streamer_token=None,
        admin_token=ADMIN,
        calls_dir=Path("calls"),
    )


def known(running: Gateway) -> dict[str, str]:
    """What `make up` leaves in .env of it: the port and the admin token, and no Redis."""
    return {"GATEWAY_PORT": running.url.rpartition(":")[2], "ADMIN_TOKEN": ADMIN}


async def tailed(running: Gateway, call_id: str, *, as_json: bool = False, out: io.StringIO | None = None) -> str:
    """All that `tail` prints, within this process; also while it does, in `out`."""
    out = out or io.StringIO()
    async with asyncio.timeout(30):
        assert await tail(system(running.url), Console(file=out, width=200), call_id, as_json=as_json) == 0
    return out.getvalue()


async def write(broker: Broker, call_id: str, *entries: Entry) -> None:
    for entry in entries:
        await broker.append(keys.transcript(call_id), encode(entry), maxlen=100)
    await broker.execute("EXPIRE", keys.transcript(call_id), 60)


async def begin(broker: Broker, call_id: str, at: float, **more: object) -> None:
    await calls.update(broker, call_id, state="answered", media="connected", media_at=at, first_seen=at, **more)
    await broker.execute("ZADD", keys.RECENT, at, call_id)
    await broker.execute("EXPIRE", keys.RECENT, 60)


async def test_status_tells_what_is_missing_by_its_exit_code(running: Gateway, broker: Broker, tmp_path: Path) -> None:
    ran = await run(tmp_path, "status", "--gateway", running.url)
    assert ran.code == 1
    assert ran.out.startswith("degraded")
    assert "✗ no streamer is running" in ran.out
    assert "signed, 2 keys" in ran.out
    out = io.StringIO()
    assert await status(system(running.url), Console(file=out), as_json=True) == 1
    assert json.loads(out.getvalue())["redis"]["reachable"] is True


async def test_status_of_nothing_says_where_it_looked(tmp_path: Path) -> None:
    ran = await run(tmp_path, "status", GATEWAY_PORT="1")
    assert ran.code == 2
    assert "http://localhost:1/api/v1/status" in ran.err
    assert "Traceback" not in ran.err


async def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    ran = await run(tmp_path, "calls", REDIS_URL="localhost:6379")
    assert ran.code == 2
    assert ran.err.startswith("ringover-voicebot: setting REDIS_URL is wrong")
    assert ran.err.count("\n") == 1


async def test_calls_shows_who_is_on_the_line_and_who_was(running: Gateway, broker: Broker, tmp_path: Path) -> None:
    await begin(broker, "old-1", 1000.0, from_number="33611", agent="desk")
    await calls.update(broker, "old-1", conversation="finished", outcome="transferred", finished_at=1030.0)
    await begin(broker, "new-1", 2000.0, from_number="33622")
    ran = await run(tmp_path, "calls", **known(running))
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "1 active"
    active, past = ran.out.split("recent")
    assert "new-1" in active
    assert "old-1" not in active
    row = next(line for line in past.splitlines() if "old-1" in line)
    assert row.split()[-3:] == ["30", "s", "transferred"]
    out = io.StringIO()
    await list_calls(system(running.url), Console(file=out), limit=2, as_json=True)
    objects = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(call["call_id"], call["active"]) for call in objects] == [("new-1", True), ("old-1", False)]


async def test_tail_shows_a_call_as_it_grows_and_ends_with_it(running: Gateway, broker: Broker, tmp_path: Path) -> None:
    await begin(broker, "c1", 100.0)
    await write(broker, "c1", *ENTRIES[:3])
    async with started(
        tmp_path, "tail", "c1", "--out", str(tmp_path), **known(running), PYTHONUNBUFFERED="1"
    ) as process:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            lines = [(await process.stdout.readline()).decode().rstrip() for _ in range(3)]
            assert lines == SHOWN[:3]
            await write(broker, "c1", *ENTRIES[3:])
            lines = [(await process.stdout.readline()).decode().rstrip() for _ in range(len(SHOWN) - 3)]
            assert lines == SHOWN[3:]
            await write(broker, "c1", Finished(109.0, "transferred", "closed"))
            rest = (await process.stdout.read()).decode().splitlines()
            assert [line.strip() for line in rest] == [
                "9.00 s  system  conversation over: transferred (closed)",
                "unheard “And close at five.”",
            ]
            assert await process.wait() == 0


async def test_tail_as_json_is_an_object_a_line(running: Gateway, broker: Broker) -> None:
    await begin(broker, "c2", 100.0)
    await write(broker, "c2", *ENTRIES, Finished(109.0, "completed", "closed"))
    entries = [json.loads(line) for line in (await tailed(running, "c2", as_json=True)).splitlines()]
    assert entries[1] | {"id": ""} == {
        "id": "", "kind": "bot", "at": 100.1, "segment": "s1", "text": "Hello [this] is the desk.", "reply_to": 0,
        "protected": False, "by_operator": False,
    }  # fmt: skip
    assert entries[-1]["kind"] == "finished"


async def test_tail_of_a_call_that_no_worker_took_says_so_at_once(running: Gateway, broker: Broker) -> None:
    now = time.time()
    await calls.update(broker, "c3", state="ended", media="ended", media_ended_at=now - 60)
    assert await tailed(running, "c3") == "call c3 is over, and nothing was said in it: no worker took it\n"
    assert time.time() - now < 2.0
    assert await tailed(running, "c3", as_json=True) == ""


async def test_a_call_that_has_just_ended_may_still_get_its_last_words(running: Gateway, broker: Broker) -> None:
    await calls.update(broker, "c7", state="ended", media="ended", media_ended_at=time.time())
    out = io.StringIO()
    tailing = asyncio.create_task(tailed(running, "c7", out=out))
    await asyncio.sleep(1.0)
    await write(broker, "c7", ENTRIES[0], Finished(109.0, "completed", "closed"))
    assert (await tailing).count("\n") == 2


async def test_tail_waits_for_a_gateway_that_is_restarted(redis_url: str, broker: Broker, tmp_path: Path) -> None:
    settings = {"REDIS_URL": redis_url, "RINGOVER_WEBHOOK_SECRET": KEY, "ADMIN_TOKEN": ADMIN}
    await begin(broker, "c8", 100.0)
    await write(broker, "c8", ENTRIES[0])
    out = io.StringIO()
    with gateway(tmp_path, **settings) as first:
        tailing = asyncio.create_task(tailed(first, "c8", out=out))
        await until(lambda: out.getvalue().count("\n") == 1, what="the first line")
    await write(broker, "c8", *ENTRIES[3:4], Finished(109.0, "completed", "closed"))
    with gateway(tmp_path, GATEWAY_PORT=first.url.rpartition(":")[2], **settings):
        assert (await tailing).splitlines()[1:] == [
            "   4.00 s  caller  When do you open?",
            "   9.00 s  system  conversation over: completed (closed)",
        ]


async def test_tail_goes_on_with_a_call_that_is_claimed_after_its_last_word(running: Gateway, broker: Broker) -> None:
    await begin(broker, "c6", 100.0)
    await write(broker, "c6", ENTRIES[0], Finished(101.0, "failed", "lost"), Claimed(102.0, "w-2", 2, "desk"))
    out = io.StringIO()
    tailing = asyncio.create_task(tailed(running, "c6", out=out))
    await until(lambda: out.getvalue().count("\n") == 3, what="three lines")
    await write(broker, "c6", Finished(103.0, "completed", "closed"))
    assert (await tailing).splitlines()[-2:] == [
        "   2.00 s  system  w-2 takes the call over, agent desk",
        "   3.00 s  system  conversation over: completed (closed)",
    ]


async def test_tail_of_an_unknown_call_names_the_known_ones(running: Gateway, broker: Broker) -> None:
    await begin(broker, "c4", 100.0)
    with pytest.raises(NoSuchCall, match="no call c5: the newest are c4"):
        await tailed(running, "c5")


REFUSED = {
    "no gateway": ({"GATEWAY_PORT": "1", "ADMIN_TOKEN": ADMIN}, "no answer from http://localhost:1/api/v1/calls: "),
    "no token": ({}, "the gateway shows calls to who has its ADMIN_TOKEN, and none is set; `make up` writes one"),
    "another token": ({"ADMIN_TOKEN": "another"}, "HTTP 401: the admin token is missing or wrong"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_keeps_calls_from_being_seen_is_one_line(
    case: str, running: Gateway, broker: Broker, tmp_path: Path
) -> None:
    settings, words = REFUSED[case]
    ran = await run(tmp_path, "calls", **{**known(running), "ADMIN_TOKEN": "", **settings})
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert ran.err.startswith("ringover-voicebot: ")
    assert ran.err.count("\n") == 1
    assert "another" not in ran.err.replace("another one", "")


@pytest.mark.parametrize(
    "options",
    [("check", "--redis", "foo"), ("check", "--redis", "localhost:6379"), ("calls", "--gateway", "localhost:8000"),
     ("tail", "c1", "--gateway", "http://localhost:a"), ("check", "--streamer", "http://localhost:8765")],
)  # fmt: skip
async def test_an_address_that_is_none_is_one_line(tmp_path: Path, options: tuple[str, ...]) -> None:
    ran = await run(tmp_path, *options)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"ringover-voicebot: {options[-2]}")
    assert "expected " in ran.err
    assert ran.err.count("\n") == 1


async def post(command: str) -> httpx.Response:
    """What curl would do with the command."""
    words = shlex.split(command)
    assert words[0] == "curl"
    headers = dict(words[i + 1].split(": ", 1) for i, word in enumerate(words) if word == "-H")
    body = words[words.index("--data-binary") + 1]
    async with httpx.AsyncClient(timeout=20) as client:
        return await client.post(words[words.index("POST") + 1], headers=headers, content=body.encode())


async def test_what_sign_prints_is_accepted_and_shows_no_secret(
    running: Gateway, broker: Broker, tmp_path: Path
) -> None:
    secret = {"RINGOVER_WEBHOOK_SECRET": f"{KEY},the-old-one"}
    example = await run(tmp_path, "sign", "--event", "answered", "--gateway", running.url, **secret)
    assert example.code == 0
    assert KEY not in example.out + example.err
    answer = await post(example.out)
    assert (answer.status_code, answer.json()["call_id"]) == (202, "test-call-1")
    file = tmp_path / "event.json"
    file.write_text('{"event_type": "call_ended", "call_id": "it\'s-me",\n "from_number": "33"}\n')
    out = io.StringIO()
    assert sign(system(running.url, KEY), Console(file=out), file=file, example="ringing", url=None) == 0
    refused = await post(out.getvalue())
    # Signed rightly: refused for its call id, not for its signature.
    assert refused.status_code == 400
    assert "call id" in refused.text
    # With its quotes: the address may have these digits in its port.
    tampered = await post(out.getvalue().replace('"33"', '"34"'))
    assert tampered.status_code == 401


@pytest.mark.parametrize(
    ("secret", "content", "words"),
    [
        ("", "{}", "RINGOVER_WEBHOOK_SECRET"),
        ("k", "[1]", "JSON object"),
        ("k", "{", "not JSON"),
        ("k", "{}".encode("utf-16"), "not UTF-8"),
        ("k", None, "No such file"),
    ],
)
def test_sign_says_what_it_lacks(tmp_path: Path, secret: str, content: str | bytes | None, words: str) -> None:
    file = tmp_path / "event.json"
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(CliError, match=words):
        sign(system("http://localhost:1", secret), Console(), file=file, example="ringing", url=None)
