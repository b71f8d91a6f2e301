"""The doctor: what each check says of a right and of a wrong system, against real services and fake providers."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from callbus.broker import Broker
from devstack.embedded_redis import embedded_redis
from support.fake_providers import FakeElevenLabs, FakeOpenAI
from support.gateway_process import ENDPOINT, Gateway, eventually, gateway
from support.gateway_signing import KEY
from support.gateway_webhooks import ADMIN
from support.streamer_process import Streamer, streamer
from support.tools_api import Asked, reply, tool_api
from voicebot_cli.check.agents import check_agents
from voicebot_cli.check.bus import check_bus, judge_clock, judge_server
from voicebot_cli.check.doors import (
    check_admin_token,
    check_gateway,
    check_public_url,
    check_secret,
    check_streamer,
    check_webhook,
)
from voicebot_cli.check.providers import check_provider, questions
from voicebot_cli.settings import CliSettings
from voicebot_cli.system import System, locate

TOKEN = "a token/with signs"


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those of the test."""
    monkeypatch.chdir(tmp_path)
    for name in CliSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def system(redis_url: str | None = "redis://127.0.0.1:1/0", **options: str) -> System:
    """As `locate` finds it from the options `gateway` and `streamer` and the settings in capitals."""
    for name, value in options.items():
        if name.isupper():
            os.environ[name] = value
    try:
        return locate(
            Namespace(gateway=options.get("gateway"), streamer=options.get("streamer"), redis=redis_url, out=Path.cwd())
        )
    finally:
        for name in options:
            os.environ.pop(name, None)


