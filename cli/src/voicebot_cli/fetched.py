"""A call's files from the gateway: they may have gone to a bucket, which only the services can read."""

from __future__ import annotations

from pathlib import Path

import httpx

from callbus.keys import clean_call_id
from voicebot_cli.errors import RecordingError
from voicebot_cli.gateway import Gateway

_FILES = {"record": "call.json", "audio": "call.wav"}


async def fetch_call(gateway: Gateway, call_id: str, calls_dir: Path) -> None:
    """Download what the console has of a call into its folder in `calls_dir`. Raises CliError, BadCallId."""
    folder = calls_dir / clean_call_id(call_id)
    folder.mkdir()
    for path, name in _FILES.items():
        async with gateway.file(f"/console/api/calls/{call_id}/{path}") as answer:
            if answer.status_code == httpx.codes.NOT_FOUND:
                if name != "call.json":
                    return  # it was not recorded: the record says so
                await answer.aread()
                raise RecordingError(f"the gateway has no record of call {call_id}: {answer.text[:300]}")
            with (folder / name).open("wb") as file:
                async for piece in answer.aiter_bytes():
                    file.write(piece)
