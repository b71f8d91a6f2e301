"""A worker dies, another one goes on: whatever was written by then, nothing is said or done twice. On virtual time."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_worker.conversation import actions as act
from ai_worker.conversation.events import Begin, Played, Tick
from ai_worker.conversation.machine import Conversation
from ai_worker.conversation.persona import Persona, Scripted
from ai_worker.conversation.rebuild import rebuilt_history
from ai_worker.providers.base import ChatMessage
from callbus import transcript
from support.conversation_world import START, Answer, World

# No word stands twice in what the bot says in one call: so a word that is heard twice was said twice.
GREETING = "Hello, Maple Street library speaking. How can I help?"
LAPTOPS = "Members may borrow laptops for two hours. It costs nothing whatsoever, just bring your card."
BOOKS = "Novels stay three weeks with their readers. Comics, however, are due after seven days."
MARIA = "Certainly, connecting you to Maria right now. Please hold the line."
GOODBYE = "Many thanks, dear caller. Goodbye!"


def is_playing(world: World) -> bool:
    """Asked anew each time: a property that was true a moment ago is not for the type checker to remember."""
    return world.streamer.playing


def script(text: str) -> Scripted | None:
    if "human" in text:
        return Scripted(MARIA, "transfer", "33187654321")
    return Scripted(GOODBYE, "hangup") if "bye" in text else None


def answers(messages: tuple[ChatMessage, ...]) -> Answer:
    question = [message.content for message in messages if message.role == "user"][-1]
    whole = BOOKS if "books" in question else LAPTOPS
    if messages[-1].role == "system":
        # Asked to go on: it does so, in its own way.
        said = [message.content for message in messages if message.role == "assistant"][-1]
        return Answer(missing_of(whole, said))
    return Answer(whole)


def missing_of(whole: str, said: str) -> str:
    at = whole.find(said)
    return whole[at + len(said) :].strip() if at >= 0 else whole


PERSONA = Persona(GREETING, script=script, apology="Apologies!", silence_prompts=("Anyone?", "Still around?"))


def call(*crashes: int, ends_with: str = "A human, please.") -> World:
    """A question, a noise that interrupts the answer, an interruption, keys, and a transfer."""
    world = World(PERSONA, answers=answers, crashes=frozenset(crashes)).until_heard("speaking.").until_turn()
    world.caller.say("Can I borrow a laptop?", after=0.3)
    world.until_heard("Members")
    world.caller.noise(0.6)
    world.until_heard("whatsoever, just")
    world.caller.say("And what about books?")
    world.until_heard("Comics, however,")
    world.caller.say(ends_with)
    return world.run()


WHOLE = call()
LENGTH = len(WHOLE.entries)


def check(world: World, outcome: str = "transferred", kind: str = "transfer") -> None:
    story = world.story()
    prompts = " ".join(PERSONA.silence_prompts).split()
    heard = Counter(heard.word for heard in world.wire.heard(world.now, surely=True) if heard.word not in prompts)
    assert max(heard.values()) == 1, f"said twice: {heard.most_common(3)} {story}"
    assert [done for _, _, done, _ in world.streamer.done] == [kind], story
    assert world.finish, story
    assert world.finish.outcome == outcome, story
    words = Counter(" ".join(world.caller_said).split())
    assert max(words.values()) == 1, f"understood twice: {world.caller_said} {story}"
    said = [entry.text for entry in world.entries if isinstance(entry, transcript.BotSays)]
    assert said[0] in GREETING
    # Fixed texts are heard whole, also those that were not written down whole.
    for text in (GREETING, MARIA if kind == "transfer" else GOODBYE):
        assert set(text.split()) <= set(heard), f"not heard: {text} {story}"
    assert world.caller_said[0] == "Can I borrow a laptop?"
    assert len(world.caller_said) == 3, story


def test_the_call_without_a_crash() -> None:
    check(WHOLE)
    assert WHOLE.caller_said == ["Can I borrow a laptop?", "And what about books?", "A human, please."]


@pytest.mark.parametrize("moment", range(1, LENGTH))
def test_a_take_over_at_every_moment(moment: int) -> None:
    check(call(moment))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, LENGTH), st.integers(1, LENGTH), st.integers(1, LENGTH + 5))
def test_take_over_after_take_over(first: int, second: int, third: int) -> None:
    check(call(first, second, third))


GOODBYES = call(ends_with="Okay, bye.")


@pytest.mark.parametrize("moment", range(LENGTH - 8, len(GOODBYES.entries)))
def test_a_take_over_around_a_goodbye(moment: int) -> None:
    check(call(moment, ends_with="Okay, bye."), "bot_ended", "hangup")


def dictated(messages: tuple[ChatMessage, ...]) -> Answer:
    """A model that writes slowly, and begins anew when it is asked to go on."""
    return Answer(LAPTOPS + " Chargers are lent out, too. Mice are not.", token=0.4)


def test_what_the_model_had_not_written_is_asked_for_and_nothing_is_said_twice() -> None:
    world = World(PERSONA, answers=dictated).until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("hours.")
    world.crash()
    world.until_heard("Mice are not.").until_turn()
    assert world.heard == f"{GREETING} {LAPTOPS} Chargers are lent out, too. Mice are not."
    *_, question, said, wish = world.thoughts[-1].messages
    assert (question.content, said.role, wish.role) == ("Can I borrow a laptop?", "assistant", "system")
    assert LAPTOPS.startswith(said.content)
    assert "without saying any of them again" in wish.content
    # It is whole now: the next one leaves it alone.
    world.crash()
    world.run(6.0)
    assert len(world.thoughts) == 2


def test_a_model_with_nothing_to_add_leaves_the_turn_to_the_caller() -> None:
    world = World(PERSONA, answers=lambda _: Answer("Laptops are free of charge for you.", token=0.2)).until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until(lambda: any(isinstance(e, transcript.BotSays) and e.reply_to == 1 for e in world.entries))
    world.crash()
    world.run(4.0).until_turn()
    assert world.heard.count("Laptops are free of charge for you.") == 1
    assert PERSONA.apology not in world.heard
    world.caller.say("And what about books?")
    world.until(lambda: len(world.caller_said) == 2)


def test_a_filler_is_no_answer_to_a_successor() -> None:
    history = rebuilt_history(
        [
            transcript.CallerSaid(1.0, 0.0, 1, "Where is my order?", "1-0"),
            transcript.ToolUsed(1.1, 1, "call_1", "lookup", "{}", "asked"),
            transcript.BotSays(2.0, "1.1", "One moment.", 1),
            transcript.BotHeard(3.0, "1.1", "One moment.", False),
        ]
    )
    conversation = Conversation(PERSONA, history=history, prefix="2")
    conversation.handle(Begin(10.0), START)
    conversation.handle(Played("idle", "1.1", 0, 0, START), START)
    actions = conversation.handle(Tick(), START + 0.1)
    assert actions == []
    assert conversation.state == "thinking"


KEYS: list[transcript.Entry] = [
    transcript.CallerSaid(1.0, 0.0, 1, "Press one, please.", "1-0"),
    transcript.BotSays(1.1, "1.1", "I will do so. Just a moment.", 1),
    transcript.ToolUsed(1.2, 1, "call_1", "press_digits", '{"digits": "1"}', "asked"),
    transcript.ToolUsed(1.3, 1, "call_1", "press_digits", '{"digits": "1"}', "done", "Done when you have finished."),
    transcript.Acted(1.3, "1.2-digits", "digits", "1", "planned", "call_1"),
    transcript.Answered(1.3, 1),
]
"""The model has spoken first, and then called for keys: nothing is said between their plan and their press."""


def test_keys_that_were_announced_before_they_were_planned_are_pressed_once() -> None:
    conversation = Conversation(PERSONA, history=rebuilt_history(KEYS), prefix="2")
    conversation.handle(Begin(10.0), START)
    conversation.handle(Played("started", "1.1", 0, 1000, START), START)
    actions = conversation.handle(Played("idle", "1.1", 500, 1000, START), START)
    assert not [action for action in actions if isinstance(action, act.Think)]
    (rest,) = [action for action in actions if isinstance(action, act.Say)]
    actions = []
    for state in ("started", "finished", "idle"):
        actions += conversation.handle(Played(state, rest.segment, 1000, 1000, START), START)
    (pressed,) = [action for action in actions if isinstance(action, act.Act)]
    assert (pressed.kind, pressed.argument, pressed.action_id) == ("digits", "1", "1.2-digits")


def test_the_model_that_is_told_of_a_lost_tool_knows_what_the_caller_will_hear_before_its_words() -> None:
    conversation = Conversation(PERSONA, history=rebuilt_history(KEYS[:3]), prefix="2")
    conversation.handle(Begin(10.0), START)
    conversation.handle(Played("started", "1.1", 0, 1000, START), START)
    actions = conversation.handle(Played("idle", "1.1", 500, 1000, START), START)
    (rest,) = [action for action in actions if isinstance(action, act.Say)]
    assert rest.text
    (thought,) = [action for action in actions if isinstance(action, act.Think)]
    *_, said, result = thought.messages
    assert (said.role, said.content) == ("assistant", "I will do so. Just a moment.")
    assert [call.id for call in said.tool_calls] == ["call_1"]
    assert (result.role, result.tool_call_id) == ("tool", "call_1")


def test_after_keys_that_were_pressed_the_caller_has_the_turn() -> None:
    done: list[transcript.Entry] = [
        transcript.BotHeard(2.0, "1.1", "I will do so. Just a moment.", False),
        *(transcript.Acted(2.0, "1.2-digits", "digits", "1", state, "call_1") for state in ("asked", "done")),
    ]
    conversation = Conversation(PERSONA, history=rebuilt_history([*KEYS, *done]), prefix="2")
    conversation.handle(Begin(10.0), START)
    assert conversation.handle(Played("idle", "1.1", 0, 0, START), START) == []
    assert conversation.state == "listening"


def test_entries_that_an_outage_of_redis_has_doubled_count_once() -> None:
    twice = [entry for entry in WHOLE.entries for _ in range(2)]
    once = rebuilt_history(WHOLE.entries)
    assert rebuilt_history(twice).said == once.said
    batch = 7
    batches = [WHOLE.entries[at : at + batch] for at in range(0, LENGTH, batch)]
    assert rebuilt_history([entry for part in batches for entry in [*part, *part]]).said == once.said


def test_the_callers_words_that_the_dead_worker_did_not_answer_are_answered() -> None:
    world = World(PERSONA, answers=answers).until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until(lambda: bool(world.caller_said))
    world.crash()
    world.until_heard("your card.")
    assert world.caller_said == ["Can I borrow a laptop?"]


def test_what_the_caller_says_while_nobody_listens_is_answered() -> None:
    world = World(PERSONA, answers=answers).until_turn()
    world.crash()
    world.caller.say("Can I borrow a laptop?", after=0.5)
    world.until_heard("your card.")
    assert world.caller_said == ["Can I borrow a laptop?"]
    assert world.heard.count(GREETING) == 1


def test_a_cough_during_the_take_over_does_not_lose_the_question() -> None:
    world = World(PERSONA, answers=answers).until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until(lambda: bool(world.caller_said))
    world.crash()
    world.caller.noise(0.8, after=2.5)
    world.until_heard("your card.")


def test_the_dead_workers_last_words_can_be_interrupted() -> None:
    world = World(PERSONA, answers=lambda _: Answer(" ".join(f"word{number}" for number in range(60)))).until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("word2")
    world.crash()
    world.until(lambda: world.worker.lives()).run(0.3)
    assert world.streamer.playing
    world.caller.say("Wait, what about books?")
    world.run(0.5)
    assert not world.streamer.playing


@pytest.mark.parametrize("keys", [False, True])
def test_an_announcement_that_is_interrupted_during_the_take_over_is_never_acted_upon(keys: bool) -> None:
    announcement = (
        "Certainly, I will connect you to my colleague Maria, who knows all about this, in a few seconds from now."
    )
    persona = Persona(
        GREETING, script=lambda text: Scripted(announcement, "transfer", "33") if "human" in text else None
    )
    world = World(persona, answers=answers).until_turn()
    world.caller.say("A human, please.")
    world.until_heard("Certainly,")
    world.crash()
    world.until(lambda: world.worker.lives()).run(0.1)
    assert is_playing(world)
    if keys:
        world.caller.press("1#", apart=0.1)
    else:
        world.caller.say("No, wait, I have a question.")
    world.until(lambda: len(world.caller_said) == 2).run(0.1)
    assert not is_playing(world)
    assert world.action_states == [("transfer", "planned"), ("transfer", "dropped")]
    world.crash()
    world.until_heard("your card.").run(5.0)
    assert world.streamer.asked == []


def test_a_streamer_that_does_not_answer_the_take_over_is_not_waited_for_for_ever() -> None:
    world = World(PERSONA, answers=answers).until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("Members may")
    world.streamer.take_over = lambda: None  # type: ignore[method-assign]
    world.streamer.break_()
    world.crash()
    world.until_heard("your card.").until_turn()
    world.caller.say("And what about books?")
    world.until(lambda: len(world.thoughts) == 2)
    [answer] = [message.content for message in world.thoughts[-1].messages if message.role == "assistant"][1:]
    assert answer.count("laptops") == 1
    assert answer.count("card.") == 1


def test_a_worker_that_comes_after_the_end_only_ends() -> None:
    history = rebuilt_history([*WHOLE.entries])
    conversation = Conversation(PERSONA, history=history, prefix="2")

    assert conversation.handle(Begin(60.0), START) == [act.Finish("transferred", "finished by another worker")]
    assert conversation.finished
