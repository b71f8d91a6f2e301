"""What is generated in docs/ is what the code generates today."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from streamer import commands

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def described() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
    return found


def test_the_committed_files_are_what_the_code_generates(tmp_path: Path) -> None:
    # Elsewhere, so that a developer's .env has no part in it.
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs.py", "--check"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_setting_of_env_example_is_in_the_reference() -> None:
    named = set(re.findall(r"^#([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    rows = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", (DOCS / "configuration.md").read_text(), re.MULTILINE))
    assert rows == named - {"REDIS_PASSWORD", "BIND_ADDRESS", "WORKERS"}


def test_the_openapi_paper_has_the_webhooks_and_every_path_an_answer() -> None:
    paper = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
    assert "post" in paper["paths"]["/api/v1/webhooks/ringover/event"]
    assert all(call["responses"] for path in paper["paths"].values() for call in path.values())


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for inner in value.values() for found in references(inner)]
    return [found for inner in value for found in references(inner)] if isinstance(value, list) else []


def test_every_reference_of_the_asyncapi_paper_leads_somewhere() -> None:
    paper = described()
    found = [name for name in references(paper) if not name.startswith("#/$defs/")]
    assert len(found) > 50
    for reference in found:
        place: Any = paper
        for part in reference.removeprefix("#/").split("/"):
            assert part in place, reference
            place = place[part]


def test_the_asyncapi_paper_knows_every_message_that_the_streamer_sends() -> None:
    examples = [
        example["payload"]
        for name, message in described()["components"]["messages"].items()
        if name.startswith("media.")
        for example in message.get("examples", ())
    ]
    sent = [
        commands.play("https://test.com/test.mp3"),
        commands.break_(),
        commands.digits("123"),
        commands.transfer("33184800000"),
        commands.stream_audio(b"\0\0", 8000),
    ]
    assert all(json.loads(text) in examples for text in sent)


def test_commands_of_the_bus_and_of_the_wire_are_different_messages() -> None:
    messages = described()["components"]["messages"]
    assert messages["commands.transfer"]["payload"]["properties"]["k"] == {"const": "transfer"}
    assert messages["media.transfer"]["payload"]["properties"]["event"] == {"const": "transfer"}
    assert set(messages["mediaIn.audio"]["payload"]["properties"]) == {"k", "t", "p", "d"}
