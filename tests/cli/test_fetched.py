"""A recorded call that is in the bucket, for a replay: from a real gateway."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from callbus.bucket import RECORD, RECORDING
from support.console_calls import a_record, a_recording
from support.gateway_process import gateway
from support.gateway_signing import KEY
from support.gateway_webhooks import ADMIN
from support.s3 import S3Server, s3, s3_server
from voicebot_cli.errors import RecordingError
from voicebot_cli.fetched import fetch_call
from voicebot_cli.settings import CliSettings
from voicebot_cli.system import System

__all__ = ["s3", "s3_server"]


def system(url: str, calls_dir: Path, token: str | None) -> System:
    settings = CliSettings.model_construct(admin_token=SecretStr(token) if token else None)
    return System(settings, url, "", "", "", None, calls_dir)


async def test_the_files_come_from_the_gateway(redis_url: str, s3: S3Server, tmp_path: Path) -> None:
    sound = a_recording()
    bodies = {RECORDING: sound, RECORD: json.dumps(a_record("c1")).encode()}
    for name, body in bodies.items():
        await s3.bucket().put("c1", name, io.BytesIO(body), digest=hashlib.sha256(body).hexdigest())
    await s3.bucket().put("c2", RECORD, io.BytesIO(b"{}"), digest="")
    known = {"REDIS_URL": redis_url, "RINGOVER_WEBHOOK_SECRET": KEY, "ADMIN_TOKEN": ADMIN}
    with gateway(tmp_path / "gateway", CALLS_DIR=str(tmp_path / "none"), **known, **s3.settings) as process:
        running = system(process.url, tmp_path / "none", ADMIN)
        for call_id in ("c1", "c2"):
            await fetch_call(running, call_id, tmp_path)
        with pytest.raises(RecordingError, match=r"no record of call c9.*there is no such file"):
            await fetch_call(running, "c9", tmp_path)
        with pytest.raises(RecordingError, match="admin token is missing or wrong"):
            await fetch_call(system(process.url, tmp_path, "wrong"), "c8", tmp_path)
    assert {file.name: file.read_bytes() for file in (tmp_path / "c1").iterdir()} == bodies
    assert [file.name for file in (tmp_path / "c2").iterdir()] == [RECORD]  # not recorded: the record says so
    with pytest.raises(RecordingError, match="can't be had from the gateway"):
        await fetch_call(running, "c7", tmp_path)


async def test_without_a_token_it_is_said_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"--calls-dir .* or set ADMIN_TOKEN"):
        await fetch_call(system("http://127.0.0.1:9", tmp_path, None), "c1", tmp_path)