@pytest.fixture(scope="module")
def gateway_here(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = {"REDIS_URL": redis_server, "RINGOVER_WEBHOOK_SECRET": KEY, "ADMIN_TOKEN": ADMIN}
    with gateway(tmp_path_factory.mktemp("gateway"), **settings) as process:
        yield process


@pytest.fixture(scope="module")
def streamer_here(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streamer]:
    with streamer(tmp_path_factory.mktemp("streamer"), redis_server, STREAMER_TOKEN=TOKEN) as process:
        yield process


async def test_a_real_redis_and_its_clock_are_right(redis_url: str, broker: Broker) -> None:
    redis, clock = await check_bus(system(redis_url))
    assert (redis.mark, clock.mark) == ("✓", "✓")
    assert "noeviction" in redis.found


async def test_a_redis_that_is_away_or_refuses_is_told(redis_url: str, broker: Broker) -> None:
    away, clock = await check_bus(system())
    assert (away.mark, clock.mark) == ("✗", "–")
    refused, _ = await check_bus(system(redis_url.replace("redis://", "redis://:not-this-one@")))
    assert refused.mark == "✗"
    assert "not-this-one" not in refused.found
    await broker.execute("ACL", "SETUSER", "guest", "on", ">pw", "+ping", "+client")
    try:
        guest, _ = await check_bus(system(redis_url.replace("redis://", "redis://guest:pw@")))
    finally:
        await broker.execute("ACL", "DELUSER", "guest")
    assert guest.mark == "✗"
    assert "info" in guest.found
    assert "may do" in guest.todo


async def test_a_redis_that_only_the_gateway_reaches_is_known_by_its_word(
    gateway_here: Gateway, broker: Broker, tmp_path: Path
) -> None:
    for unreachable in ({}, {"REDIS_URL": "redis://127.0.0.1:1/0"}):
        redis, clock = await check_bus(system(None, gateway=gateway_here.url, **unreachable))
        assert (redis.mark, clock.mark) == ("✓", "–")
        assert "the gateway reaches it" in redis.found
    # Whoever names one wants to know of that one.
    assert (await check_bus(system(gateway=gateway_here.url)))[0].mark == "✗"
    with embedded_redis(tmp_path / "another") as another:
        redis, clock = await check_bus(system(None, gateway=gateway_here.url, REDIS_URL=another))
        assert (redis.mark, clock.mark) == ("✓", "–")
        assert "another Redis is at REDIS_URL" in redis.found


async def test_the_gateways_own_redis_is_looked_at_where_it_can_be(
    gateway_here: Gateway, broker: Broker, redis_url: str
) -> None:
    async def looked_at() -> bool:
        redis, clock = await check_bus(system(None, gateway=gateway_here.url, REDIS_URL=redis_url))
        return (redis.mark, clock.mark) == ("✓", "✓") and "noeviction" in redis.found

    # Its heartbeat of every second tells whose it is; the fixtures emptied it just now.
    await eventually(looked_at)


async def test_the_admin_token_is_tried(gateway_here: Gateway, broker: Broker) -> None:
    right = await check_admin_token(system(gateway=gateway_here.url, ADMIN_TOKEN=ADMIN))
    assert (right.mark, ADMIN in right.found) == ("✓", False)
    other = await check_admin_token(system(gateway=gateway_here.url, ADMIN_TOKEN="other"))
    assert (other.mark, "401" in other.found) == ("✗", True)
    assert (await check_admin_token(system(gateway=gateway_here.url))).mark == "–"
    assert (await check_admin_token(system(gateway="http://127.0.0.1:1", ADMIN_TOKEN=ADMIN))).mark == "✗"


@pytest.mark.parametrize(
    ("info", "mark", "words"),
    [
        ({"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "role": "master"}, "✓", "7.2.4"),
        ({"redis_version": "6.0.16"}, "✗", "7.0 or later"),
        ({"redis_version": "7.4.0", "maxmemory_policy": "allkeys-lru"}, "✗", "maxmemory-policy noeviction"),
        ({"redis_version": "7.4.0", "role": "slave"}, "✗", "primary"),
    ],
)
def test_a_server_is_judged_by_what_it_says_of_itself(info: dict[str, str], mark: str, words: str) -> None:
    verdict = judge_server(info, 1.0)
    assert verdict.mark == mark
    assert words in verdict.found + verdict.todo


@pytest.mark.parametrize(("skew", "error", "mark"), [(0.2, 0.01, "✓"), (-3.0, 0.01, "✗"), (1.5, 1.0, "✓")])
def test_a_clock_is_wrong_by_more_than_the_question_took(skew: float, error: float, mark: str) -> None:
    assert judge_clock(skew, error).mark == mark


async def test_a_signature_is_checked_without_an_event_and_without_a_refusal(
    gateway_here: Gateway, broker: Broker
) -> None:
    def refused() -> int:
        return sum(line.get("event") == "webhook refused" for line in gateway_here.logged())

    before = refused()
    here = system(gateway=gateway_here.url, RINGOVER_WEBHOOK_SECRET=f"{KEY},old")
    assert (await check_secret(here)).mark == "✓"
    assert (await check_webhook(here)).mark == "✓"
    assert await broker.execute("EXISTS", "calls:events", "calls:recent") == 0
    assert refused() == before


async def test_a_gateway_that_looks_at_no_signature_is_told(redis_server: str, tmp_path: Path, broker: Broker) -> None:
    with gateway(tmp_path / "open", REDIS_URL=redis_server, RINGOVER_WEBHOOK_INSECURE="1") as anyone:
        verdict = await check_webhook(system(gateway=anyone.url, RINGOVER_WEBHOOK_SECRET=KEY))
    assert verdict.mark == "✗"
    assert "no secret" in verdict.found


async def test_another_secret_or_no_secret_is_told(gateway_here: Gateway, broker: Broker) -> None:
    other = await check_webhook(system(gateway=gateway_here.url, RINGOVER_WEBHOOK_SECRET="another"))
    assert other.mark == "✗"
    assert "401" in other.found
    assert "another" not in other.found + other.todo.replace("another one", "")
    none = system(gateway=gateway_here.url)
    assert ((await check_secret(none)).mark, (await check_webhook(none)).mark) == ("✗", "–")


async def test_the_public_url_is_asked_by_the_way_that_ringover_comes(gateway_here: Gateway, broker: Broker) -> None:
    secret = {"RINGOVER_WEBHOOK_SECRET": KEY}
    public = await check_public_url(system(WEBHOOK_PUBLIC_URL=gateway_here.url, **secret))
    assert public.mark == "✓"
    assert gateway_here.url + ENDPOINT in public.found
    assert (await check_public_url(system(**secret))).mark == "–"
    async with tool_api(reply(b"welcome", kind="text/html")) as elsewhere:
        wrong = await check_public_url(system(WEBHOOK_PUBLIC_URL=elsewhere.url, **secret))
        assert wrong.mark == "✗"
        assert "not the webhook-gateway" in wrong.todo
        assert elsewhere.asked[0].method == "POST"
    assert (await check_public_url(system(WEBHOOK_PUBLIC_URL="http://127.0.0.1:1", **secret))).mark == "✗"


async def test_the_gateway_tells_what_is_missing(gateway_here: Gateway, broker: Broker) -> None:
    verdict = await check_gateway(system(gateway=gateway_here.url))
    assert verdict.mark == "✗"
    assert "no ai-worker takes calls" in verdict.found
    assert (await check_gateway(system(gateway="http://127.0.0.1:1"))).mark == "✗"


async def test_the_streamer_is_asked_for_its_token_and_no_call_begins(streamer_here: Streamer, broker: Broker) -> None:
    right = await check_streamer(system(streamer=streamer_here.url(), STREAMER_TOKEN=TOKEN))
    assert right.mark == "✓"
    assert "the token is accepted" in right.found
    assert TOKEN not in right.found
    wrong = await check_streamer(system(streamer=streamer_here.url(), STREAMER_TOKEN="other"))
    assert (wrong.mark, "refused" in wrong.found) == ("✗", True)
    assert (await check_streamer(system(streamer="ws://127.0.0.1:1"))).mark == "✗"
    assert await broker.execute("EXISTS", "calls:waiting") == 0


async def test_the_agents_are_judged_by_the_worker(tmp_path: Path) -> None:
    good = "name: desk\ndefault: true\ngreeting: Hello.\ninstructions: Be brief.\n"
    (tmp_path / "desk.yaml").write_text(good)
    assert (await check_agents(tmp_path)).found == f"1 agent in {tmp_path}"
    (tmp_path / "desk.yaml").write_text(good + "greting: Hi\n")
    wrong = await check_agents(tmp_path)
    assert wrong.mark == "✗"
    assert "desk.yaml:5" in wrong.found


async def test_keys_are_tried_with_one_request_each() -> None:
    async with FakeOpenAI() as openai, FakeElevenLabs() as elevenlabs, tool_api(reply(b'{"list": []}')) as ringover:
        addresses = {
            "OPENAI_BASE_URL": openai.base_url,
            "ELEVENLABS_BASE_URL": elevenlabs.base_url,
            "RINGOVER_BASE_URL": f"{ringover.url}/v2",
        }
        keys = {
            "OPENAI_API_KEY": openai.api_key,
            "ELEVENLABS_API_KEY": elevenlabs.api_key,
            "RINGOVER_API_KEY": "bare-key",
        }
        good = [await check_provider(one) for one in questions(system(**addresses, **keys).settings)]
        assert [(verdict.what, verdict.mark) for verdict in good] == [
            ("openai", "✓"),
            ("elevenlabs", "✓"),
            ("ringover api", "✓"),
        ]
        assert [(asked.target, asked.headers["authorization"]) for asked in ringover.asked] == [
            ("/v2/teams", "bare-key")
        ]
        ringover.answer = reply(b'{"error": "no"}', status="401 Unauthorized")
        bad = [
            await check_provider(one)
            for one in questions(system(**addresses, **dict.fromkeys(keys, "wrong-key")).settings)
        ]
        assert [verdict.mark for verdict in bad] == ["✗", "✗", "✗"]
        assert all(name in verdict.todo for name, verdict in zip(keys, bad, strict=True))
        assert not any("wrong-key" in verdict.found for verdict in bad)
        unset = [await check_provider(one) for one in questions(system(**addresses).settings)]
        assert [verdict.mark for verdict in unset] == ["–", "–", "–"]


@pytest.mark.parametrize(
    ("status", "body", "mark", "words"),
    [
        ("401 Unauthorized", b'{"detail": {"status": "missing_permissions"}}', "✓", "limited"),
        ("429 Too Many Requests", b"slow down", "✗", "quota"),
        ("404 Not Found", b"", "✗", "address"),
    ],
)
async def test_other_answers_to_a_key_are_told_apart(status: str, body: bytes, mark: str, words: str) -> None:
    async with tool_api(reply(body, status=status)) as api:
        _, question, _ = questions(system(ELEVENLABS_BASE_URL=api.url, ELEVENLABS_API_KEY="k").settings)
        verdict = await check_provider(question)
        asked: Asked = api.asked[0]
        assert (verdict.mark, asked.headers["xi-api-key"]) == (mark, "k")
        assert words in verdict.found + verdict.todo
