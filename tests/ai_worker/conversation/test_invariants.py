"""What holds in every conversation: random callers, providers, lines. On virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, count, pairwise, repeat
from typing import Literal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ai_worker.conversation import actions as act
from ai_worker.conversation.persona import Persona, Scripted
from ai_worker.conversation.rebuild import rebuilt_history
from ai_worker.providers.base import ChatMessage
from callbus import transcript
from support.conversation_world import START, Answer, Latency, World

GREETING = "Hello, this is the library. How can I help you?"
ANNOUNCEMENT = "Of course, I will put you through to a colleague now."
PERSONA = Persona(
    GREETING,
    instructions="You are a library.",
    script=lambda text: Scripted(ANNOUNCEMENT, "transfer", "331") if "human" in text else None,
)

CallerDoes = Literal[
    "says", "begins to say", "hums", "coughs", "has a television on", "presses", "asks for a human", "hangs up"
]


@dataclass(frozen=True, slots=True)
class Deed:
    """What the caller does `after` so many seconds, and how much of it."""

    does: CallerDoes
    after: float
    much: int


@dataclass(frozen=True, slots=True)
class Faults:
    """What each next request to a provider comes to; after the last one, all is well."""

    speech_to_text: tuple[Literal["ok", "fails", "stalls"], ...] = ()
    model: tuple[Literal["well", "fails", "stalls"], ...] = ()
    voice: tuple[Literal["ok", "fails", "breaks", "stalls"], ...] = ()
    line: tuple[tuple[float, float], ...] = ()
    """(when, for how long) the connection is lost"""

    def __bool__(self) -> bool:
        return bool(self.line) or not {*self.speech_to_text, *self.model, *self.voice} <= {"ok", "well"}


deeds = st.lists(
    st.builds(
        Deed,
        does=st.sampled_from(("says",) * 4 + CallerDoes.__args__),  # type: ignore[attr-defined]
        after=st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.0, 2.0, 5.0, 12.0]),
        much=st.integers(1, 8),
    ),
    max_size=9,
)
latencies = st.builds(
    Latency,
    bus=st.sampled_from([0.001, 0.01, 0.1]),
    stt=st.sampled_from([0.1, 0.4, 0.9, 2.0]),
    partial=st.sampled_from([None, 0.05, 0.15]),
    first_token=st.sampled_from([0.1, 0.5, 2.0]),
    token=st.sampled_from([0.01, 0.15]),
    first_audio=st.sampled_from([0.05, 0.3, 1.0]),
    making=st.sampled_from([0.05, 0.5, 0.95]),
)
faults = st.builds(
    Faults,
    speech_to_text=st.lists(st.sampled_from(["ok", "ok", "fails", "stalls"]), max_size=4).map(tuple),
    model=st.lists(st.sampled_from(["well", "well", "fails", "stalls"]), max_size=4).map(tuple),
    voice=(
        st.lists(st.sampled_from(["ok", "ok", "fails", "breaks", "stalls"]), max_size=5)
        | st.lists(st.sampled_from(["ok", "ok", "breaks"]), max_size=8)
    ).map(tuple),
    line=st.lists(st.tuples(st.floats(1.0, 40.0), st.floats(0.2, 9.0)), max_size=1).map(tuple),
)


def hold(
    caller: list[Deed], latency: Latency, wrong: Faults, persona: Persona = PERSONA, crashes: Iterable[int] = ()
) -> World:
    """Such a conversation, to its end."""
    thoughts = count(1)
    model: Iterator[Literal["well", "fails", "stalls"]] = chain(wrong.model, repeat("well"))
    ear: Iterator[Literal["ok", "fails", "stalls"]] = chain(wrong.speech_to_text, repeat("ok"))
    voice: Iterator[Literal["ok", "fails", "breaks", "stalls"]] = chain(wrong.voice, repeat("ok"))

    def answers(_messages: tuple[ChatMessage, ...]) -> Answer:
        number = next(thoughts)
        sentences = (" ".join(f"r{number}w{s}x{word}" for word in range(5)) + "." for s in range(number % 3 + 1))
        return Answer(" ".join(sentences), next(model))

    world = World(
        persona,
        crashes=frozenset(crashes),
        latency=latency,
        answers=answers,
        speech_to_text=lambda _: next(ear),
        text_to_speech=lambda _: next(voice),
    )
    for at, seconds in wrong.line:
        world.later(at, lambda seconds=seconds: world.lose_line(seconds))  # type: ignore[misc]
    words = count(1)
    after = 1.0
    for deed in caller:
        after += deed.after
        match deed.does:
            case "says":
                text = " ".join(f"c{next(words)}" for _ in range(deed.much)) + "."
            case "begins to say":
                text = " ".join(f"c{next(words)}" for _ in range(deed.much)) + " and"
            case "hums":
                text = "Mm-hm."
            case "asks for a human":
                text = f"c{next(words)} human please."
            case "coughs":
                after = world.caller.noise(deed.much * 0.25, after=after) - START
                continue
            case "has a television on":
                world.caller.noise(deed.much * 2.0, after=after, behind=True)
                continue
            case "presses":
                world.caller.press("12345678"[: deed.much - 1] + "#" * (deed.much % 2), after=after)
                continue
            case "hangs up":
                world.caller.hang_up(after=after)
                break
        after = world.caller.say(text, after=after) - START
    return world.run()


def check_it_ends(world: World, wrong: Faults) -> None:
    """The bot is never silent for good while the caller waits."""
    assert world.finish, world.story()
    assert world.longest_silence < (40.0 if wrong else 13.0), world.story()


def check_nothing_of_what_was_given_up_is_said(world: World) -> None:
    latest, guessed, said = 0, 0, set()
    thoughts = 0
    for at, action in world.actions:
        match action:
            case act.Think():
                thoughts += 1
                if is_guess(world, at, action):
                    guessed = thoughts
                else:
                    latest = thoughts
            case act.Write(transcript.CallerSaid()):
                latest = 0
            case act.Guessed(used):
                latest, guessed = guessed if used else latest, 0
            case act.Say(segment, text):
                said.add(segment)
                assert not text.startswith("r") or text.startswith(f"r{latest}w"), world.story()
            case act.StopSpeaking():
                silent = at + world.latency.bus + 0.01
                late = [heard for heard in world.wire.heard(world.now) if heard.segment in said and heard.at > silent]
                assert late == [], f"{late} {world.story()}"
            case _:
                pass


def is_guess(world: World, at: float, thought: act.Think) -> bool:
    """Whether the model was asked about a turn that was not over."""
    before = [
        action.entry
        for _, action in world.actions[: world.actions.index((at, thought))]
        if isinstance(action, act.Write)
    ]
    return rebuilt_history(before).messages(PERSONA.instructions) != thought.messages


def check_the_context_is_what_was_heard(world: World) -> None:
    texts = {segment: text for segment, text, _ in world.speech.segments}
    heard = Counter(heard.segment for heard in world.wire.heard(world.now))
    surely = Counter(heard.segment for heard in world.wire.heard(world.now, surely=True))
    for entry in world.entries:
        if isinstance(entry, transcript.BotHeard):
            count_ = len(entry.heard_text.split())
            assert texts.get(entry.segment, "").startswith(entry.heard_text), world.story()
            assert surely[entry.segment] - 1 <= count_ <= heard[entry.segment], f"{entry} {world.story()}"
    written: list[transcript.Entry] = []
    guess: act.Think | None = None
    thoughts = 0
    for _, action in world.actions:
        match action:
            case act.Write(entry):
                written.append(entry)
            case act.Think():
                thoughts += 1
                if rebuilt_history(written).messages(PERSONA.instructions) == action.messages:
                    check_nothing_stands_twice(action, world)
                else:
                    assert guess is None, world.story()
                    guess = action
            case act.Guessed(used):
                assert guess, world.story()
                if used:
                    assert rebuilt_history(written).messages(PERSONA.instructions) == guess.messages, world.story()
                    check_nothing_stands_twice(guess, world)
                guess = None
            case act.Say():
                early = guess is not None and action.text.startswith(f"r{thoughts}w")
                assert not early, f"a guess is said {world.story()}"
            case _:
                pass
    assert guess is None, f"a guess is left {world.story()}"


def check_nothing_stands_twice(thought: act.Think, world: World) -> None:
    said = Counter(" ".join(message.content for message in thought.messages).split())
    twice = [word for word, times in said.items() if times > 1 and word[0] == "r" and word[1].isdigit()]
    assert twice == [], f"{twice} {world.story()}"


def check_actions(world: World, wrong: Faults) -> None:
    done = Counter(action_id for _, action_id, _, _ in world.streamer.done)
    assert all(times == 1 for times in done.values()), world.story()
    assert len(world.streamer.done) <= 1, world.story()
    if wrong.voice or wrong.line:
        return
    for at, _, kind in world.streamer.asked:
        heard = " ".join(heard.word for heard in world.wire.heard(at))
        last = ANNOUNCEMENT if kind == "transfer" and "went wrong" not in heard[-60:] else ("Goodbye.", "my side.")
        assert heard.endswith(last), world.story()


def check_a_broken_voice_costs_no_words(world: World, wrong: Faults) -> None:
    """What is heard of an answer is its beginning, whole: a rest that another voice can say is said."""
    twice = any(pair == ("breaks", "breaks") for pair in pairwise(wrong.voice))
    if wrong.line or twice or not {*wrong.voice} <= {"ok", "breaks"}:
        return
    heard = {heard.word for heard in world.wire.heard(world.now)}
    for answer in {word.partition("w")[0] for word in heard if word[0] == "r" and word[1].isdigit()}:
        words = [f"{answer}w{s}x{word}" for s in range(int(answer[1:]) % 3 + 1) for word in range(5)]
        flags = [word in heard or f"{word}." in heard for word in words]
        assert flags == sorted(flags, reverse=True), f"{answer} {world.story()}"
    if {*wrong.model, *wrong.speech_to_text} <= {"ok", "well"}:
        assert PERSONA.apology not in world.heard, world.story()


def check_timings(world: World) -> None:
    turns = [entry.turn for entry in world.entries if isinstance(entry, transcript.TurnTimed)]
    assert turns == sorted(set(turns)), world.story()
    for timed in world.entries:
        if isinstance(timed, transcript.TurnTimed):
            assert {"stt_final", "turn_end"} <= set(timed.stages), world.story()
            assert min(timed.stages.values()) >= 0, world.story()
            assert list(timed.stages)[-2:] == ["tts_first_byte", "playing"], world.story()
            assert list(timed.stages.values()) == sorted(timed.stages.values()), world.story()
            assert timed.voice_to_voice_ms is not None
            assert 0 <= timed.voice_to_voice_ms <= timed.stages["playing"] + 1, world.story()


def check_every_word_of_the_caller_is_understood_once(world: World, wrong: Faults, *, interruptible: bool) -> None:
    understood = [word for word in " ".join(world.caller_said).split() if word[0] == "c"]
    assert Counter(understood) == Counter(set(understood)), world.story()
    numbers = [int(word.strip(".c")) for word in understood]
    assert numbers == sorted(numbers), world.story()
    if wrong.speech_to_text or wrong.line:
        return
    asked = [entry.at for entry in world.entries if isinstance(entry, transcript.Acted) and entry.state == "asked"]
    over = min([world.now, *asked])
    if not interruptible and (wrong.voice or (world.finish and world.finish.outcome == "caller_left")):
        # What is said over a bot that goes on is answered when it has finished: perhaps too late.
        return
    for stretch in reversed(world.caller.stretches):
        if stretch.end > over - 6.0:
            # The call was over before this turn was, or before its words were there.
            over = min(over, stretch.start)
            continue
        missed = [word for word in stretch.words if word[0] == "c" and word not in understood]
        assert missed == [], f"{missed} {world.story()}"


@settings(max_examples=300, deadline=None, database=None)
@given(deeds, latencies, st.just(Faults()) | faults, st.booleans())
@example([Deed("says", 3.0, 4)], Latency(), Faults(voice=("ok", "ok", "breaks")), True)
def test_every_conversation(caller: list[Deed], latency: Latency, wrong: Faults, interruptible: bool) -> None:
    world = hold(caller, latency, wrong, replace(PERSONA, allow_interruptions=interruptible))
    check_it_ends(world, wrong)
    check_nothing_of_what_was_given_up_is_said(world)
    check_the_context_is_what_was_heard(world)
    check_actions(world, wrong)
    check_a_broken_voice_costs_no_words(world, wrong)
    check_timings(world)
    check_every_word_of_the_caller_is_understood_once(world, wrong, interruptible=interruptible)


@settings(max_examples=150, deadline=None, database=None)
@given(deeds, latencies, st.just(Faults()) | faults, st.booleans(), st.sets(st.integers(1, 30), min_size=1, max_size=3))
def test_every_conversation_with_workers_that_die(
    caller: list[Deed], latency: Latency, wrong: Faults, interruptible: bool, crashes: set[int]
) -> None:
    world = hold(caller, latency, wrong, replace(PERSONA, allow_interruptions=interruptible), crashes)
    assert world.finish, world.story()
    assert world.longest_silence < (90.0 if wrong else 30.0), world.story()
    done = Counter(action_id for _, action_id, _, _ in world.streamer.done)
    assert all(times == 1 for times in done.values()), world.story()
    assert len(world.streamer.done) <= 1, world.story()
    understood = Counter(word for word in " ".join(world.caller_said).split() if word[0] == "c")
    assert understood == Counter(set(understood)), world.story()


def test_the_checks_see_a_conversation_with_everything_in_it() -> None:
    script: list[Deed] = [
        Deed("says", 3.0, 4),
        Deed("says", 2.0, 2),
        Deed("coughs", 3.0, 4),
        Deed("hums", 1.0, 1),
        Deed("presses", 6.0, 3),
        Deed("asks for a human", 6.0, 1),
    ]
    world = hold(script, Latency(), Faults())
    assert len(world.thoughts) >= 3
    assert world.streamer.broken
    assert world.streamer.done
    checks: list[Callable[[World], None]] = [
        check_nothing_of_what_was_given_up_is_said,
        check_the_context_is_what_was_heard,
    ]
    for check in checks:
        check(world)
