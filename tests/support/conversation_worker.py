"""A worker on virtual time: drives its `Conversation` with what the call brings, and carries out what it asks for."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.conversation.machine import Conversation
from callbus import transcript
from support.conversation_providers import Brain, Place, Transcriber, Voice


class Call(Place, Protocol):
    """What a worker needs of the world."""

    actions: list[tuple[float, act.Action]]
    finish: act.Finish | None

    def write(self, entry: transcript.Entry, /) -> None: ...


class Worker:
    """One worker's share of the call: its conversation, and its providers' work under way.

    `past` is the last entry of the call's stream that was there before it, `read_up_to` the last one that is read.
    """

    def __init__(self, world: Call, conversation: Conversation, *, past: int, read_up_to: int) -> None:
        self._world = world
        self.conversation = conversation
        self.voice = Voice(world, self.tell)
        self.brain = Brain(world, self.tell)
        self.ear = Transcriber(world, self.tell)
        self.past = past
        self.read_up_to = read_up_to
        self.dead = False

    def lives(self) -> bool:
        return not self.dead

    def read(self, index: int, event: ev.Event) -> None:
        """This entry of the call's stream has come."""
        if not self.lives() or index <= self.read_up_to:
            return
        self.read_up_to = index
        if index <= self.past and isinstance(event, ev.Played) and event.state == "idle":
            return
        self.tell(event)

    def tell(self, event: ev.Event) -> None:
        world = self._world
        if not self.lives() or world.finish:
            return
        for action in self.conversation.handle(event, world.now):
            world.actions.append((world.now, action))
            self._carry_out(action)
            if not self.lives():
                return
        assert world.finish or self.conversation.next_wake is not None, "it waits for nothing"

    def _carry_out(self, action: act.Action) -> None:
        world = self._world
        match action:
            case act.Write(entry):
                if isinstance(entry, transcript.CallerSaid):
                    entry = dataclasses.replace(entry, in_id=str(self.read_up_to))
                world.write(entry)
            case act.Say():
                self.voice.say(action)
            case act.Unsay():
                self.voice.unsay()
            case act.StopSpeaking():
                self.voice.stop()
                world.command(world.streamer.break_)
            case act.Prepare():
                self.voice.prepare(action.text)
            case act.Unprepare():
                self.voice.unprepare()
            case act.Think():
                self.brain.think(action)
            case act.UseTool():
                self.brain.use(action.call)
            case act.StopThinking():
                self.brain.stop(action.reply)
            case act.Transcribe():
                self.ear.transcribe(action)
            case act.Listen():
                self.ear.listen(action)
            case act.StopListening():
                self.ear.stop_listening()
            case act.Act():
                world.command(lambda: world.streamer.act(action.action_id, action.kind, action.argument))
            case act.Finish():
                world.finish = action
