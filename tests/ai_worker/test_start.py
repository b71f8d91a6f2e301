"""The ai-worker's command: what stops it at its start says so in one line, and nothing is left running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("ai-worker")
AGENTS = Path(__file__).parents[2] / "agents"


def start(directory: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND)],
        env={"PATH": os.environ["PATH"], "AGENTS_DIR": str(AGENTS), **env},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=50,
    )


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"STT_PROVIDERS": "openai"}, ["STT_PROVIDERS=openai needs OPENAI_API_KEY", "STT_PROVIDERS=local"]),
        ({"TTS_PROVIDERS": "local, elevenlabs"}, ["TTS_PROVIDERS=local, elevenlabs needs ELEVENLABS_API_KEY"]),
        ({"LLM_PROVIDERS": "local,clippy"}, ["LLM_PROVIDERS='local,clippy'", "'clippy'", "openai, local"]),
        ({"TTS_PROVIDERS": "local,local"}, ["TTS_PROVIDERS=local,local", "each provider once"]),
        ({"TTS_FIRST_BYTE_DEADLINE": "0"}, ["TTS_FIRST_BYTE_DEADLINE='0'", "takes over"]),
        ({"WORKER_CAPACITY": "0"}, ["WORKER_CAPACITY='0'", "Calls that one worker holds", ".env"]),
        ({"REDIS_URL": "localhost"}, ["REDIS_URL", "redis://"]),
        ({"AGENTS_DIR": "nowhere"}, ["nowhere", "no agent here"]),
        ({"LOCAL_LLM_PATH": "nowhere.gguf"}, ["nowhere.gguf"]),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, env: dict[str, str], says: list[str]) -> None:
    ended = start(tmp_path, **env)
    assert ended.returncode == 2, ended.stderr
    lines = [line for line in ended.stderr.splitlines() if line.startswith("ai-worker: ")]
    assert len(lines) == 1, ended.stderr
    assert all(part in lines[0] for part in says), lines[0]
    assert "Traceback" not in ended.stderr


def test_a_mistake_in_an_agents_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bot.yaml").write_text("name: bot\ndefault: true\ngreting: Hello.\ninstructions: Be brief.\n")
    ended = start(tmp_path, AGENTS_DIR=str(tmp_path))
    assert ended.returncode == 2
    assert "bot.yaml:3" in ended.stderr
    assert "greting" in ended.stderr
    assert "Traceback" not in ended.stderr
