"""Every door of the gateway and the streamer, and which of them are open to anyone."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from fastapi.routing import APIRoute

from callbus.broker import Broker
from streamer.gate import MEDIA_PATH
from support.gateway_process import ENDPOINT
from support.gateway_webhooks import ADMIN, AUTHORIZED, envelope, post
from support.streamer_process import Streamer
from webhook_gateway.app import create_app
from webhook_gateway.settings import GatewaySettings

PUBLIC = {
    "/health",
    "/ready",
    "/metrics",
    "/api/v1/status",
    "/openapi.json",
    "/console",
    "/console/",
}
SHIPPED = {"/console/static"}
CONSOLE = "/console/api/"
"""Below it, nothing is open: see tests/gateway/console/test_access.py."""
SIGNED = {ENDPOINT, ENDPOINT + "/{path_secret}"}
ADMINS = {"/api/v1/calls", "/api/v1/calls/{call_id}"}


def routes(redis_url: str) -> dict[str, set[str]]:
    """Every path of the gateway with its methods."""
    settings = GatewaySettings.model_validate({"ringover_webhook_secret": "k", "redis_url": redis_url})
    app = create_app(settings, Broker(redis_url), gateway_id="g")
    found = {route.path: set(route.methods or ()) for route in app.routes if isinstance(route, APIRoute)}
    described = {path: {name.upper() for name in methods} for path, methods in app.openapi()["paths"].items()}
    return {**{route.path: {"GET", "HEAD"} for route in app.routes if hasattr(route, "path")}, **described, **found}


async def test_every_path_of_the_gateway_is_public_signed_or_the_admins(redis_url: str) -> None:
    found = {path: methods for path, methods in routes(redis_url).items() if not path.startswith(CONSOLE)}
    assert set(found) == PUBLIC | SIGNED | ADMINS | SHIPPED
    assert {method for path in PUBLIC | ADMINS for method in found[path]} <= {"GET", "HEAD"}
    assert {method for path in SIGNED for method in found[path]} == {"POST"}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {ADMIN[:-1]}"},
        {"authorization": f"Bearer {ADMIN}x"},
        {"authorization": f"Basic {ADMIN}"},
        {"x-admin-token": ADMIN},
        {"cookie": f"ADMIN_TOKEN={ADMIN}"},
    ],
)
async def test_calls_are_for_the_admin_only(client: httpx.AsyncClient, given: dict[str, str]) -> None:
    await post(client, envelope("ringing", "seen-by-whom"))
    for path in ADMINS:
        for where in (path.format(call_id="seen-by-whom"), path.format(call_id="seen-by-whom") + f"?token={ADMIN}"):
            answer = await client.get(where, headers=given)
            assert answer.status_code == 401
            assert "seen-by-whom" not in answer.text
    assert "seen-by-whom" in (await client.get("/api/v1/calls", headers=AUTHORIZED)).text


async def test_what_is_public_shows_no_call(client: httpx.AsyncClient) -> None:
    await post(client, envelope("ringing", "a-secret-meeting"))
    for path in PUBLIC:
        answer = await client.get(path)
        assert answer.status_code == 200
        assert not re.search(r"a-secret-meeting|33612345678|33184800000", answer.text)


async def test_the_streamers_doors(attacked: Streamer, token: str) -> None:
    for path in ("/health", "/ready", "/metrics"):
        status, page = await attacked.get(path)
        assert status == 200
        assert token not in page
    assert set(json.loads((await attacked.get("/health"))[1])) == {
        "status",
        "sessions",
        "capacity",
        "fallback",
        "draining",
        "ready",
    }
    for path in (MEDIA_PATH, f"{MEDIA_PATH}/", f"{MEDIA_PATH}/c1", f"{MEDIA_PATH}/t/x", f"{MEDIA_PATH}?token={token}x"):
        assert (await attacked.get(path))[0] == 401
    for path in ("/", "/docs", "/calls", "/api/v1/calls", "/debug", "/metrics/", "//health", "/%2e%2e/health"):
        assert (await attacked.get(path))[0] == 404
