"""Agents' files that change while the worker runs, and the command that checks them."""

from __future__ import annotations

import asyncio
import os
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ai_worker.agent_check import check_agents
from ai_worker.agent_watch import AgentWatcher
from ai_worker.agents import AgentError
from support.waiting import until

REPOSITORY = Path(__file__).resolve().parents[2]
GOOD = "name: lib\ngreeting: Hello.\ninstructions: Be brief.\n"


@asynccontextmanager
async def watching(directory: Path) -> AsyncIterator[AgentWatcher]:
    watcher = AgentWatcher(directory)
    task = asyncio.create_task(watcher.run(poll_s=0.01))
    try:
        yield watcher
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_new_calls_get_the_new_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    async with watching(tmp_path) as watcher:
        before = watcher.book
        (tmp_path / "a.yaml").write_text(GOOD.replace("Hello", "Welcome"))
        await until(lambda: watcher.book.default.greeting == "Welcome.")
        assert before.default.greeting == "Hello."
        (tmp_path / "b.yml").write_text(GOOD.replace("lib", "two") + "numbers: ['331*']\n")
        await until(lambda: watcher.book.for_number("33184800000").name == "two")
        (tmp_path / "b.yml").unlink()
        await until(lambda: watcher.book.for_number("33184800000").name == "lib")


async def test_a_file_put_in_the_place_of_another(tmp_path: Path) -> None:
    file, other = tmp_path / "a.yaml", tmp_path / "a.new"
    file.write_text(GOOD)
    async with watching(tmp_path) as watcher:
        other.write_text(GOOD.replace("Hello", "Hallo"))
        status = file.stat()
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        other.replace(file)
        await until(lambda: watcher.book.default.greeting == "Hallo.")


async def test_broken_files_change_nothing_and_are_told_once(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(GOOD)
    with capture_logs() as logs:
        async with watching(tmp_path) as watcher:
            good = watcher.book
            file.write_text(GOOD + "voise: x\nspeed: 2\n")
            await until(lambda: len(logs) == 2)
            await asyncio.sleep(0.1)  # ten more looks
            assert watcher.book is good
            file.unlink()
            await until(lambda: len(logs) == 3)
            assert watcher.book is good
            file.write_text(GOOD.replace("Hello", "Welcome"))
            await until(lambda: watcher.book is not good)
    assert [entry["log_level"] for entry in logs] == ["error", "error", "error", "info"]
    assert f"{file}:4: voise: Extra inputs" in logs[0]["problem"]
    assert f"{file}:5: speed: Extra inputs" in logs[1]["problem"]
    assert "no agent here" in logs[2]["problem"]


async def test_the_first_files_must_be_right(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="no agent here"):
        AgentWatcher(tmp_path)


def test_right_files_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    tool = "{name: look, description: d, url: 'https://a.example/', secret_env: A_KEY_THAT_IS_NOT_THERE}"
    (tmp_path / "b.yaml").write_text(GOOD.replace("lib", "two") + f"numbers: ['331*']\ntools: [hang_up, {tool}]\n")
    assert check_agents([str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out == (
        f"{tmp_path}/a.yaml: OK: lib answers all other numbers; tools: none\n"
        f"{tmp_path}/b.yaml: OK: two answers 331*; tools: hang_up, look\n"
    )
    assert err == "note: agent two: the tool look needs A_KEY_THAT_IS_NOT_THERE in the environment\n"


def test_wrong_files_are_told_with_their_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(GOOD + "voise: x\n")
    (tmp_path / "b.yaml").write_text("name: A!\n")
    assert check_agents([str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0].startswith(f"{tmp_path}/a.yaml:4: voise: ")
    assert lines[1].startswith(f"{tmp_path}/b.yaml:1: name: ")


PROVIDERS = "providers:\n  stt: [openai]\n  tts:\n    - elevenlabs\n    - local\n"


def test_a_provider_that_the_worker_has_not_is_told_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text(GOOD + PROVIDERS)
    for name in ("STT_PROVIDERS", "TTS_PROVIDERS"):
        monkeypatch.setenv(name, "auto")
    # What auto comes to is not known here.
    assert check_agents([str(tmp_path)]) == 0
    monkeypatch.setenv("TTS_PROVIDERS", "openai, Local")
    capsys.readouterr()
    assert check_agents([str(tmp_path)]) == 1
    line = GOOD.count("\n") + 4
    assert capsys.readouterr().err == (
        f"{tmp_path}/a.yaml:{line}: providers.tts[0]: 'elevenlabs' is not among this worker's, "
        "which are openai, local: add it to TTS_PROVIDERS\n"
    )
    with pytest.raises(AgentError, match=f"a.yaml:{line}: "):
        AgentWatcher(tmp_path, providers={"stt": ("openai",), "llm": ("local",), "tts": ("local",)})
    AgentWatcher(tmp_path, providers={"stt": ("openai",), "llm": ("local",), "tts": ("local", "elevenlabs")})


async def test_a_change_to_a_provider_that_the_worker_has_not_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    watcher = AgentWatcher(tmp_path, providers={"stt": ("local",), "llm": ("local",), "tts": ("local",)})
    (tmp_path / "a.yaml").write_text(GOOD + PROVIDERS)
    watching = asyncio.create_task(watcher.run(poll_s=0.01))
    with capture_logs() as logs:
        await until(lambda: len(logs) == 2)
    assert watcher.book.default.providers.stt == ()
    assert [entry["event"] for entry in logs] == ["agents not reloaded"] * 2
    watching.cancel()
    await asyncio.wait([watching])


def test_the_folder_is_the_settings_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AGENTS_DIR", str(REPOSITORY / "agents"))
    assert check_agents([]) == 0
    assert "library answers 33184800000, all other numbers" in capsys.readouterr().out


def test_the_guides_examples_are_right(tmp_path: Path) -> None:
    guide = (REPOSITORY / "docs" / "agents.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in guide.split("```yaml\n")[1:]]
    assert blocks
    whole = [block for block in blocks if block.startswith("name:")]
    pieces = [block for block in blocks if block not in whole]
    for number, block in enumerate(whole):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "a.yaml").write_text(block, encoding="utf-8")
        assert check_agents([str(tmp_path / str(number))]) == 0
    (tmp_path / "pieces").mkdir()
    with wave.open(str(tmp_path / "pieces" / "sorry.wav"), "wb") as recorded:
        recorded.setparams((1, 2, 8000, 0, "NONE", ""))
        recorded.writeframes(bytes(16000))
    (tmp_path / "pieces" / "a.yaml").write_text(GOOD + "".join(pieces), encoding="utf-8")
    assert check_agents([str(tmp_path / "pieces")]) == 0
