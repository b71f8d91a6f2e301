"""The gateway's calls as the commands read them, with ADMIN_TOKEN: Redis need not be reachable from here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from callbus import transcript
from callbus.errors import BadMessage
from voicebot_cli.errors import CliError, GatewayAway
from voicebot_cli.system import System

TIMEOUT_S = 10.0
FILE_TIMEOUT_S = 60.0
"""A file may have to come from a bucket first."""
MOST_CALLS = 500
"""What `GET /api/v1/calls` lists at most."""
HOW = "`make up` writes one into .env: run this in that folder, or set ADMIN_TOKEN"


class Gateway:
    """Reads calls. Every method raises CliError for a refusal, and GatewayAway when it may answer later."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def calls(self, limit: int) -> list[dict[str, Any]]:
        """The newest first, at most MOST_CALLS: what is known of each call, without its transcript."""
        answer = await self.get("/api/v1/calls", limit=str(min(limit, MOST_CALLS)))
        listed: list[dict[str, Any]] = _body(answer)["calls"]
        return listed

    async def call(self, call_id: str, *, after: str = "") -> dict[str, Any] | None:
        """What is known of a call, with the entries of its transcript after that id; None for an unknown call."""
        answer = await self.get(f"/api/v1/calls/{call_id}", **({"after": after} if after else {}))
        return None if answer.status_code == httpx.codes.NOT_FOUND else _body(answer)

    async def get(self, path: str, **query: str) -> httpx.Response:
        """An answer that is good, or says that there is no such thing (404)."""
        request = self._http.build_request("GET", path, params=query)
        answer = await self._send(request)
        try:
            await _require(answer)
            await answer.aread()
        except httpx.HTTPError as error:
            raise _away(request.url, error) from error
        finally:
            await answer.aclose()
        return answer

    @asynccontextmanager
    async def file(self, path: str) -> AsyncIterator[httpx.Response]:
        """A good answer, or a 404, whose body is still to be read."""
        request = self._http.build_request("GET", path, timeout=FILE_TIMEOUT_S)
        answer = await self._send(request)
        try:
            await _require(answer)
            yield answer
        except httpx.HTTPError as error:
            raise _away(request.url, error) from error
        finally:
            await answer.aclose()

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._http.send(request, stream=True)
        except httpx.HTTPError as error:
            raise _away(request.url, error) from error


@asynccontextmanager
async def gateway_of(system: System) -> AsyncIterator[Gateway]:
    """The gateway of a system. Raises CliError where there is no token to show it."""
    if system.admin_token is None:
        raise CliError(f"the gateway shows calls to who has its ADMIN_TOKEN, and none is set; {HOW}")
    async with opened(system.gateway_url, system.admin_token) as gateway:
        yield gateway


@asynccontextmanager
async def opened(url: str, admin_token: str) -> AsyncIterator[Gateway]:
    """The gateway at `url`."""
    headers = {b"Authorization": f"Bearer {admin_token.strip()}".encode()}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as http:
        yield Gateway(http)


def entry_of(shown: Mapping[str, Any]) -> transcript.Entry:
    """An entry of a transcript as the gateway shows it; one that can't be read is a note that says so."""
    # An action's own `kind` stands where the entry's would.
    is_action = "action_id" in shown
    values = {name: value for name, value in shown.items() if name != "id" and (is_action or name != "kind")}
    kind = b"action" if is_action else str(shown.get("kind", "")).encode()
    try:
        return transcript.decode({b"k": kind, b"j": json.dumps(values).encode()})
    except BadMessage as error:
        at = float(str(shown["id"]).partition("-")[0]) / 1000
        return transcript.Noted(at, str(shown.get("unreadable", error)))


async def _require(answer: httpx.Response) -> None:
    if answer.is_success or answer.status_code == httpx.codes.NOT_FOUND:
        return
    await answer.aread()
    said = f"{answer.url.copy_with(query=None)}: HTTP {answer.status_code}: {_words(answer)}"
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise CliError(f"{said}; set ADMIN_TOKEN here to the gateway's own")
    if answer.is_server_error:
        raise GatewayAway(said)
    raise CliError(f"{said}; is this the webhook-gateway?")


def _away(url: httpx.URL, error: httpx.HTTPError) -> GatewayAway:
    reason = str(error) or type(error).__name__
    return GatewayAway(
        f"no answer from {url.copy_with(query=None)}: {reason}; start the gateway (`make dev`, `make up`) or say where "
        "it runs with --gateway"
    )


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json() if answer.is_success else None
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise CliError(f"{answer.url.copy_with(query=None)}: HTTP {answer.status_code}; is this the webhook-gateway?")
    return body


def _words(answer: httpx.Response) -> str:
    try:
        body = answer.json()
        return f"{body['error']}; {body['hint']}"
    except (ValueError, KeyError, TypeError):
        return " ".join(answer.text.split())[:160] or answer.reason_phrase
