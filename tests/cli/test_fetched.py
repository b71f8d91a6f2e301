"""A recorded call that is in the bucket, for a replay: from a real gateway."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest

from callbus.bucket import RECORD, RECORDING
from support.console_calls import a_record, a_recording
from support.gateway_process import gateway
from support.gateway_signing import KEY
from support.gateway_webhooks import ADMIN
from support.s3 import S3Server, s3, s3_server
from voicebot_cli.errors import CliError, GatewayAway, RecordingError
from voicebot_cli.fetched import fetch_call
from voicebot_cli.gateway import opened

__all__ = ["s3", "s3_server"]


async def test_the_files_come_from_the_gateway(redis_url: str, s3: S3Server, tmp_path: Path) -> None:
    sound = a_recording()
    bodies = {RECORDING: sound, RECORD: json.dumps(a_record("c1")).encode()}
    for name, body in bodies.items():
        await s3.bucket().put("c1", name, io.BytesIO(body), digest=hashlib.sha256(body).hexdigest())
    await s3.bucket().put("c2", RECORD, io.BytesIO(b"{}"), digest="")
    known = {"REDIS_URL": redis_url, "RINGOVER_WEBHOOK_SECRET": KEY, "ADMIN_TOKEN": ADMIN}
    with gateway(tmp_path / "gateway", CALLS_DIR=str(tmp_path / "none"), **known, **s3.settings) as process:
        async with opened(process.url, ADMIN) as known_here:
            for call_id in ("c1", "c2"):
                await fetch_call(known_here, call_id, tmp_path)
            with pytest.raises(RecordingError, match=r"no record of call c9.*there is no such file"):
                await fetch_call(known_here, "c9", tmp_path)
        async with opened(process.url, "wrong") as stranger:
            with pytest.raises(CliError, match="admin token is missing or wrong"):
                await fetch_call(stranger, "c8", tmp_path)
    assert {file.name: file.read_bytes() for file in (tmp_path / "c1").iterdir()} == bodies
    assert [file.name for file in (tmp_path / "c2").iterdir()] == [RECORD]  # not recorded: the record says so
    async with opened(process.url, ADMIN) as gone:
        with pytest.raises(GatewayAway, match=r"no answer from http.*/console/api/calls/c7/record"):
            await fetch_call(gone, "c7", tmp_path)
