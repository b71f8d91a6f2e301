"""What a bot does when not a person but an answering machine is on the line."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from ai_worker.agent_fields import Misplaced
from ai_worker.agent_templates import Spoken


class AnsweringMachine(BaseModel):
    """`hang_up` at once, or wait for the beep, say `say`, and hang up then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    then: Literal["hang_up", "leave_message"] = "hang_up"
    say: Spoken | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.then == "leave_message" and self.say is None:
            raise Misplaced(("then",), "`then: leave_message` needs `say`: the message")
        if self.then == "hang_up" and self.say is not None:
            raise Misplaced(("say",), "`say` belongs to `then: leave_message`")
        return self
