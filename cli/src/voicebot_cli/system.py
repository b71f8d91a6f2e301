"""Which running system a command talks to: its addresses and secrets."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, field
from pathlib import Path

from callbus.settings import load
from devstack.dev import running_dev_stack
from devstack.stack import ROOT
from voicebot_cli.settings import CliSettings, plain

NAME = "ringover-voicebot"


@dataclass(frozen=True, slots=True)
class System:
    """A running system. URLs are http(s), ws(s) and redis(s); the secrets stay out of its representation."""

    settings: CliSettings = field(repr=False)
    gateway_url: str
    streamer_url: str
    redis_url: str = field(repr=False)
    webhook_key: str = field(repr=False)
    """What webhooks are signed with; "" when none is set."""
    streamer_token: str | None = field(repr=False)
    calls_dir: Path


def add_options(parser: ArgumentParser) -> None:
    """The options that say where the system runs."""
    where = parser.add_argument_group(
        "where the system runs", "default: what `make dev` runs here; else the settings' ports on this machine"
    )
    where.add_argument("--gateway", metavar="URL", help="http://host:port of the webhook-gateway")
    where.add_argument("--streamer", metavar="URL", help="ws://host:port of the streamer")
    where.add_argument("--redis", metavar="URL", help="redis://host:port/db; default: $REDIS_URL")
    where.add_argument("--out", type=Path, default=ROOT / "out", help="the folder that `make dev` writes to")


def locate(arguments: Namespace) -> System:
    """Options win, then the environment, then what `make dev` runs, then `.env`. Wrong settings end the process."""
    settings = load(CliSettings, NAME)
    dev = running_dev_stack(arguments.out)

    def chosen(option: str | None, variables: str, running: str | None, otherwise: str) -> str:
        if option:
            return option
        in_environment = any(os.environ.get(variable) for variable in variables.split())
        return otherwise if in_environment or not running else running

    token = plain(settings.streamer_token)
    return System(
        settings,
        gateway_url=chosen(
            arguments.gateway,
            "GATEWAY_PORT",
            dev.gateway_url if dev else None,
            f"http://localhost:{settings.gateway_port}",
        ).rstrip("/"),
        streamer_url=chosen(
            arguments.streamer,
            "STREAMER_PORT",
            dev.streamer_url if dev else None,
            f"ws://localhost:{settings.streamer_port}/ws",
        ),
        redis_url=chosen(arguments.redis, "REDIS_URL", dev.redis_url if dev else None, settings.redis_url),
        webhook_key=chosen(None, "RINGOVER_WEBHOOK_SECRET", dev.webhook_secret if dev else None, settings.webhook_key),
        streamer_token=chosen(None, "STREAMER_TOKEN", dev.streamer_token if dev else None, token or "") or None,
        calls_dir=settings.calls_dir,
    )
