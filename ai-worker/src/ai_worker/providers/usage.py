"""What a request to a provider used: as the provider tells it, or what we measured of what we sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

Unit: TypeAlias = Literal[
    "input_tokens",
    "cached_input_tokens",
    "audio_input_tokens",
    "output_tokens",
    "characters",
    "audio_s",
    "requests",
]
"""No two overlap: `input_tokens` are those that were neither cached nor audio. `requests` are those of which nobody
knows what they used: cancelled before the provider said it, or asked of one that doesn't."""


@dataclass(frozen=True, slots=True)
class Amount:
    """So much of a unit."""

    unit: Unit
    amount: float


@dataclass(frozen=True, slots=True)
class Usage:
    """An amount that one request used; `told` says whether the provider said so.

    `provider` is its word in the settings ("openai"), and `model` the model's name there.
    """

    seam: str
    provider: str
    model: str
    unit: Unit
    amount: float
    told: bool


Told: TypeAlias = Callable[[Iterable[Amount]], None]


@runtime_checkable
class TellsUsage(Protocol):
    """What a provider can do besides when its answers say what they cost."""

    def telling(self, told: Told) -> Self:
        """The same provider, with the same connections, that tells of its requests' usage."""
        ...


def told_nobody(amounts: Iterable[Amount]) -> None:
    """Who hears of usage when nobody asked to."""


def of_chat(usage: object) -> list[Amount]:
    """From a chat completion's `usage`; what is missing or no number is left out.

    Wire format: https://platform.openai.com/docs/api-reference/chat-streaming/streaming.
    """
    asked, cached = _number(usage, "prompt_tokens"), _number(_inner(usage, "prompt_tokens_details"), "cached_tokens")
    return _amounts(
        input_tokens=asked - min(cached, asked),
        cached_input_tokens=min(cached, asked),
        output_tokens=_number(usage, "completion_tokens"),
    )


def of_transcription(usage: object) -> list[Amount]:
    """From a transcription's `usage`, of tokens or of a duration; what is missing or no number is left out.

    Wire format: https://platform.openai.com/docs/api-reference/audio/json-object.
    """
    asked, audio = _number(usage, "input_tokens"), _number(_inner(usage, "input_token_details"), "audio_tokens")
    return _amounts(
        input_tokens=asked - min(audio, asked),
        audio_input_tokens=min(audio, asked),
        output_tokens=_number(usage, "output_tokens"),
        audio_s=_number(usage, "seconds"),
    )


def of_characters(header: str | None) -> list[Amount]:
    """From ElevenLabs' response header `character-cost`."""
    try:
        return _amounts(characters=float(header or 0))
    except ValueError:
        return []


def _amounts(**amounts: float) -> list[Amount]:
    units: dict[Any, float] = dict(amounts)
    return [Amount(unit, amount) for unit, amount in units.items() if 0 < amount < float("inf")]


def _inner(found: object, name: str) -> object:
    return found.get(name) if isinstance(found, dict) else None


def _number(found: object, name: str) -> float:
    value = _inner(found, name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0
