"""Which system a command talks to, and what of the settings the tests' own system is given."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from pathlib import Path

import pytest

from devstack import dev
from voicebot_cli.bots.command import environment_for
from voicebot_cli.errors import CliError
from voicebot_cli.settings import CliSettings
from voicebot_cli.system import System, locate


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in CliSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def located(out: Path, **options: str) -> System:
    return locate(Namespace(**({"gateway": None, "streamer": None, "redis": None, "out": out} | options)))


def make_dev(out: Path) -> None:
    """What `make dev` leaves while it runs: its process is this one."""
    state = {
        "pid": os.getpid(),
        "gateway_url": "http://127.0.0.1:1111",
        "streamer_url": "ws://127.0.0.1:2222/ws",
        "webhook_secret": "of-dev",
        "streamer_token": "",
        "redis_url": "redis://127.0.0.1:3333/0",
        "admin_token": "admin-of-dev",
        "calls_dir": "/calls/of-dev",
    }
    (out / "dev").mkdir()
    (out / "dev" / "stack.json").write_text(json.dumps(state))


def test_options_stand_before_the_environment_before_make_dev_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PORT=4444\nRINGOVER_WEBHOOK_SECRET=of-the-file\n")
    assert located(tmp_path).gateway_url == "http://localhost:4444"
    make_dev(tmp_path)
    here = located(tmp_path)
    assert (here.gateway_url, here.redis_url) == ("http://127.0.0.1:1111", "redis://127.0.0.1:3333/0")
    assert (here.webhook_key, here.streamer_token) == ("of-dev", None)
    assert (here.admin_token, here.calls_dir) == ("admin-of-dev", Path("/calls/of-dev"))
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere:6379/1")
    assert located(tmp_path).redis_url == "redis://elsewhere:6379/1"
    assert not located(tmp_path).redis_asked_for
    there = located(tmp_path, redis="redis://there:6379/2")
    assert (there.redis_url, there.redis_asked_for) == ("redis://there:6379/2", True)
    monkeypatch.setenv("CALLS_DIR", "mine")
    monkeypatch.setenv("ADMIN_TOKEN", "mine-too")
    assert (located(tmp_path).admin_token, located(tmp_path).calls_dir) == ("mine-too", Path("mine"))


def test_nothing_of_make_dev_is_told_to_another_gateway(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ADMIN_TOKEN=of-the-file\nRINGOVER_WEBHOOK_SECRET=of-the-file\n")
    make_dev(tmp_path)
    for url in ("https://voicebot.example.com", "http://127.0.0.1:1112", "http://elsewhere:1111"):
        other = located(tmp_path, gateway=url)
        assert (other.admin_token, other.webhook_key) == ("of-the-file", "of-the-file")
        assert (other.redis_url, other.calls_dir) == ("redis://localhost:6379/0", Path("out/calls"))
    for url in ("http://127.0.0.1:1111", "http://localhost:1111"):
        assert located(tmp_path, gateway=url).admin_token == "admin-of-dev"


def test_secrets_are_in_no_representation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGOVER_WEBHOOK_SECRET", "never-shown, another")
    monkeypatch.setenv("STREAMER_TOKEN", "never-shown-either")
    monkeypatch.setenv("ADMIN_TOKEN", "never-shown-at-all")
    here = located(tmp_path)
    assert (here.webhook_key, here.streamer_token) == ("never-shown", "never-shown-either")
    assert "never-shown" not in repr(here)


def test_the_tests_own_system_gets_providers_and_named_secrets_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "OPENAI_API_KEY": "k",
        "STT_PROVIDERS": "openai",
        "RINGOVER_API_KEY": "no",
        "WEBHOOK_PUBLIC_URL": "https://no",
        "SHOP_KEY": "s",
    }
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    agents = {"AGENTS_DIR": str(tmp_path / "agents")}
    ours = environment_for(Path("agents"), True, ["SHOP_KEY"])
    assert {name: ours.get(name) for name in settings} == {
        "OPENAI_API_KEY": "k",
        "STT_PROVIDERS": "openai",
        "RINGOVER_API_KEY": None,
        "WEBHOOK_PUBLIC_URL": None,
        "SHOP_KEY": "s",
    }
    assert environment_for(Path("agents"), False, []) == agents
    with pytest.raises(CliError, match="--env NOT_THERE"):
        environment_for(Path("agents"), False, ["NOT_THERE"])
