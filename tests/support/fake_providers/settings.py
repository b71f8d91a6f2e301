"""The settings that lead the system to these servers."""

from __future__ import annotations

from support.fake_providers.elevenlabs_api import FakeElevenLabs
from support.fake_providers.openai_api import FakeOpenAI


def keys_and_addresses(openai: FakeOpenAI, elevenlabs: FakeElevenLabs) -> dict[str, str]:
    """As environment variables; which of them does what is the system's own choice."""
    return {
        "OPENAI_API_KEY": openai.api_key,
        "OPENAI_BASE_URL": openai.base_url,
        "ELEVENLABS_API_KEY": elevenlabs.api_key,
        "ELEVENLABS_BASE_URL": elevenlabs.base_url,
    }


def one_each(openai: FakeOpenAI, elevenlabs: FakeElevenLabs) -> dict[str, str]:
    """The same, and ElevenLabs alone for both ways of speech, OpenAI alone for the language."""
    return {
        **keys_and_addresses(openai, elevenlabs),
        "STT_PROVIDERS": "elevenlabs",
        "LLM_PROVIDERS": "openai",
        "TTS_PROVIDERS": "elevenlabs",
    }
