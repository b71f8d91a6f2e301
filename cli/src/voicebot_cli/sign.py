"""`ringover-voicebot sign`: a curl command that posts a signed webhook; the secret itself is never shown."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import get_args

from rich.console import Console

from ringover_sim.signing import sign as signature
from ringover_sim.webhooks import EventName, Parties, endpoint, envelope
from voicebot_cli.errors import CliError
from voicebot_cli.system import System

EXAMPLES: tuple[EventName, ...] = get_args(EventName)
PARTIES = Parties("test-call-1", "33612345678", "33184800000")


def sign(system: System, console: Console, *, file: Path | None, example: EventName, url: str | None) -> int:
    """Print it; the exit code, 0. The signature is good for five minutes. Raises CliError."""
    if not system.webhook_key:
        raise CliError(
            "nothing to sign with: set RINGOVER_WEBHOOK_SECRET in the environment or in .env to the webhook key of the "
            "Ringover dashboard (Developer → Webhooks)"
        )
    body = _body(file, example)
    posted = endpoint(url or system.settings.public_endpoint or system.gateway_url)
    headers = signed_headers(system, body, posted)
    options = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()]
    lines = [f"curl -sS -i -X POST {shlex.quote(posted)}", *options, f"--data-binary {shlex.quote(body.decode())}"]
    console.out(" \\\n  ".join(lines), highlight=False)
    return 0


def signed_headers(system: System, body: bytes, posted: str) -> dict[str, str]:
    """The headers of a POST of `body`, signed by V3. What is signed is the public URL, where one is set."""
    url = system.settings.public_endpoint or posted
    proof = signature("v3", system.webhook_key, url=url, event={}, body=body, now=time.time())
    return {"Content-Type": "application/json", **proof}


def _body(file: Path | None, example: EventName) -> bytes:
    """The event's bytes as they are posted. Raises CliError."""
    if file is None:
        now = time.time()
        times = {"start": now} | dict.fromkeys(EXAMPLES[1 : EXAMPLES.index(example) + 1], now)
        return json.dumps(envelope(example, PARTIES, at=now, attempt=1, times=times)).encode()
    try:
        raw = file.read_bytes()
        # Bytes alone would be read as UTF-16 too, which no shell's word can hold.
        event = json.loads(raw.decode())
    except OSError as error:
        raise CliError(f"{file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CliError(f"{file}: not UTF-8, which a webhook's JSON is: {error}") from error
    except ValueError as error:
        raise CliError(f"{file}: not JSON: {error}") from error
    if not isinstance(event, dict):
        raise CliError(f'{file}: a webhook is a JSON object such as {{"resource": "call", "event": "ringing", …}}')
    if raw.startswith(b"@"):
        raise CliError(f"{file}: begins with @, which curl would take for a file's name")
    return raw
