"""The two doors that Ringover comes in by: the gateway's webhooks and the streamer's media connections."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

from ringover_sim.webhooks import endpoint
from voicebot_cli.check.verdict import Verdict, right, unset, wrong
from voicebot_cli.check.web import NoAnswer, ask, said
from voicebot_cli.errors import CliError
from voicebot_cli.gateway import HOW, gateway_of
from voicebot_cli.sign import signed_headers
from voicebot_cli.status import fetch
from voicebot_cli.system import System

PROBE = b'{"check":"signature"}'
"""Signed rightly, it is answered with the scheme of its signature: nothing is published, and nothing is refused."""
HANDSHAKE_S = 5.0
DASHBOARD = "the key stands in the Ringover dashboard, Developer → Webhooks"


async def check_gateway(system: System) -> Verdict:
    """Whether it runs, and what it says of the whole system."""
    try:
        status = await fetch(system.gateway_url)
    except CliError as error:
        return wrong("gateway", str(error), "start it, or set GATEWAY_PORT (or give --gateway)")
    if problems := status["problems"]:
        return wrong("gateway", f"{system.gateway_url} says: {'; '.join(problems)}", "start what is missing")
    return right("gateway", f"{system.gateway_url}: {status['status']}")


async def check_admin_token(system: System) -> Verdict:
    """Whether the gateway shows calls to who has the token that is set here."""
    if system.admin_token is None:
        return unset("admin token", "none: calls can't be seen from here, nor in the console", HOW)
    try:
        async with gateway_of(system) as gateway:
            await gateway.calls(1)
    except CliError as error:
        return wrong("admin token", str(error), "see that the gateway runs, and has the ADMIN_TOKEN that is set here")
    return right("admin token", "the gateway shows its calls")


async def check_secret(system: System) -> Verdict:
    """Whether webhooks are signed at all."""
    if not system.webhook_key:
        return wrong("webhook secret", "none", f"set RINGOVER_WEBHOOK_SECRET in .env; {DASHBOARD}")
    return right("webhook secret", "set")


async def check_webhook(system: System) -> Verdict:
    """A signed webhook to the gateway here."""
    if not system.webhook_key:
        return unset("signed webhook", "not tried: there is no secret to sign with")
    return await _post("signed webhook", system, endpoint(system.gateway_url), proxy=False)


async def check_public_url(system: System) -> Verdict:
    """A signed webhook by the way that Ringover's take."""
    public = system.settings.public_endpoint
    if public is None:
        todo = "set WEBHOOK_PUBLIC_URL to the URL in the Ringover dashboard; behind a proxy V3 needs it"
        return unset("public URL", "WEBHOOK_PUBLIC_URL is not set", todo)
    if not system.webhook_key:
        return unset("public URL", "not tried: there is no secret to sign with")
    return await _post("public URL", system, public, proxy=True)


async def _post(what: str, system: System, url: str, *, proxy: bool) -> Verdict:
    try:
        answer = await ask("POST", url, headers=signed_headers(system, PROBE, url), body=PROBE, proxy=proxy)
    except NoAnswer as error:
        return wrong(what, str(error), "see that the gateway runs, and that this URL leads to it")
    if scheme := _checked(answer):
        if scheme == "none":
            todo = "set RINGOVER_WEBHOOK_SECRET for the gateway too, and restart it"
            return wrong(what, f"{url}: the gateway has no secret and takes whatever is posted", todo)
        return right(what, f"{url}: the signature is accepted")
    if answer.status_code == 401:
        todo = "the gateway's RINGOVER_WEBHOOK_SECRET or WEBHOOK_PUBLIC_URL is another one: set the same, restart it"
        return wrong(what, f"{url}: {said(answer)}", todo)
    return wrong(what, f"{url}: {said(answer)}", "this is not the webhook-gateway: correct the URL, or the proxy")


def _checked(answer: httpx.Response) -> str:
    """The scheme by which the gateway found the signature right, "none" when it looks at none; else ""."""
    try:
        said_so = answer.json() if answer.status_code == 200 else None
    except ValueError:
        return ""
    return str(said_so.get("scheme", "")) if isinstance(said_so, dict) and said_so.get("status") == "checked" else ""


async def check_streamer(system: System) -> Verdict:
    """Whether the streamer answers a media server's handshake that has the token, without beginning a call."""
    what, token = "streamer", system.streamer_token
    try:
        status, words = await handshake(system.streamer_url, token)
    except OSError as error:
        reason = str(error) or f"no answer within {HANDSHAKE_S:.0f} s"
        todo = "start it, or set STREAMER_PORT (or give --streamer)"
        return wrong(what, f"{system.streamer_url}: {reason}", todo)
    if status == 401:
        return wrong(what, f"the token is refused: {words}", "set STREAMER_TOKEN to the streamer's own; restart it")
    if status != 400:
        return wrong(what, f"{system.streamer_url}: HTTP {status} {words}", "this is not the streamer: correct the URL")
    if token is None:
        todo = "set STREAMER_TOKEN, and put ?token=… behind the URL in the Ringover dashboard"
        return right(what, f"{system.streamer_url}: anyone may connect, no token is set", todo)
    return right(what, f"{system.streamer_url}: the token is accepted")


async def handshake(url: str, token: str | None) -> tuple[int, str]:
    """HTTP status and words of the answer to a handshake for an impossible sample rate. The token is judged before it,
    and no call begins. Raises OSError (TimeoutError too) when nobody answers."""
    parts = urlsplit(url)
    query = "sample_rate=0" + (f"&token={quote(token, safe='')}" if token else "")
    target = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") or "/ws", query, ""))
    try:
        async with connect(target, proxy=None, open_timeout=HANDSHAKE_S, close_timeout=1.0):
            return 101, "it opens connections that it should refuse"
    except InvalidStatus as error:
        return error.response.status_code, error.response.body.decode(errors="replace").strip()[:160]
    except InvalidURI as error:
        raise OSError(f"no ws:// or wss:// URL: {url}") from error
    except InvalidHandshake as error:
        raise OSError(f"no WebSocket: {error}") from error
