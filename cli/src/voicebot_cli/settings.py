"""What the commands read from the environment and `.env`: the services' own settings, none of them required."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from callbus.settings import ServiceSettings
from ringover_sim.webhooks import endpoint


class CliSettings(ServiceSettings):
    """A field's name in capitals is the environment's name for it; see .env.example."""

    ringover_webhook_secret: SecretStr | None = Field(None, description="Webhook key from the Ringover dashboard")
    webhook_public_url: str | None = Field(None, description="The URL that Ringover posts to")
    ringover_api_key: SecretStr | None = Field(None, description="Ringover's REST API key, sent without 'Bearer'")
    ringover_base_url: str = Field("https://public-api.ringover.com/v2", description="Ringover's REST API")
    openai_api_key: SecretStr | None = Field(None, description="Key for OpenAI")
    openai_base_url: str = Field("https://api.openai.com/v1", description="Any server that speaks OpenAI's API")
    elevenlabs_api_key: SecretStr | None = Field(None, description="Key for ElevenLabs")
    elevenlabs_base_url: str = Field("https://api.elevenlabs.io", description="ElevenLabs' API")
    admin_token: SecretStr | None = Field(None, description="The gateway's, for the calls that it shows")
    gateway_port: int = Field(8000, ge=0, le=65535, description="Port of the gateway")
    streamer_port: int = Field(8765, ge=0, le=65535, description="Port of the streamer")
    streamer_token: SecretStr | None = Field(None, description="Secret that the media server must show")
    agents_dir: Path = Field(Path("agents"), description="Folder with one YAML file for each bot")
    calls_dir: Path = Field(Path("out/calls"), description="Folder of the calls' records and recordings")

    @property
    def webhook_key(self) -> str:
        """The key that is signed with: the first of the list; "" when there is none."""
        listed = plain(self.ringover_webhook_secret) or ""
        return next((key for key in (part.strip() for part in listed.split(",")) if key), "")

    @property
    def public_endpoint(self) -> str | None:
        """The public URL of the webhooks' endpoint; a bare host gets the endpoint's path."""
        return endpoint(self.webhook_public_url.rstrip("/")) if self.webhook_public_url else None


def plain(secret: SecretStr | None) -> str | None:
    """A secret's text; None where there is none."""
    return secret.get_secret_value() if secret else None
