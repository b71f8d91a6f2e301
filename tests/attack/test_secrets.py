"""A whole call with numbers and secrets that are easy to recognise: none stands in a log or on a public page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from callbus.settings import ServiceSettings, load
from devstack.ports import free_port
from devstack.stack import LocalStack
from ringover_sim.caller import place_call
from ringover_sim.errors import AudioError
from ringover_sim.script import CallScript, Expect, Expectations, SayWav, WaitForBot, WaitForEnd
from support.fake_providers import FakeElevenLabs, FakeOpenAI
from support.fake_providers.openai_api import Answer, ToolRequest
from support.waiting import until

CALLER, CALLED, DESK, TOLD = "33699887766", "33184807060", "33187650987", "06 55 44 33 22"
SECRETS = {
    "RINGOVER_WEBHOOK_SECRET": "webhook-secret-a1b2c3",
    "RINGOVER_WEBHOOK_PATH_SECRET": "path-secret-d4e5f6-0000",
    "RINGOVER_API_KEY": "ringover-key-g7h8i9",
    "OPENAI_API_KEY": "sk-openai-key-j1k2l3m4",
    "ELEVENLABS_API_KEY": "xi-elevenlabs-key-n5o6p7",
    "ADMIN_TOKEN": "admin-token-q8r9s1",
    "STREAMER_TOKEN": "streamer-token-t2u3v4",
    "DESK_SECRET": "desk-secret-w5x6y7",
}
SPEECH = Path(__file__).parents[1] / "data" / "speech" / "goforward.wav"
HUSH = "hush-hush"
pytestmark = pytest.mark.timeout(120)


class NoVoice:
    """For scripts that speak recordings only."""

    def speak(self, text: str, rate: int) -> bytes:
        raise AudioError(f"no voice for {text!r}")


def agents(folder: Path) -> Path:
    """One agent, with a tool that fails, and a person to put callers through to."""
    folder.mkdir()
    (folder / "desk.yaml").write_text(
        f"""
name: desk
greeting: "Hello. You call from {{caller_number}}."
instructions: "You are a desk. The caller is {{caller_number}}."
transfer: {{human: "{DESK}"}}
tools:
- transfer
- name: find_caller
  description: Looks the caller up.
  url: http://localhost:{free_port()}/callers?number={{caller_number}}
  secret_env: DESK_SECRET
  parameters: {{type: object, properties: {{number: {{type: string}}}}}}
