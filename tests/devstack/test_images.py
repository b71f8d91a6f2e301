"""What must hold for every image and for docker-compose.yml, as far as it can be seen without an engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("webhook-gateway", "streamer", "ai-worker", "simulator")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_plain_pinned_and_not_root(service: str) -> None:
    text = (ROOT / service / "Dockerfile").read_text()
    assert "# syntax" not in text
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:3.12-slim"}
    assert f"COPY locks/{service}.txt" in text
    for install in re.findall(r"pip install(?:[^&\n\\]|\\\n)*", text):
        assert "--no-deps" in install
        assert "--require-hashes" in install or "--no-index" in install
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["callbus"]


@pytest.mark.parametrize("name", sorted(set(COMPOSE) - {"redis"}))
def test_a_container_may_do_little(name: str) -> None:
    service = COMPOSE[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["depends_on"] == {"redis": {"condition": "service_healthy"}}


def test_workers_can_be_many() -> None:
    assert "container_name" not in COMPOSE["ai-worker"]
    assert "ports" not in COMPOSE["ai-worker"]


def test_only_the_two_ports_are_published_and_only_here() -> None:
    assert {name: service["ports"] for name, service in COMPOSE.items() if "ports" in service} == {
        "webhook-gateway": ["${BIND_ADDRESS:-127.0.0.1}:${GATEWAY_PORT:-8000}:8000"],
        "streamer": ["${BIND_ADDRESS:-127.0.0.1}:${STREAMER_PORT:-8765}:8765"],
    }


def test_recordings_and_records_meet_in_one_volume() -> None:
    assert "calls:/data/calls" in COMPOSE["streamer"]["volumes"]
    assert "calls:/data/calls" in COMPOSE["ai-jobs"]["volumes"]
