"""Scripted calls and a replay through whole systems of real processes, with real speech."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.stack import LocalStack
from support.cli_process import Ran, run
from support.waiting import until
from support.whole_calls import running

pytestmark = [pytest.mark.long, pytest.mark.speech, pytest.mark.timeout(150)]

AGENT = """\
name: shop
default: true
language: en
greeting: {greeting}
instructions: Be brief.
recording: true
rules:
  - when:
      - /(good ?)?bye/
    do: hang_up
    say: See you soon.
"""
CALL = """\
name: goodbye
greeting:
  says: Hello
turns:
  - say: Thank you, goodbye.
    expect:
      says: soon
      never_says: see you
      hangs_up: true
      within_ms: 5000
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bots")
    (made / "agents" / "tests").mkdir(parents=True)
    (made / "agents" / "shop.yaml").write_text(AGENT.format(greeting="Hello there."))
    (made / "agents" / "tests" / "goodbye.yaml").write_text(CALL)
    return made


@pytest.fixture(scope="module")
def later(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A system whose agent says something else than the one of the recorded call."""
    agents = tmp_path_factory.mktemp("later")
    (agents / "shop.yaml").write_text(AGENT.format(greeting="We are closed today."))
    directory = tmp_path_factory.mktemp("stack")
    with running(directory, env={"AGENTS_DIR": str(agents), "STREAMER_TOKEN": "a-token-for-the-tests"}) as stack:
        yield stack


@pytest.fixture(scope="module")
def tested(folder: Path) -> Ran:
    return asyncio.run(run(folder, "test-agents", "--keep", "kept"))


def test_a_call_is_placed_and_the_line_that_does_not_hold_is_named(folder: Path, tested: Ran) -> None:
    assert tested.code == 1, tested.err
    lines = tested.out.splitlines()
    assert next(line for line in lines if line.startswith("✗ goodbye"))
    assert any(line.endswith("“See you soon.”  [hangup]") for line in lines)
    assert [line.strip() for line in lines if ".yaml:" in line] == [
        "agents/tests/goodbye.yaml:8: the bot said 'see you'"
    ]
    assert "0 of 1 calls went as expected" in lines


async def test_a_recorded_call_is_said_again_to_another_agent(
    folder: Path, tested: Ran, later: LocalStack, tmp_path: Path
) -> None:
    [recorded] = (folder / "kept" / "calls").iterdir()
    ran = await run(
        tmp_path,
        *("replay", recorded.name, "--calls-dir", str(recorded.parent)),
        *("--gateway", later.gateway_url, "--streamer", later.streamer_url),
        ADMIN_TOKEN=later.admin_token,
        RINGOVER_WEBHOOK_SECRET=later.webhook_secret,
        STREAMER_TOKEN=later.streamer_token,
    )
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert "  - heard       Hello there." in lines
    assert "  + heard       We are closed today." in lines
    assert "  = heard       See you soon." in lines
    assert "  = done        hangup" in lines
    assert "  = ended by    bot" in lines
    # How long an answer took may differ as well, on a machine that has much to do.
    assert [line for line in lines if line.startswith("  - ")] == ["  - heard       Hello there."]
    assert lines[-1].endswith(" of 3 parts differ")
    [again] = [call for call in later.calls_dir.iterdir() if call.name.startswith("replay-")]
    await until((again / "call.json").exists, timeout=20)
    assert json.loads((again / "call.json").read_text())["turns"][1]["caller"]["text"] == _words(recorded)


async def test_the_doctor_finds_a_running_system_right(later: LocalStack, tmp_path: Path) -> None:
    ran = await run(
        tmp_path,
        *("check", "--gateway", later.gateway_url, "--streamer", later.streamer_url, "--redis", later.redis_url),
        RINGOVER_WEBHOOK_SECRET=later.webhook_secret,
        STREAMER_TOKEN=later.streamer_token,
        ADMIN_TOKEN=later.admin_token,
        AGENTS_DIR="nowhere",
    )
    wrong = [line for line in ran.out.splitlines() if line.startswith("✗")]
    assert len(wrong) == 1
    assert wrong[0].startswith("✗ agents")
    assert ran.code == 1
    assert later.webhook_secret not in ran.out
    assert later.streamer_token not in ran.out


async def test_wrong_files_are_told_before_anything_is_started(folder: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(CALL.replace("within_ms", "withn_ms"))
    ran = await run(folder, "test-agents", str(wrong))
    assert ran.code == 2
    assert f"{wrong}:10: turns[0].expect.withn_ms: unknown; did you mean within_ms?" in ran.err
    assert ran.out == ""


def _words(recorded: Path) -> str:
    words: str = json.loads((recorded / "call.json").read_text())["turns"][1]["caller"]["text"]
    return words
