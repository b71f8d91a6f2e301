"""What holds in every conversation with tools: random callers, tools, times, workers that die. On virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from ai_worker.conversation import actions as act
from ai_worker.conversation.persona import Persona, Scripted
from ai_worker.conversation.rebuild import rebuilt_history
from ai_worker.providers.base import ChatMessage, ToolCall
from callbus import transcript
from support.conversation_world import START, Answer, Latency, Work, World

SOON = "It is done when you have finished speaking."
NOT_DONE = ("It was NOT done", "It was not done")
WISHES = {
    "press_digits": Scripted("", "digits", "1"),
    "play_audio": Scripted("", "play", "https://cdn.example.com/music.mp3"),
    "transfer": Scripted("I will put you through to Maria now.", "transfer", "331"),
    "hang_up": Scripted("Many thanks for calling us. Goodbye.", "hangup"),
}
PERSONA = Persona("Hello, this is the library.", instructions="You are a library.", line_tools=frozenset(WISHES))

Tool = Literal["looks up", "press_digits", "play_audio", "transfer", "hang_up"]


@dataclass(frozen=True, slots=True)
class Chore:
    """What the model calls in one answer, what it says before, and how long (s) a look-up takes."""

    tools: tuple[Tool, ...]
    takes: float
    speaks: bool


@dataclass(frozen=True, slots=True)
class Deed:
    """What the caller does `after` so many seconds."""

    does: Literal["says", "hums", "coughs"]
    after: float


chores = st.lists(
    st.none()
    | st.builds(
        Chore,
        tools=st.lists(st.sampled_from(("looks up", *Tool.__args__)), min_size=1, max_size=3).map(tuple),  # type: ignore[attr-defined]
        takes=st.sampled_from([0.05, 0.5, 1.5, 4.0, 11.0, 25.0]),
        speaks=st.booleans(),
    ),
    max_size=6,
)
deeds = st.lists(
    st.builds(
        Deed,
        does=st.sampled_from(("says", "says", "hums", "coughs")),
        after=st.sampled_from([0.0, 0.3, 1.0, 2.0, 5.0, 12.0]),
    ),
    min_size=1,
    max_size=7,
)
latencies = st.builds(
    Latency,
    bus=st.sampled_from([0.001, 0.1]),
    stt=st.sampled_from([0.1, 0.9]),
    partial=st.sampled_from([None, 0.05]),
    first_token=st.sampled_from([0.1, 0.5, 2.0]),
    first_audio=st.sampled_from([0.05, 0.3]),
)


def hold(caller: list[Deed], chores: list[Chore | None], latency: Latency, crashes: Iterable[int] = ()) -> World:
    """Such a conversation, to its end."""
    thoughts, calls, words = count(1), count(1), count(1)
    to_do = iter(chores)
    takes: dict[str, float] = {}

    def answers(_messages: tuple[ChatMessage, ...]) -> Answer:
        number = next(thoughts)
        chore = next(to_do, None)
        if chore is None:
            return Answer(f"r{number}a r{number}b r{number}c r{number}d r{number}e.")
        wanted = tuple(ToolCall(f"t{next(calls)}", tool, "{}") for tool in chore.tools)
        takes.update({call.id: chore.takes for call in wanted})
        return Answer(f"r{number}a I will see to it r{number}b." if chore.speaks else "", calls=wanted)

    def tools(call: ToolCall) -> Work:
        wish = WISHES.get(call.name)
        return Work(0.0, SOON, wish) if wish else Work(takes[call.id], f"found {call.id}")

    world = World(PERSONA, latency=latency, answers=answers, tools=tools, crashes=frozenset(crashes))
    after = 3.0
    for deed in caller:
        after += deed.after
        if deed.does == "coughs":
            after = world.caller.noise(0.8, after=after) - START
        else:
            text = "Mm-hm." if deed.does == "hums" else f"c{next(words)} c{next(words)} c{next(words)}."
            after = world.caller.say(text, after=after) - START
    return world.run()


def check_each_is_done_once(world: World) -> None:
    used = Counter(action.call.id for _, action in world.actions if isinstance(action, act.UseTool))
    done = Counter(action_id for _, action_id, _, _ in world.streamer.done)
    understood = Counter(word for word in " ".join(world.caller_said).split() if word[0] == "c")
    heard = Counter(heard.word for heard in world.wire.heard(world.now, surely=True) if heard.word[0] == "r")
    for counted in (used, done, understood, heard):
        assert all(times == 1 for times in counted.values()), f"{counted} {world.story()}"


def check_the_order(world: World) -> None:
    """What the model calls for in one answer is done in that order, and nothing after the bot has left."""
    asked = [entry.tool_call_id for entry in world.written(transcript.ToolUsed) if entry.state == "asked"]
    by_action = {entry.action_id: entry.tool_call_id for entry in world.written(transcript.Acted)}
    done = [by_action[action_id] for _, action_id, _, _ in world.streamer.done]
    places = [asked.index(call) for call in done if call]
    assert places == sorted(places), world.story()
    left = [kind in act.OUTCOMES for _, _, kind, _ in world.streamer.done]
    assert not any(left[:-1]), world.story()


def check_the_model_is_told_what_is_true(world: World) -> None:
    """At every question to it, and for whoever would take over then: of what is to be done, it is so or it was."""
    state: dict[str, str] = {}
    found: set[str] = set()
    written: list[transcript.Entry] = []
    for _, action in world.actions:
        if isinstance(action, act.Write):
            written.append(action.entry)
        if isinstance(action, act.Write) and isinstance(entry := action.entry, transcript.Acted):
            state[entry.tool_call_id] = entry.state
        if isinstance(action, act.Think):
            for message in action.messages:
                if message.role == "tool":
                    call, told = message.tool_call_id or "", message.content
                    assert (told == SOON) <= (state.get(call) in ("planned", "asked", "done")), world.story()
                    assert told.startswith(NOT_DONE) <= (state.get(call) in (None, "dropped", "refused")), world.story()
                    found |= {call} if told.startswith("found") else set()
            rebuilt = rebuilt_history(written).messages(PERSONA.instructions)
            assert settled(rebuilt) >= settled(action.messages), world.story()
    if any("again and again" in note for note in world.notes):
        return
    over = world.streamer.done[-1][0] if world.streamer.done else world.now
    for used in world.written(transcript.ToolUsed):
        if used.state == "done" and used.result != SOON and used.at < over - 40.0:
            assert used.tool_call_id in found, f"{used} was never told {world.story()}"


def settled(messages: tuple[ChatMessage, ...]) -> set[tuple[str | None, str]]:
    """The results that are known for good."""
    told = [(message.tool_call_id, message.content) for message in messages if message.role == "tool"]
    return {(call, text) for call, text in told if text.startswith(("found", *NOT_DONE))}


def patience(world: World) -> float:
    """After a file, of which nobody tells how long it is, the bot asks later whether anybody is there."""
    return world.options.silence_after_file if ("play", "done") in world.action_states else 0.0


@settings(max_examples=200, deadline=None, database=None)
@given(deeds, chores, latencies)
def test_every_conversation_with_tools(caller: list[Deed], chores: list[Chore | None], latency: Latency) -> None:
    world = hold(caller, chores, latency)
    assert world.finish, world.story()
    assert world.longest_silence < 13.0 + patience(world), world.story()
    check_each_is_done_once(world)
    check_the_order(world)
    check_the_model_is_told_what_is_true(world)


@settings(max_examples=150, deadline=None, database=None)
@given(deeds, chores, latencies, st.sets(st.integers(1, 40), min_size=1, max_size=3))
def test_every_conversation_with_tools_and_workers_that_die(
    caller: list[Deed], chores: list[Chore | None], latency: Latency, crashes: set[int]
) -> None:
    world = hold(caller, chores, latency, crashes)
    assert world.finish, world.story()
    assert world.longest_silence < 30.0 + patience(world), world.story()
    check_each_is_done_once(world)
    check_the_order(world)
    check_the_model_is_told_what_is_true(world)
