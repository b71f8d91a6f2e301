"""What depends on settings that the shared process of the other tests does not have."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from callbus.broker import Broker
from callbus.settings import explain
from support.gateway_signing import KEY, plain, v1, v3
from webhook_gateway import intake
from webhook_gateway.app import create_app
from webhook_gateway.settings import ENDPOINT, GatewaySettings

BODY = json.dumps(
    {"event": "ringing", "resource": "call", "timestamp": time.time(), "data": {"call_id": "c1"}}
).encode()


@pytest.fixture(autouse=True)
def _no_settings_of_the_developers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in GatewaySettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def settings(**given: Any) -> GatewaySettings:
    return GatewaySettings.model_validate({"ringover_webhook_secret": KEY, **given})


def client(broker: Broker, **given: Any) -> httpx.AsyncClient:
    app = create_app(settings(**given), broker, gateway_id="g1")
    # Behind a proxy: the gateway sees a URL that Ringover has never heard of.
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://10.0.0.7:8000")


async def post(http: httpx.AsyncClient, headers: dict[str, str], path: str = ENDPOINT) -> int:
    answer = await http.post(path, content=BODY, headers={"content-type": "application/json", **headers})
    return answer.status_code


@pytest.mark.parametrize(
    "public", ["https://bot.example.com", "https://bot.example.com/", f"https://bot.example.com{ENDPOINT}"]
)
async def test_the_public_url_is_the_signed_one(broker: Broker, public: str) -> None:
    url = f"https://bot.example.com{ENDPOINT}"
    event = json.loads(BODY)
    async with client(broker, webhook_public_url=public) as http:
        assert await post(http, v3(BODY, url, at=time.time())) == 202
        assert await post(http, v3(BODY, url + "?tenant=1", at=time.time()), ENDPOINT + "?tenant=1") == 200
        assert await post(http, v1({"url": url, "payload": event})) == 200
        assert await post(http, v3(BODY, f"http://10.0.0.7:8000{ENDPOINT}", at=time.time())) == 401
        assert await post(http, v1({"url": f"https://evil.example.com{ENDPOINT}", "payload": event})) == 401


async def test_the_public_url_of_the_secret_path_ends_with_the_secret(broker: Broker) -> None:
    secret = "0123456789-abcdef"
    signed = v3(BODY, f"https://bot.example.com{ENDPOINT}/{secret}", at=time.time())
    async with client(
        broker, webhook_public_url="https://bot.example.com", ringover_webhook_path_secret=secret
    ) as http:
        assert await post(http, signed, f"{ENDPOINT}/{secret}") == 202
        assert await post(http, signed) == 401


async def test_without_a_path_secret_there_is_no_secret_path(broker: Broker) -> None:
    async with client(broker) as http:
        for guess in ("None", "x", "%00"):
            assert await post(http, plain(BODY), f"{ENDPOINT}/{guess}") == 401


async def test_a_body_that_does_not_come_is_given_up(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "BODY_TIMEOUT_S", 0.01)

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with client(broker) as http:
        answer = await http.post(ENDPOINT, content=endless(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["connection"]) == (408, "close")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"ringover_webhook_secret": " , "}, "RINGOVER_WEBHOOK_SECRET"),
        ({"ringover_webhook_path_secret": "short"}, "RINGOVER_WEBHOOK_PATH_SECRET"),
        ({"ringover_webhook_path_secret": "a/b/c/d/e/f/g/h/i/j"}, "RINGOVER_WEBHOOK_PATH_SECRET"),
        ({"webhook_public_url": "bot.example.com"}, "WEBHOOK_PUBLIC_URL"),
        ({"webhook_public_url": "https://bot.example.com/?a=1"}, "WEBHOOK_PUBLIC_URL"),
        ({"webhook_public_url": "https://bot.example.com:99999"}, "WEBHOOK_PUBLIC_URL"),
        ({"gateway_port": 65536}, "GATEWAY_PORT"),
        ({"ringover_webhook_insecure": "maybe"}, "RINGOVER_WEBHOOK_INSECURE"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_is_shown(given: dict[str, Any], name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**given)
    [line] = explain(caught.value, GatewaySettings)
    assert name in line
    assert KEY not in line
    assert "short" not in line


def test_secrets_do_not_show() -> None:
    secrets = {
        "ringover_webhook_secret": f"{KEY},other-key",
        "ringover_webhook_path_secret": "0123456789-abcdef",
        "ringover_api_key": "key-1",
        "openai_api_key": "key-2",
        "elevenlabs_api_key": "key-3",
        "admin_token": "key-4",
    }
    given = settings(**secrets)
    assert given.webhook_keys == (KEY, "other-key")
    assert [secret for value in secrets.values() for secret in value.split(",") if secret in repr(given)] == []


def test_every_setting_is_described() -> None:
    assert [name for name, field in GatewaySettings.model_fields.items() if not field.description] == []
