"""Moments in which the bot is speaking: real interruptions, and everything that must not be taken for one."""

from __future__ import annotations

from typing import Literal

from bench.moments.moment import Background, Kind, Moment, Part, Pause, Right, Sound, Voice, Words

_VOICES: tuple[Voice, ...] = ("bright", "low", "deep")
_Over = Literal["greeting", "answer"]


def _at(after: float, name: str, *parts: Part, over: _Over = "greeting") -> tuple[float, str, tuple[Part, ...], _Over]:
    return after, name, parts, over


def _during(kind: Kind, right: Right, *scripts: tuple[float, str, tuple[Part, ...], _Over]) -> tuple[Moment, ...]:
    """Voices take turns."""
    return tuple(
        Moment(f"{name}, at {after:g} s of the {over}", kind, right, parts, over, after, _VOICES[number % 3])
        for number, (after, name, parts, over) in enumerate(scripts)
    )


_INTERRUPTIONS = _during(
    "interruption",
    "yield",
    _at(1.0, "stop", Words("Stop.")),
    _at(2.2, "no wait", Words("No, wait.")),
    _at(3.0, "a question", Words("What does a library card cost?")),
    _at(0.5, "right at the beginning", Words("I need to speak to a person.")),
    _at(4.1, "excuse me", Words("Excuse me, can I ask something?")),
    _at(6.3, "not needed", Words("I don't need all of that.")),
    _at(1.7, "hold on", Words("Hold on a second.")),
    _at(2.7, "yeah but", Words("Yeah, but what about Sundays?")),
    _at(5.2, "okay stop", Words("Okay, stop.")),
    _at(3.6, "no", Words("No.")),
    _at(7.5, "two sentences", Words("Sorry to interrupt."), Pause(0.3), Words("Where can I park?")),
    _at(2.0, "with a pause", Words("Wait, I have", tail="open"), Pause(0.7), Words("another question.")),
    _at(1.3, "recorded", Words("go forward ten meters", "Go forward 10 meters.", recording="goforward")),
    _at(1.5, "stop", Words("Stop it, please."), over="answer"),
    _at(3.3, "a question", Words("Do you have any books in French?"), over="answer"),
    _at(5.8, "no wait", Words("No, wait a minute."), over="answer"),
    _at(8.2, "a correction", Words("Actually, I meant the other library."), over="answer"),
    _at(
        2.4,
        "dictated",
        Words("My number is zero six", "My number is 06", "dictation"),
        Pause(0.6),
        Words("forty one, thank you.", "41, thank you."),
        over="answer",
    ),
)

_BACKCHANNELS = _during(
    "backchannel",
    "go on",
    _at(1.2, "mm-hm", Words("mm-hm", "Mm-hmm.")),
    _at(2.5, "uh-huh", Words("uh huh", "Uh-huh.")),
    _at(1.8, "yeah", Words("Yeah.")),
    _at(3.2, "okay", Words("Okay.")),
    _at(4.4, "right", Words("Right.")),
    _at(2.1, "I see", Words("I see.")),
    _at(5.5, "oh okay", Words("Oh, okay.")),
    _at(3.9, "sure", Words("Sure.")),
    _at(1.5, "got it", Words("Got it.")),
    _at(2.9, "yes, yes", Words("Yes, yes.")),
    _at(1.6, "yeah and later okay", Words("Yeah."), Pause(2.5), Words("Okay.")),
    _at(2.3, "yeah", Words("Yeah."), over="answer"),
    _at(4.8, "alright", Words("Alright."), over="answer"),
    _at(3.0, "uh-huh and later right", Words("uh huh", "Uh-huh."), Pause(2.0), Words("Right."), over="answer"),
)

_SOUNDS = _during(
    "sound while the bot talks",
    "go on",
    _at(1.4, "cough", Sound("cough")),
    _at(2.6, "two coughs", Sound("cough twice")),
    _at(3.3, "sneeze", Sound("sneeze")),
    _at(1.9, "throat", Sound("throat")),
    _at(2.8, "ahem", Sound("ahem")),
    _at(4.0, "laugh", Sound("laugh")),
    _at(1.1, "door", Sound("door")),
    _at(2.0, "typing", Sound("typing")),
    _at(3.1, "laugh", Sound("laugh"), over="answer"),
    _at(5.0, "ahem, twice", Sound("ahem"), Pause(0.9), Sound("ahem"), over="answer"),
)


def _noisy(background: Background, over: _Over) -> Moment:
    # The noise is there all the time: the moment is just a point at which it is looked at.
    kind: Kind = "noise while the bot talks"
    return Moment(f"{background}, {over}", kind, "go on", (Sound("click"),), over, 1.0, background=background)


def _noisy_interruption(background: Background, after: float, words: Words, voice: Voice) -> Moment:
    name = f"{background}: {words.spoken}"
    return Moment(name, "interruption", "yield", (words,), "greeting", after, voice, background)


_NOISE = (
    _noisy("pink", "greeting"),
    _noisy("hum", "greeting"),
    _noisy("babble", "greeting"),
    _noisy("pink", "answer"),
    _noisy("hum", "answer"),
    _noisy_interruption("pink", 2.5, Words("Can I speak to somebody?"), "low"),
    _noisy_interruption("hum", 3.5, Words("Stop, that's enough."), "bright"),
)


def _echo(delay_ms: int, over: _Over) -> Moment:
    return Moment(f"{delay_ms} ms late, {over}", "echo", "go on", (Sound("click"),), over, 1.0, echo_ms=delay_ms)


_ECHOES = (_echo(60, "greeting"), _echo(150, "answer"), _echo(300, "greeting"))

_KEYS = _during(
    "keys while the bot talks",
    "go on until the keys are in",
    _at(2.0, "one key", Sound("keys 5")),
    _at(3.0, "four keys", Sound("keys 1234")),
    _at(2.5, "two keys", Sound("keys 42"), over="answer"),
)

OVER_SPEECH: tuple[Moment, ...] = (
    *_INTERRUPTIONS,
    *_BACKCHANNELS,
    *_SOUNDS,
    *_NOISE,
    *_ECHOES,
    *_KEYS,
)