""",
        encoding="utf-8",
    )
    return folder


def shown(text: str) -> list[str]:
    """The numbers and secrets that stand in a text, however a number is written."""
    plain = re.sub(r"(?<=\d)[\s.-](?=\d)", "", text)
    numbers = [number for number in (CALLER, CALLED, DESK, TOLD.replace(" ", "")) if number in plain or number in text]
    return numbers + [name for name, secret in SECRETS.items() if secret in text]


async def test_a_whole_call_shows_no_number_and_no_secret(tmp_path: Path) -> None:
    def answer(messages: list[dict[str, object]]) -> Answer:
        asked = sum(message["role"] == "tool" for message in messages)
        if not asked:
            return ["One moment.", ToolRequest("find_caller", f'{{"number": "{TOLD}"}}')]
        return ["I put you through.", ToolRequest("transfer", '{"to": "human"}')]

    metrics = free_port()
    async with (
        FakeOpenAI(
            answer=answer, hear=lambda wav, language: f"My number is {TOLD}.", api_key=SECRETS["OPENAI_API_KEY"]
        ) as openai,
        FakeElevenLabs(api_key=SECRETS["ELEVENLABS_API_KEY"]) as elevenlabs,
        LocalStack(
            tmp_path,
            env={
                **SECRETS,
                "OPENAI_BASE_URL": openai.base_url,
                "ELEVENLABS_BASE_URL": elevenlabs.base_url,
                "STT_PROVIDERS": "elevenlabs,openai",
                "LLM_PROVIDERS": "openai",
                "TTS_PROVIDERS": "elevenlabs,openai",
                "AGENTS_DIR": str(agents(tmp_path / "agents")),
                "WORKER_METRICS_PORT": str(metrics),
                "LOG_LEVEL": "debug",
                "LOG_FORMAT": "json",
            },
        ) as stack,
    ):
        # From now on it knows another key: whatever the system says of the refusal must not quote ours.
        elevenlabs.api_key = "another-key"
        script = CallScript(
            name="secrets",
            caller=CALLER,
            called=CALLED,
            steps=[
                WaitForBot(timeout=20),
                SayWav(path=str(SPEECH)),
                Expect(command="transfer", data=int(DESK), within=30),
                WaitForEnd(timeout=20),
            ],
            expect=Expectations(ended_by="transfer"),
        )
        report = await place_call(
            script,
            gateway_url=stack.gateway_url,
            streamer_url=stack.streamer_url,
            secret=SECRETS["RINGOVER_WEBHOOK_SECRET"],
            token=SECRETS["STREAMER_TOKEN"],
            voice=NoVoice(),
        )
        assert report.ok, f"{report.failures} {report.violations}\n{report.table()}"
        await until((stack.calls_dir / report.call_id / "call.json").exists, timeout=30)
        pages: dict[str, str] = {}
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            await client.post(f"{stack.gateway_url}/api/v1/webhooks/ringover/event", content=b"{}")
            await client.get(f"http://127.0.0.1:{stack.streamer_port}/ws?token=wrong-{CALLER}")
            for path in ("/api/v1/status", "/metrics", "/health", "/ready", "/openapi.json", "/api/v1/calls"):
                pages[path] = (await client.get(stack.gateway_url + path)).text
            for path in ("/metrics", "/health", "/ready", "/"):
                pages[f"streamer {path}"] = (await client.get(f"http://127.0.0.1:{stack.streamer_port}{path}")).text
            pages["worker /metrics"] = (await client.get(f"http://127.0.0.1:{metrics}/metrics")).text
        logs = {name: stack.process(name).log.read_text() for name in stack.names if name != "redis"}
    logs |= {f"{name} at its end": (tmp_path / "logs" / f"{name}.log").read_text() for name in logs}

    # The call was followed by all of them, and its number can be told from others', though not read.
    assert {name for name, text in logs.items() if report.call_id in text} >= {"webhook-gateway", "streamer"}
    assert '"from_number": "3369*****66"' in logs["webhook-gateway"]
    assert "elevenlabs" in logs["ai-worker-1"]
    assert {name: shown(text) for name, text in {**pages, **logs}.items() if shown(text)} == {}


@pytest.mark.parametrize("command", ["webhook-gateway", "streamer", "ai-jobs"])
def test_a_redis_that_is_away_does_not_bring_its_password_to_light(tmp_path: Path, command: str) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    log, port = tmp_path / "log", free_port()
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [Path(sys.executable).parent / command],
            cwd=tmp_path,
            env={
                **kept,
                **SECRETS,
                "REDIS_URL": f"redis://{HUSH}-user:{HUSH}@127.0.0.1:{free_port()}/0",
                "LOG_LEVEL": "debug",
                "LOG_FORMAT": "console",
                "GATEWAY_PORT": str(port),
                "STREAMER_PORT": str(free_port()),
                "AGENTS_DIR": str(agents(tmp_path / "agents")),
                "OPENAI_BASE_URL": f"http://127.0.0.1:{free_port()}/v1",
                "ELEVENLABS_BASE_URL": f"http://127.0.0.1:{free_port()}",
                "STT_PROVIDERS": "openai",
                "LLM_PROVIDERS": "openai",
                "TTS_PROVIDERS": "openai",
            },
            stderr=stderr,
            stdout=stderr,
        )
    try:
        deadline = time.monotonic() + 30
        while not re.search("redis|listening|can't start", log.read_text(), re.IGNORECASE):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        if command == "webhook-gateway":
            with httpx.Client(trust_env=False, base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
                answers = [client.get(path) for path in ("/ready", "/api/v1/status", "/metrics")]
            assert [answer.status_code for answer in answers] == [503, 200, 200]
            assert HUSH not in "".join(answer.text for answer in answers)
    finally:
        process.kill()
        process.wait()
    text = log.read_text()
    assert text
    assert HUSH not in text
    assert shown(text) == []


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{HUSH}/9@localhost:6379/0",
        f"redis://:{HUSH}#{HUSH}@localhost:6379",
        f"redis://:{HUSH}?x@localhost",
        f"redis://:{HUSH}@localhost:99999/0",
        f"redis://:{HUSH}@localhost:port/0",
        f"redis://:{HUSH}@[::1",
        f"http://:{HUSH}@localhost",
        HUSH,
    ],
)
def test_a_wrong_redis_url_is_one_line_without_its_password(capsys: pytest.CaptureFixture[str], url: str) -> None:
    with pytest.raises(SystemExit):
        load(ServiceSettings, "service", redis_url=url)
    [line] = capsys.readouterr().err.splitlines()
    assert "REDIS_URL" in line
    assert HUSH not in line
