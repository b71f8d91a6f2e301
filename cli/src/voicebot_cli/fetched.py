"""A call's files from the gateway: they may have gone to a bucket, which only the services can read."""

from __future__ import annotations

from pathlib import Path

import httpx

from callbus.keys import clean_call_id
from voicebot_cli.errors import RecordingError
from voicebot_cli.settings import plain
from voicebot_cli.system import System

_TIMEOUT_S = 60.0
_FILES = {"record": "call.json", "audio": "call.wav"}


async def fetch_call(system: System, call_id: str, calls_dir: Path) -> None:
    """Download what the console has of a call into its folder in `calls_dir`. Raises RecordingError, BadCallId."""
    token = plain(system.settings.admin_token)
    if token is None:
        raise RecordingError(
            f"there is no record of call {call_id} in {system.calls_dir}: it is written when a call is over. Say with "
            "--calls-dir where the calls' folders are; or set ADMIN_TOKEN, to have the record from the gateway"
        )
    folder = calls_dir / clean_call_id(call_id)
    folder.mkdir()
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(base_url=system.gateway_url, headers=headers, timeout=_TIMEOUT_S) as http:
            for path, name in _FILES.items():
                async with http.stream("GET", f"/console/api/calls/{call_id}/{path}") as answer:
                    if answer.status_code == httpx.codes.NOT_FOUND and name != "call.json":
                        return  # it was not recorded: the record says so
                    if answer.status_code != httpx.codes.OK:
                        await answer.aread()
                        raise RecordingError(f"the gateway has no record of call {call_id}: {answer.text[:300]}")
                    with (folder / name).open("wb") as file:
                        async for piece in answer.aiter_bytes():
                            file.write(piece)
    except httpx.HTTPError as error:
        raise RecordingError(
            f"the record of call {call_id} can't be had from the gateway ({system.gateway_url}): "
            f"{str(error) or type(error).__name__}"
        ) from error
