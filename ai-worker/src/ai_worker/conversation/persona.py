"""What the state machine needs to know of the bot: its fixed sentences, its limits, its scripted answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ai_worker.conversation.actions import LineAction
from ai_worker.conversation.endpointing import EndpointingOptions
from ai_worker.conversation.scripted import protect
from ai_worker.conversation.texts import ENGLISH
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
class VoicemailPlan:
    """What an answering machine gets: `message` after its beep, if there is one; then the bot hangs up."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class Persona:
    """One bot. Texts may be several sentences; an empty one is not said. What stands in << >> can't be interrupted."""

    greeting: str
    language: str = "en"
    """ISO 639-1, with a region where the agent names one: "en-GB"."""
    notice: str = ""
    """Said after the greeting, and never interrupted."""
    opening: Scripted | None = None
    """In place of the greeting: out of hours, say."""
    instructions: str = ""
    apology: str = ENGLISH.apology
    not_possible: str = ENGLISH.not_possible
    """Said when what the bot has announced can't be done."""
    reprompt: str = ENGLISH.reprompt
    silence_prompts: tuple[str, ...] = ENGLISH.silence_prompts
    goodbye: str = ENGLISH.goodbye
    allow_interruptions: bool = True
    voicemail: VoicemailPlan | None = None
    """None: whoever is on the line is taken for a person."""
    fallback_number: str = ""
    """Where callers go when providers keep failing; "" for nowhere: then the bot says goodbye."""
    longest_call_s: float = 1800.0
    most_turns: int = 0
    """Turns of the caller after which the bot says goodbye; 0 for no limit."""
    tools: tuple[ToolSpec, ...] = ()
    line_tools: frozenset[str] = frozenset()
    """The names of those that want something done on the line, and do nothing else."""
    filler: str = ENGLISH.filler
    fillers: Mapping[str, str] = field(default_factory=dict)
    """What is said while a slow tool runs, by the tool's name; `filler` for the others."""
    long_waits: tuple[str, ...] = ENGLISH.long_waits
    """What is said after that while it goes on, one after the other; none: nothing more is said."""
    script: Callable[[str], Scripted | None] = field(default=_no_script)

    @property
    def first_words(self) -> str:
        """What the bot says when a call begins."""
        return self.opening.say if self.opening else f"{self.greeting} {protect(self.notice)}"


@dataclass(frozen=True, slots=True)
class TurnTaking:
    """Times (s) of the turn-taking."""

    endpointing: EndpointingOptions = field(default_factory=EndpointingOptions)
    pre_roll: float = 0.3
    """Audio before the onset that goes to the STT: the first consonant is often below the VAD's threshold."""
    post_roll: float = 0.2
    false_alarms: int = 2
    """After so many interruptions without words, sound alone doesn't stop the bot any more."""
    sound_without_end: float = 6.0
    """Speech that lasts this long is looked into: perhaps the caller has finished, and a television goes on."""
    sound_again: float = 2.5
    """Words to which none is added for this long, while the sound goes on, are all that the caller said."""
    sound_with_words: float = 2.0
    """Where the STT tells the words as they are spoken, none for this long are a silence, whatever else is heard;"""
    unsure_silence: float = 0.5
    """but that silence must be so much longer than one without a sound."""
    false_interruption: float = 1.5
    """Interrupted, and no words after this long: the bot goes on where it was cut."""
    guesses: int = 5
    """How often within one turn of the caller an answer is begun before the turn is over; 0 for never."""
    sounds_finished: float = 0.7
    """An audio model this sure of the end shortens the wait after unclear words; it is never asked alone."""
    guess_ahead: float = 0.9
    """A turn that ends later than this is not guessed at yet: the caller will probably go on."""
    late_answer: float = 1.0
    """A "yes" that ended no longer than this before the bot's last word answers it; an earlier one is a backchannel."""
    late_option: float = 3.0
    """The same for words that the bot had just said itself: an option that it named, if not an echo."""
    silence_prompt: float = 8.0
    silence_after_file: float = 30.0
    """The same after a file was put on the line: nobody says how long it is, nor when it has ended."""
    after_noise: float = 1.0
    """Noise puts the next silence prompt off, but by no more than this."""
    lost_audio: float = 0.4
    """So much of the caller's audio lost may have been words: they are asked for again;"""
    after_loss: float = 1.2
    """but who is still speaking by then, or repeats it unasked, is heard out."""
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
    """A tool that has not answered by then is waited for with a word, and then with another one"""
    filler_again: float = 6.0
    """after each so many seconds."""
    tool_limit: float = 35.0
    """A tool's own deadline (at most 30 s) is shorter; this one is for an answer that never comes."""
    tool_rounds: int = 4
    """A model that calls tools again and again is stopped."""
    key_pause: float = 2.0
    """Keys pressed are one input when no other follows for this long (or # ends it)."""
    message_after: float = 2.5
    """An answering machine that is silent for this long records, beep or not."""
    machine_limit: float = 60.0
    """One that talks on for longer gets its message anyway."""
    failures_tolerated: int = 1
    """In a row; the next one leads to a person, or to the end of the call."""
