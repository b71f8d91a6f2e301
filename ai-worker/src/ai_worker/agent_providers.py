"""Which providers an agent wants, and whether this worker has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from ai_worker.agent_fields import Misplaced
from ai_worker.settings import Seam


class ProviderOrder(BaseModel):
    """Which providers this bot uses, the first one first; none named: those of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stt: tuple[Literal["openai", "elevenlabs", "local"], ...] = ()
    llm: tuple[Literal["openai", "local"], ...] = ()
    tts: tuple[Literal["elevenlabs", "openai", "local"], ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for seam, names in self.by_seam().items():
            for index, name in enumerate(names):
                if name in names[:index]:
                    raise Misplaced((seam, index), f"{name!r} is in the list already")
        return self

    def by_seam(self) -> dict[Seam, tuple[str, ...]]:
        return {"stt": self.stt, "llm": self.llm, "tts": self.tts}

    def missing(self, configured: Mapping[Seam, Sequence[str]]) -> Iterator[tuple[Seam, int, str]]:
        """Seam, place in its list, and what is wrong there, for each provider that `configured` hasn't."""
        for seam, names in self.by_seam().items():
            if seam not in configured:
                continue
            for index, name in enumerate(names):
                if name not in configured[seam]:
                    setting, has = f"{seam.upper()}_PROVIDERS", ", ".join(configured[seam])
                    yield seam, index, f"{name!r} is not among this worker's, which are {has}: add it to {setting}"
