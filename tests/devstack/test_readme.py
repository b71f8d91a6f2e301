"""The README's own commands: what it shows is what a reader gets."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from pathlib import Path

from callbus.broker import Broker
from support.gateway_process import gateway

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks() -> list[str]:
    return [body for _, body in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)]


async def test_the_signed_webhook_by_hand_is_accepted(tmp_path: Path, redis_url: str, broker: Broker) -> None:
    [command] = [block for block in blocks() if "curl -X POST" in block]
    (tmp_path / "out" / "dev").mkdir(parents=True)
    (tmp_path / "out" / "dev" / "secrets.json").write_text(json.dumps({"webhook_secret": "a-secret-of-the-tests"}))
    with gateway(tmp_path, REDIS_URL=redis_url, RINGOVER_WEBHOOK_SECRET="a-secret-of-the-tests") as running:
        done = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-c", command.replace("http://localhost:8000", running.url)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            env={"PATH": os.environ["PATH"], "no_proxy": "127.0.0.1"},
        )
    assert json.loads(done.stdout) == {"status": "accepted", "call_id": "test123"}, done.stderr


def test_every_make_target_and_every_file_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)", README))
    assert named
    assert named <= targets
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
    for folder in re.findall(r"^\| `([a-z-]+)/` \|", README, re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder
