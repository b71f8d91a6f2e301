"""Settings from the environment and `.env`; a wrong one stops the service with one line that says what to do."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from redis.asyncio.connection import parse_url


def _redis_url(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("expected redis://[:password@]host:port/db, rediss://… or unix://…")
    try:
        parse_url(url)
    except ValueError:
        # Its own words quote what it took for the port: that may be part of the password.
        raise ValueError(
            "expected redis://[:password@]host:port/db; in a password write / as %2F, # as %23, ? as %3F, @ as %40"
        ) from None
    return url


RedisUrl = Annotated[str, AfterValidator(_redis_url)]


def _collector_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("expected http://host:4318 or https://…, without /v1/traces")
    return url


CollectorUrl = Annotated[str, AfterValidator(_collector_url)]


class ServiceSettings(BaseSettings):
    """What every service reads. A field's name in capitals is the environment's name for it."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True)

    redis_url: RedisUrl = Field("redis://localhost:6379/0", description="Redis that all services share")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="json, console, or auto: console on a terminal, json elsewhere"
    )
    log_numbers: Literal["masked", "plain"] = Field("masked", description="How phone numbers stand in the logs")
    otel_exporter_otlp_endpoint: CollectorUrl | None = Field(
        None, description="Where traces go (OTLP over HTTP, e.g. http://localhost:4318); none: nothing is traced"
    )


S = TypeVar("S", bound=ServiceSettings)


def load(settings: type[S], service: str, **overrides: Any) -> S:
    """The settings, or the end of the process with one line for each one that is wrong."""
    try:
        return settings(**overrides)
    except ValidationError as error:
        fail(service, *explain(error, settings))


def fail(service: str, *lines: str) -> NoReturn:
    """End the process: these lines on stderr, exit code 2."""
    for line in lines:
        sys.stderr.write(f"{service}: {line}\n")
    raise SystemExit(2)


def explain(error: ValidationError, settings: type[BaseSettings]) -> list[str]:
    """One line a wrong setting: which, what it was (never a secret), what was expected, how to fix it."""
    lines = []
    for problem in error.errors():
        name = str(problem["loc"][0]) if problem["loc"] else ""
        env_name = name.upper()
        field = settings.model_fields.get(name)
        what = problem["msg"].removeprefix("Value error, ")
        if not env_name:
            lines.append(f"{what} (set it in the environment or in .env; .env.example explains every setting)")
            continue
        secret = any(word in name for word in ("secret", "token", "key", "password", "url"))
        given = "" if secret or problem["type"] == "missing" else f"={problem['input']!r}"
        meaning = f" ({field.description})" if field and field.description else ""
        lines.append(
            f"setting {env_name}{given} is wrong: {what}{meaning}; "
            f"set {env_name} in the environment or in .env, see .env.example"
        )
    return lines
