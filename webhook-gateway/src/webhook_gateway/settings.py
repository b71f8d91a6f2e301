"""What the gateway reads from the environment and `.env`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from callbus.bucket_settings import BucketSettings

ENDPOINT = "/api/v1/webhooks/ringover/event"


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or parts.query or "@" in url:
        # A password in it would be shown by the status.
        raise ValueError("expected an absolute http:// or https:// URL without a query, a user or a password")
    return url.rstrip("/")


def _ws_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.query or "@" in url:
        raise ValueError("expected an absolute ws:// or wss:// URL without a query, a user or a password")
    return url.rstrip("/").removesuffix("/ws")


HttpUrl = Annotated[str, AfterValidator(_http_url)]
WsUrl = Annotated[str, AfterValidator(_ws_url)]


class GatewaySettings(BucketSettings):
    """The gateway's settings. A field's name in capitals is the environment's name for it."""

    ringover_webhook_secret: SecretStr | None = Field(
        None,
        description="Webhook key from the Ringover dashboard; several, separated by commas, while one is replaced",
    )
    ringover_webhook_path_secret: SecretStr | None = Field(
        None,
        description="Last part of the webhook URL's path for ivr_response_code events, which Ringover does not sign: "
        f"{ENDPOINT}/<this>; at least 16 letters, digits, - or _",
    )
    ringover_webhook_insecure: bool = Field(
        False,
        description="1 accepts webhooks without a signature while no secret is set: on a developer's machine only",
    )
    webhook_public_url: HttpUrl | None = Field(
        None,
        description="The URL that Ringover posts to, as its dashboard has it; a bare host gets the endpoint's path. "
        "Behind a proxy the V3 signature can't be checked without it",
    )
    ringover_api_key: SecretStr | None = Field(None, description="Ringover's REST API key, sent without 'Bearer'")
    ringover_base_url: HttpUrl = Field(
        "https://public-api.ringover.com/v2",
        description="Ringover's REST API; in the US https://public-api-us.ringover.com/v2",
    )
    openai_api_key: SecretStr | None = Field(
        None, description="OpenAI's key for speech-to-text and chat; local models are used without it"
    )
    elevenlabs_api_key: SecretStr | None = Field(
        None, description="ElevenLabs' key for text-to-speech; a local voice is used without it"
    )
    admin_token: SecretStr | None = Field(
        None, description="Bearer token for /api/v1/calls and /console; without it nobody gets in there"
    )
    calls_dir: Path = Field(
        Path("out/calls"), description="Folder of the calls' records and recordings, for the console to show"
    )
    streamer_public_url: WsUrl | None = Field(
        None,
        description="Where a browser reaches the streamer, for the console's telephone: wss://… ; unset: the console's "
        "own host, at STREAMER_PORT",
    )
    streamer_port: int = Field(8765, ge=0, le=65535, description="The streamer's port, while its public URL is not set")
    streamer_token: SecretStr | None = Field(
        None, description="The streamer's secret; the console's telephone gets a pass for one call, made with it"
    )
    gateway_host: str = Field("0.0.0.0", description="Address that the gateway listens on")
    gateway_port: int = Field(8000, ge=0, le=65535, description="Port that the gateway listens on; 0: any free one")

    @model_validator(mode="after")
    def _signed_or_knowingly_not(self) -> Self:
        if not self.webhook_keys and not self.ringover_webhook_insecure:
            raise ValueError(
                "setting RINGOVER_WEBHOOK_SECRET is missing: expected the webhook key shown in the Ringover dashboard, "
                "or RINGOVER_WEBHOOK_INSECURE=1 to accept unsigned webhooks on a developer's machine"
            )
        secret = self.path_secret
        if secret is not None and (len(secret) < 16 or not re.fullmatch(r"[A-Za-z0-9_-]+", secret)):
            raise ValueError(
                "setting RINGOVER_WEBHOOK_PATH_SECRET can't be used: expected at least 16 letters, digits, - or _"
            )
        return self

    @property
    def webhook_keys(self) -> tuple[str, ...]:
        """The keys that a signature may be made with."""
        listed = self.ringover_webhook_secret.get_secret_value() if self.ringover_webhook_secret else ""
        return tuple(key for key in (part.strip() for part in listed.split(",")) if key)

    @property
    def path_secret(self) -> str | None:
        return self.ringover_webhook_path_secret.get_secret_value() if self.ringover_webhook_path_secret else None

    @property
    def public_endpoint(self) -> str | None:
        """The configured public URL of the endpoint, without a secret in its path."""
        url = self.webhook_public_url
        if url is None or urlsplit(url).path:
            return url
        return url + ENDPOINT
