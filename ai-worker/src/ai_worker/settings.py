"""The ai-worker's settings: which providers, how many calls, where the agents are."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from callbus.settings import ServiceSettings


class WorkerSettings(ServiceSettings):
    """See .env.example."""

    openai_api_key: SecretStr | None = Field(None, description="Key for OpenAI: speech-to-text and the language model")
    elevenlabs_api_key: SecretStr | None = Field(None, description="Key for ElevenLabs: text-to-speech")

    stt_provider: Literal["auto", "openai", "local"] = Field(
        "auto", description="Speech-to-text; auto: openai with a key, else local"
    )
    llm_provider: Literal["auto", "openai", "local"] = Field(
        "auto", description="Language model; auto: openai with a key, else local"
    )
    tts_provider: Literal["auto", "elevenlabs", "local"] = Field(
        "auto", description="Text-to-speech; auto: elevenlabs with a key, else local"
    )

    openai_base_url: str = Field("https://api.openai.com/v1", description="Any server that speaks OpenAI's API")
    openai_stt_model: str = Field("gpt-4o-mini-transcribe", description="Transcription model; whisper-1 works too")
    openai_llm_model: str = Field("gpt-4o-mini", description="Chat model")
    elevenlabs_base_url: str = Field("https://api.elevenlabs.io", description="ElevenLabs' API, or one that speaks it")
    elevenlabs_model: str = Field("eleven_flash_v2_5", description="ElevenLabs' speech model")
    elevenlabs_voice: str = Field("JBFqnCBsd6RMkjVDRZzb", description="ElevenLabs' voice id for agents that name none")

    local_llm_path: Path | None = Field(None, description="A GGUF file for the local language model; SmolLM2 otherwise")
    # One: its threads wait for each other by spinning; two, on two busy cores, wrote 3 tokens a second instead of 49.
    local_llm_threads: int = Field(1, ge=1, le=256, description="Threads of the local language model")
    local_llm_parallel: int = Field(4, ge=1, le=64, description="Answers that the local language model writes at once")
    llm_max_tokens: int = Field(160, ge=16, le=4096, description="Longest answer of the language model, in tokens")

    agents_dir: Path = Field(Path("agents"), description="Folder with one YAML file for each bot")
    worker_capacity: int = Field(50, ge=1, le=2000, description="Calls that one worker holds at most")
    worker_drain_timeout: float = Field(
        1800.0, ge=0, description="Seconds that running calls may take after SIGTERM, before others take them over"
    )

    @model_validator(mode="after")
    def _keys_are_there(self) -> Self:
        for choice, key in (
            ("stt_provider", "openai_api_key"),
            ("llm_provider", "openai_api_key"),
            ("tts_provider", "elevenlabs_api_key"),
        ):
            chosen = getattr(self, choice)
            if chosen not in ("auto", "local") and not getattr(self, key):
                setting = choice.upper()
                raise ValueError(f"{setting}={chosen} needs {key.upper()}; set it, or use {setting}=local")
        return self

    @property
    def openai_stt_key(self) -> str | None:
        """The key, if OpenAI is to transcribe; None for the local model."""
        return _key(self.stt_provider, self.openai_api_key)

    @property
    def openai_llm_key(self) -> str | None:
        """The key, if OpenAI is to answer; None for the local model."""
        return _key(self.llm_provider, self.openai_api_key)

    @property
    def elevenlabs_tts_key(self) -> str | None:
        """The key, if ElevenLabs is to speak; None for the local voice."""
        return _key(self.tts_provider, self.elevenlabs_api_key)


def _key(choice: str, key: SecretStr | None) -> str | None:
    return key.get_secret_value() if key and choice != "local" else None
