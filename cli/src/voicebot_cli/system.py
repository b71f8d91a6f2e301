"""Which running system a command talks to: its addresses and secrets."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from callbus.settings import RedisUrl, load
from devstack.dev import running_dev_stack
from devstack.placed import Target
from devstack.stack import ROOT
from voicebot_cli.errors import CliError
from voicebot_cli.settings import CliSettings, plain

NAME = "ringover-voicebot"
_NOTHING = Target("", "", "")
"""No `make dev`, or none that is meant."""


@dataclass(frozen=True, slots=True)
class System:
    """A running system. URLs are http(s), ws(s) and redis(s); the secrets stay out of its representation."""

    settings: CliSettings = field(repr=False)
    gateway_url: str
    streamer_url: str
    redis_url: str = field(repr=False)
    """Where Redis may be reached from here; in docker compose it is not."""
    redis_asked_for: bool
    """Whether it was named by an option: then it must be there."""
    webhook_key: str = field(repr=False)
    """What webhooks are signed with; "" when none is set."""
    streamer_token: str | None = field(repr=False)
    admin_token: str | None = field(repr=False)
    """Opens the gateway's calls."""
    calls_dir: Path


def add_options(parser: ArgumentParser, *, redis: bool) -> None:
    """The options that say where the system runs; `redis` for the command that looks at it itself."""
    where = parser.add_argument_group(
        "where the system runs", "default: what `make dev` runs here; else the settings' ports on this machine"
    )
    where.add_argument("--gateway", metavar="URL", help="http://host:port of the webhook-gateway")
    where.add_argument("--streamer", metavar="URL", help="ws://host:port of the streamer")
    if redis:
        where.add_argument(
            "--redis", metavar="URL", help="redis://host:port/db; default: $REDIS_URL, or as the gateway sees it"
        )
    where.add_argument("--out", type=Path, default=ROOT / "out", help="the folder that `make dev` writes to")


def locate(arguments: Namespace) -> System:
    """Options win, then the environment, then what `make dev` runs, then `.env`. Another gateway than that of `make
    dev` is another system: nothing of the one is told to the other. Raises CliError; wrong settings end the process.
    """
    settings = load(CliSettings, NAME)
    _require_url("--gateway", arguments.gateway, "http", "https")
    _require_url("--streamer", arguments.streamer, "ws", "wss")
    redis_option: str | None = getattr(arguments, "redis", None)
    _require_redis_url(redis_option)
    dev = running_dev_stack(arguments.out) or _NOTHING

    def chosen(option: str | None, variable: str, running: str | None, otherwise: str | None) -> str:
        return option or (not os.environ.get(variable) and running) or otherwise or ""

    here = f"http://localhost:{settings.gateway_port}"
    gateway_url = chosen(arguments.gateway, "GATEWAY_PORT", dev.gateway_url, here).rstrip("/")
    if not _is_local(gateway_url, dev.gateway_url):
        dev = _NOTHING
    streamer_here = f"ws://localhost:{settings.streamer_port}/ws"
    return System(
        settings,
        gateway_url=gateway_url,
        streamer_url=chosen(arguments.streamer, "STREAMER_PORT", dev.streamer_url, streamer_here),
        redis_url=chosen(redis_option, "REDIS_URL", dev.redis_url, settings.redis_url),
        redis_asked_for=redis_option is not None,
        webhook_key=chosen(None, "RINGOVER_WEBHOOK_SECRET", dev.webhook_secret, settings.webhook_key),
        streamer_token=chosen(None, "STREAMER_TOKEN", dev.streamer_token, plain(settings.streamer_token)) or None,
        admin_token=chosen(None, "ADMIN_TOKEN", dev.admin_token, plain(settings.admin_token)) or None,
        calls_dir=dev.calls_dir if dev.calls_dir and not os.environ.get("CALLS_DIR") else settings.calls_dir,
    )


def _is_local(url: str, running: str) -> bool:
    """Whether a URL leads to what runs on this machine at another one."""
    one, other = urlsplit(url), urlsplit(running)
    return one.port == other.port and one.hostname in ("localhost", other.hostname)


def _require_url(option: str, url: str | None, *schemes: str) -> None:
    if url is None:
        return
    try:
        parts = urlsplit(url)
        if parts.scheme in schemes and parts.hostname and parts.port != 0:
            return
    except ValueError:
        pass
    raise CliError(f"{option} {url}: expected {schemes[0]}://host:port")


def _require_redis_url(url: str | None) -> None:
    try:
        TypeAdapter(RedisUrl).validate_python(url or "redis://localhost")
    except ValidationError as error:
        # Not the URL itself, which may hold a password.
        raise CliError(f"--redis: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
