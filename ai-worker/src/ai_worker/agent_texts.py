"""What a bot says by itself: in the words of its file, else in those that we have in its language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ai_worker.agent_fields import Misplaced
from ai_worker.agent_templates import Spoken
from ai_worker.conversation.texts import Texts, languages_with_texts, texts_of

_NAMES = tuple(Texts.__dataclass_fields__)


class AgentTexts(BaseModel):
    """The part of an agent's file that depends on its language; see conversation.texts for what each text is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")] = "en"
    apology: Spoken = ""
    not_possible: Spoken = ""
    reprompt: Spoken = ""
    silence_prompts: tuple[Spoken, Spoken] = ("", "")
    goodbye: Spoken = ""
    filler: Spoken = ""
    long_waits: Annotated[tuple[Spoken, ...], Field(max_length=20)] = ()
    """Said after the filler while a tool goes on working, one after the other; none: nothing more is said."""

    @model_validator(mode="before")
    @classmethod
    def _in_its_language(cls, written: object) -> object:
        if not isinstance(written, dict):
            return written
        language = written.get("language", "en")
        texts = texts_of(language) if isinstance(language, str) else None
        return {**asdict(texts), **written} if texts else written

    @model_validator(mode="after")
    def _says_all(self) -> Self:
        missing = [name for name in _NAMES if name not in self.model_fields_set]
        if missing:
            known = ", ".join(languages_with_texts())
            raise Misplaced(
                ("language",),
                f"what a bot says by itself is known in {known} only; for {self.language!r} the file must give it: "
                f"{', '.join(f'`{name}`' for name in missing)} {'is' if len(missing) == 1 else 'are'} missing",
            )
        return self

    @property
    def language_code(self) -> str:
        """ISO 639-1, as the providers take it: without the region."""
        return self.language.partition("-")[0]

    @property
    def own_texts(self) -> tuple[str, ...]:
        """All of them, as they stand in the file."""
        said = (self.apology, self.not_possible, self.reprompt, *self.silence_prompts, self.goodbye, self.filler)
        return (*said, *self.long_waits)

    def own_texts_said(self, say: Callable[[str], str]) -> dict[str, Any]:
        """The fields of all of them, each put through `say`."""
        one = {name: getattr(self, name) for name in _NAMES}
        return {
            name: say(text) if isinstance(text, str) else tuple(say(part) for part in text)
            for name, text in one.items()
        }
