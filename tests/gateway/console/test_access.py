"""Who gets into the console, and what its answers forbid the browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from callbus.broker import Broker
from support.console import API
from support.gateway_signing import KEY
from support.gateway_webhooks import ADMIN, AUTHORIZED
from webhook_gateway.app import create_app
from webhook_gateway.console.access import Access
from webhook_gateway.settings import GatewaySettings

OWN = {"x-console": "1"}


async def doors(client: httpx.AsyncClient) -> list[tuple[str, str]]:
    """Method and path of everything under the API."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    found = [
        (method.upper(), re.sub(r"\{\w+\}", "c1", path))
        for path, methods in paths.items()
        if path.startswith(API)
        for method in methods
    ]
    assert len(found) > 15
    return found


async def test_every_door_needs_the_token_and_says_so(client: httpx.AsyncClient) -> None:
    for method, path in await doors(client):
        for headers in ({}, {"authorization": f"Bearer {ADMIN}x"}, {"cookie": "console=9999999999.00"}, OWN):
            answer = await client.request(method, path, headers=headers, json=None if method == "GET" else {})
            assert answer.status_code == 401, (method, path)
            assert set(answer.json()) == {"error", "hint"}


async def test_without_an_admin_token_it_is_closed(redis_url: str) -> None:
    settings = GatewaySettings.model_validate({"ringover_webhook_secret": "k", "redis_url": redis_url})
    broker = Broker(redis_url)
    app = create_app(settings, broker, gateway_id="g")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://g") as client:
        for method, path in await doors(client):
            answer = await client.request(method, path, headers=AUTHORIZED, json=None if method == "GET" else {})
            assert answer.status_code == 403
            assert "ADMIN_TOKEN" in answer.json()["hint"]
        assert (await client.get("/console")).status_code == 200
    await broker.aclose()


async def test_a_session_is_as_good_as_the_token_for_our_own_pages(client: httpx.AsyncClient) -> None:
    begun = await client.post(f"{API}/session", headers=AUTHORIZED)
    assert begun.status_code == 200
    cookie = begun.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/console" in cookie
    assert "Secure" not in cookie
    assert ADMIN not in cookie
    assert (await client.get(f"{API}/agents")).status_code == 200
    assert (await client.post(f"{API}/calls/c1/hang-up", json={})).status_code == 403
    assert (await client.post(f"{API}/calls/c1/hang-up", json={}, headers=OWN)).status_code == 404
    assert (await client.get("/api/v1/calls")).status_code == 401
    assert (await client.delete(f"{API}/session", headers=OWN)).status_code == 200
    assert (await client.get(f"{API}/agents")).status_code == 401


async def test_a_session_over_https_stays_there(client: httpx.AsyncClient) -> None:
    begun = await client.post(f"{API}/session", headers={**AUTHORIZED, "x-forwarded-proto": "https"})
    assert "Secure" in begun.headers["set-cookie"]


async def test_a_session_can_neither_be_made_nor_drawn_out(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await client.post(f"{API}/session", headers=AUTHORIZED)
    ends, _, proof = begun.cookies["console"].partition(".")
    client.cookies.clear()
    for forged in (f"{int(ends) + 1}.{proof}", f"{ends}.{proof[:-1]}", f"{ends}.", f".{proof}", "é.é", ""):
        answer = await client.get(f"{API}/agents", headers=[(b"cookie", f"console={forged}".encode())])
        assert answer.status_code == 401
    assert (await client.get(f"{API}/agents", headers={"cookie": f"console={ends}.{proof}"})).status_code == 200
    settings = GatewaySettings.model_validate({"ringover_webhook_secret": "k", "admin_token": ADMIN})
    monkeypatch.setattr("time.time", lambda: float(ends) + 1)
    assert not Access(settings)._is_session(f"{ends}.{proof}", ADMIN)


async def test_answers_bind_the_browser(client: httpx.AsyncClient) -> None:
    for path, cache in (
        ("/console", "no-cache"),
        ("/console/", "no-cache"),
        ("/console/static/index.html", "no-cache"),
        ("/console/static/nothing", "no-cache"),
        (f"{API}/agents", "no-store"),
    ):
        headers = (await client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == cache
    assert "content-security-policy" not in (await client.get("/health")).headers


async def test_the_page_and_its_files_are_there(client: httpx.AsyncClient) -> None:
    page = await client.get("/console")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.text == (await client.get("/console/")).text
    files = re.findall(r'(?:src|href)="(/console/static/[^"]+)"', page.text)
    assert files
    for file in files:
        assert (await client.get(file)).status_code == 200
    assert (await client.get("/console/static/../access.py")).status_code == 404
    assert (await client.get("/console/static/%2e%2e/access.py")).status_code == 404


async def test_a_body_is_short_and_says_how_short(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{API}/calls/c1/say", content=b"x" * 20_000)
    assert answer.status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"

    assert (await client.post(f"{API}/calls/c1/say", content=pieces())).status_code == 411


def test_the_streamers_address_is_a_websockets() -> None:
    settings = GatewaySettings.model_validate(
        {"ringover_webhook_secret": KEY, "streamer_public_url": "wss://voice.example.com:8443/ws/"}
    )
    assert settings.streamer_public_url == "wss://voice.example.com:8443"
    with pytest.raises(ValueError, match="absolute ws:// or wss://"):
        GatewaySettings.model_validate({"ringover_webhook_secret": KEY, "streamer_public_url": "https://voice"})
