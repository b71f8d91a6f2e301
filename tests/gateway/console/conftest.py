"""One gateway process for a module's tests, with a folder of calls, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.gateway_process import Gateway, gateway
from support.gateway_signing import KEY
from support.gateway_webhooks import ADMIN


@pytest.fixture(scope="module")
def calls_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calls")


@pytest.fixture(scope="module")
def more_settings() -> dict[str, str]:
    """What a module may have otherwise."""
    return {"STREAMER_TOKEN": "let me/in"}


@pytest.fixture(scope="module")
def running(
    redis_server: str, tmp_path_factory: pytest.TempPathFactory, calls_dir: Path, more_settings: dict[str, str]
) -> Iterator[Gateway]:
    with gateway(
        tmp_path_factory.mktemp("gateway"),
        REDIS_URL=redis_server,
        RINGOVER_WEBHOOK_SECRET=KEY,
        ADMIN_TOKEN=ADMIN,
        CALLS_DIR=str(calls_dir),
        **more_settings,
    ) as process:
        yield process
