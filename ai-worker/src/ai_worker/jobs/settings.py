"""What ai-jobs reads from the environment and `.env`."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from callbus.bucket_settings import BucketSettings


class JobsSettings(BucketSettings):
    """See .env.example."""

    calls_dir: Path = Field(
        Path("out/calls"),
        description="Folder with a folder for each call, its record and recording; the streamers write there, too",
    )
    retention_days: int = Field(
        0, ge=0, le=36_500, description="Days after which a call's record and recording are deleted; 0: never"
    )

    calls_bucket_after_s: float = Field(
        30,
        ge=0,
        le=86_400,
        description="Seconds from a record to its files' move to the bucket: a summary, and a caller who comes back, "
        "find them in CALLS_DIR",
    )

    calls_webhook_url: str | None = Field(None, description="Where each call's record is posted to (http or https)")
    calls_webhook_secret: SecretStr | None = Field(None, description="Key of the signature of those posts")
    calls_webhook_timeout_s: float = Field(10, gt=0, le=120, description="Seconds that one post may take")
    calls_webhook_first_retry_s: float = Field(
        5,
        gt=0,
        le=3600,
        description="Longest wait (s) before the second try; doubled from try to try, up to an hour",
    )
    calls_webhook_retry_h: float = Field(
        24, ge=0, le=720, description="Hours of tries after which a record becomes a dead letter"
    )

    calls_summary: bool = Field(True, description="Whether a configured language model summarises each call")
    openai_api_key: SecretStr | None = Field(None, description="Key for OpenAI: the language model")
    llm_providers: str = Field("auto", description="The language models; only one that is not local summarises")
    openai_base_url: str = Field("https://api.openai.com/v1", description="Any server that speaks OpenAI's API")
    openai_llm_model: str = Field("gpt-4o-mini", description="Chat model")

    prices_file: Path | None = Field(
        None, description="YAML file of what the providers charge (docs/jobs.md); without it, records tell usage alone"
    )

    jobs_port: int = Field(
        0, ge=0, le=65535, description="Port on which ai-jobs serves /metrics and /health; 0: not at all"
    )
    jobs_concurrency: int = Field(4, ge=1, le=64, description="Jobs that run at the same time")
    jobs_timeout_s: float = Field(
        60,
        gt=0,
        le=3600,
        description="A job that takes longer (s) is tried again; a lost process's one 15 s after that",
    )
    jobs_drain_s: float = Field(20, ge=0, le=3600, description="How long (s) running jobs may go on after SIGTERM")

    @field_validator("calls_webhook_url")
    @classmethod
    def _is_a_web_address(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("expected an address like https://crm.example.com/calls")
        return url

    @model_validator(mode="after")
    def _posts_are_signed(self) -> Self:
        if self.calls_webhook_url and not self.calls_webhook_secret:
            raise ValueError("CALLS_WEBHOOK_URL needs CALLS_WEBHOOK_SECRET, which signs what is posted; set it")
        return self

    @property
    def summary_providers(self) -> tuple[str, ...]:
        """The language models that summarise, in order. The local stand-in can't: it makes things up."""
        named = tuple(name.strip().lower() for name in self.llm_providers.split(","))
        wanted = self.calls_summary and self.openai_api_key and ("openai" in named or named == ("auto",))
        return ("openai",) if wanted else ()
