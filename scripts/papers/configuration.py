"""docs/configuration.md: every setting of every service, from the settings classes themselves."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from ai_worker.jobs.settings import JobsSettings
from ai_worker.settings import WorkerSettings
from callbus.settings import ServiceSettings
from streamer.settings import StreamerSettings
from voicebot_cli.settings import CliSettings
from webhook_gateway.settings import GatewaySettings

SERVICES: dict[str, type[ServiceSettings]] = {
    "webhook-gateway": GatewaySettings,
    "streamer": StreamerSettings,
    "ai-worker": WorkerSettings,
    "ai-jobs": JobsSettings,
    "ringover-voicebot": CliSettings,
}
ALL = "all"

_HEAD = """# Configuration

Every setting is an environment variable. A service also reads them from the file `.env` in the folder where it
starts; the environment wins, and an empty value counts as not set. [.env.example](../.env.example) has the same
settings with longer explanations: copy it to `.env`, or let `make up` do so. A wrong setting stops the service at its
start with one line that says which one, what was expected, and how to fix it, and with exit code 2.

This page is generated from the services' settings classes by `make docs`. Docker compose reads three more,
`REDIS_PASSWORD`, `BIND_ADDRESS` and `WORKERS`; .env.example explains them.
"""
_COLUMNS = "| setting | default | meaning |\n| --- | --- | --- |\n"
_TYPES = {bool: "true or false", int: "integer", float: "number", Path: "path", SecretStr: "secret"}


def uses() -> dict[str, dict[str, FieldInfo]]:
    """Each setting's name in the environment, and the services that read it with what they say of it."""
    found: dict[str, dict[str, FieldInfo]] = {}
    for service, settings in SERVICES.items():
        for name, field in settings.model_fields.items():
            found.setdefault(name.upper(), {})[service] = field
    return found


def page() -> str:
    """The file's content."""
    sections: dict[str, list[str]] = {ALL: [], **{service: [] for service in SERVICES}}
    shared = {name.upper() for name in ServiceSettings.model_fields}
    for name, by in uses().items():
        owner = ALL if name in shared else _owner(name, by)
        sections[owner].append(_row(name, by, owner))
    titles = {ALL: "All services"}
    parts = [
        f"\n## {titles.get(section, section)}\n\n{_COLUMNS}" + "".join(rows)
        for section, rows in sections.items()
        if rows
    ]
    return _HEAD + "".join(parts)


def _owner(name: str, by: dict[str, FieldInfo]) -> str:
    """The service whose section it stands in: the one that it is named after, else the first that reads it."""
    named = {"STREAMER_": "streamer", "FALLBACK_": "streamer", "GATEWAY_": "webhook-gateway"}
    named |= {"CALLS_": "ai-jobs", "OPENAI_": "ai-worker", "ELEVENLABS_": "ai-worker"}
    wanted = next((service for prefix, service in named.items() if name.startswith(prefix) and service in by), "")
    return wanted or next(iter(by))


def _row(name: str, by: dict[str, FieldInfo], owner: str) -> str:
    field = by.get(owner) or next(iter(by.values()))
    others = [service for service in by if service != owner] if owner != ALL else []
    also = f" Also read by {', '.join(others)}." if others else ""
    meaning = f"{(field.description or '').rstrip('.')}.{also}".replace("|", "\\|").replace("<", "&lt;")
    kind = ", ".join(_kinds(field))
    return f"| `{name}` | {_default(field)} | {meaning} ({kind}) |\n"


def _default(field: FieldInfo) -> str:
    value = field.get_default()
    if value is None:
        return "not set"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`" if text else "empty"


def _kinds(field: FieldInfo) -> Iterator[str]:
    """What may stand there: `integer`, `at least 1`."""
    yield _type(field.annotation)
    for limit in field.metadata:
        match limit:
            case Ge(ge=least):
                yield f"at least {least}"
            case Gt(gt=below):
                yield f"more than {below}"
            case Le(le=most):
                yield f"at most {most}"
            case Lt(lt=above):
                yield f"less than {above}"


def _type(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return " or ".join(f"`{value}`" for value in typing.get_args(annotation))
    if typing.get_origin(annotation) is typing.Annotated:
        return _type(typing.get_args(annotation)[0])
    inner = [kind for kind in typing.get_args(annotation) if kind is not NoneType]
    return _type(inner[0]) if inner else _TYPES.get(annotation, "text")
