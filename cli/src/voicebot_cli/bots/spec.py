"""A scripted call and what is expected of it; docs/command-line.md has every field."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ringover_sim.script import CallerVoice, Keys, Number, Text
from voicebot_cli.phrases import Phrase


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _phrase(text: str) -> str:
    Phrase.parse(text)
    return text


Phrases = Annotated[tuple[Annotated[str, AfterValidator(_phrase)], ...], BeforeValidator(_listed)]
Seconds = Annotated[float, Field(gt=0, le=120)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(_Strict):
    """What the bot does until the caller goes on."""

    says: Phrases = ()
    """Heard by the caller, in this order."""
    never_says: Phrases = ()
    """Not said, heard or unheard."""
    transfers_to: str | None = None
    """One of the agent's `transfer` names, or a number."""
    presses: Keys | None = None
    hangs_up: bool | None = None
    within_ms: Annotated[int, Field(gt=0, le=60_000)] | None = None
    """From the caller's last sound (for the greeting: from the open line) to the bot's first."""
    timeout: Seconds = 30.0
    """How long an answer, or the end of the call, is waited for at all."""

    @property
    def ends_the_call(self) -> bool:
        """Whether the caller then waits for the call's end."""
        return self.transfers_to is not None or bool(self.hangs_up)

    @model_validator(mode="after")
    def _one_end(self) -> Answer:
        if self.transfers_to is not None and self.hangs_up:
            raise ValueError("a call is transferred or hung up, not both: transfers_to or hangs_up")
        return self


class ScriptedTurn(_Strict):
    """One thing that the caller does, and the bot's answer to it."""

    say: Text | None = None
    say_wav: Text | None = None
    """An audio file; the path is relative to this file."""
    press: Keys | None = None
    silent: Seconds | None = None
    """The caller says nothing until the bot speaks, this many seconds at most."""
    interrupt: Seconds | None = None
    """With `say`: begun this many seconds after the bot began to speak, whose answer is not waited for."""
    expect: Answer = Answer()

    @model_validator(mode="after")
    def _one_thing(self) -> ScriptedTurn:
        given = [name for name in ("say", "say_wav", "press", "silent") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a turn is one of say, say_wav, press, silent; here {' and '.join(given) or 'is none'}")
        if self.interrupt is not None and self.say is None:
            raise ValueError("interrupt goes with say: what the caller says while the bot speaks")
        return self

    @property
    def shown(self) -> str:
        """What the caller does, for a reader."""
        if self.say is not None:
            return f"“{self.say}”" + (f" (interrupting after {self.interrupt:g} s)" if self.interrupt else "")
        if self.silent is not None:
            return "(silence)"
        return f"presses {self.press}" if self.press is not None else str(self.say_wav)


class ScriptedCall(_Strict):
    """One call. `agent` and `called` are two ways to say who answers; without them it is the default agent."""

    name: Text
    agent: str | None = None
    called: Number | None = None
    caller: Number = "33612345678"
    voice: CallerVoice = CallerVoice()
    sample_rate: Annotated[int, Field(json_schema_extra={"enum": [8000, 16000]})] = 8000
    greeting: Answer = Answer()
    turns: Annotated[tuple[ScriptedTurn, ...], Field(min_length=1)]
    never_says: Phrases = ()
    longest: Annotated[float, Field(gt=0, le=1800)] = 180.0
    """Seconds; the caller hangs up then, and the call has failed."""

    @model_validator(mode="after")
    def _makes_sense(self) -> ScriptedCall:
        if self.agent is not None and self.called is not None:
            raise ValueError("either agent or called: both say who answers")
        if self.sample_rate not in (8000, 16000):
            raise ValueError("sample_rate is 8000 or 16000")
        if self.greeting.ends_the_call and self.turns:
            raise ValueError("the greeting ends the call, and there are turns after it")
        if self.turns[0].interrupt is not None and (self.greeting.says or self.greeting.within_ms):
            raise ValueError("the first turn interrupts the greeting: expect nothing of it")
        for turn in self.turns[:-1]:
            if turn.expect.ends_the_call:
                raise ValueError(f"the answer to {turn.shown} ends the call, and there are turns after it")
        return self
