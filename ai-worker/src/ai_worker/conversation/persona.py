"""What the state machine needs to know of the bot: its fixed sentences, its limits, its scripted answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ai_worker.conversation.actions import LineAction
from ai_worker.conversation.endpointing import EndpointingOptions
from ai_worker.providers.base import ToolSpec


@dataclass(frozen=True, slots=True)
class Scripted:
    """An answer that needs no language model: what to say, and what to do once it was heard."""

    say: str
    kind: LineAction | None = None
    argument: str = ""


def _no_script(_text: str) -> Scripted | None:
    return None


@dataclass(frozen=True, slots=True)
class Persona:
    """One bot. Texts may be several sentences; an empty one is not said."""

    greeting: str
    language: str = "en"
    notice: str = ""
    """Said after the greeting; a greeting with a notice can't be interrupted."""
    opening: Scripted | None = None
    """In place of the greeting: out of hours, say."""
    instructions: str = ""
    apology: str = "I am sorry, something went wrong on my side."
    reprompt: str = "Sorry, I did not catch that."
    silence_prompts: tuple[str, ...] = ("Are you still there?", "I am still here if you need anything.")
    goodbye: str = "I will hang up now. Goodbye."
    allow_interruptions: bool = True
    fallback_number: str = ""
    """Where callers go when providers keep failing; "" for nowhere: then the bot says goodbye."""
    longest_call_s: float = 1800.0
    most_turns: int = 0
    """Turns of the caller after which the bot says goodbye; 0 for no limit."""
    tools: tuple[ToolSpec, ...] = ()
    filler: str = "One moment, please."
    fillers: Mapping[str, str] = field(default_factory=dict)
    """What is said while a slow tool runs, by the tool's name; `filler` for the others."""
    script: Callable[[str], Scripted | None] = field(default=_no_script)


@dataclass(frozen=True, slots=True)
class TurnTaking:
    """Times (s) of the turn-taking."""

    endpointing: EndpointingOptions = field(default_factory=EndpointingOptions)
    pre_roll: float = 0.3
    """Audio before the onset that goes to the STT: the first consonant is often below the VAD's threshold."""
    post_roll: float = 0.2
    false_interruption: float = 1.5
    """Interrupted, and no words after this long: the bot goes on where it was cut."""
    late_answer: float = 1.0
    """A "yes" that ended no longer than this before the bot's last word answers it; an earlier one is a backchannel."""
    silence_prompt: float = 8.0
    after_noise: float = 1.0
    """Noise puts the next silence prompt off, but by no more than this."""
    unclear_speech: float = 1.0
    """Speech at least this long in which no words were found is asked for again."""
    thinking_limit: float = 12.0
    transcribing_limit: float = 8.0
    longest_part: float = 25.0
    """Speech without a pause is transcribed in parts of this length: Whisper's window is 30 s."""
    speaking_limit: float = 10.0
    """Without any news of what is being spoken for this long, it is given up."""
    settling_limit: float = 0.5
    """The streamer's word on what was heard of a stopped reply is waited for this long before the model is asked."""
    line_lost_limit: float = 15.0
    """A reply that a lost connection cut waits this long for its return: a little more than the streamer does."""
    acting_limit: float = 3.0
    leaving_limit: float = 10.0
    filler_after: float = 0.8
    tool_limit: float = 20.0
    """A tool's own deadline is shorter; this one is for an answer that never comes."""
    tool_rounds: int = 4
    """A model that calls tools again and again is stopped."""
    key_pause: float = 2.0
    """Keys pressed are one input when no other follows for this long (or # ends it)."""
    failures_tolerated: int = 2
