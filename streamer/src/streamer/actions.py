"""Actions on the line that must not happen twice: transfer, digits, play, hangup."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

from callbus import commands as bus
from callbus import sessions
from callbus.broker import Broker
from callbus.errors import BusUnavailable
from streamer import commands

Action: TypeAlias = bus.Play | bus.Digits | bus.Transfer | bus.Hangup

RETRY_S = 0.1
MOST_POSTPONED = 20


def wire_text(action: Action) -> str:
    """The action as it goes on the wire; "" for a hangup, which has no message. Raises CommandError."""
    match action:
        case bus.Play(url=url):
            return commands.play(url)
        case bus.Digits(digits=digits):
            return commands.digits(digits)
        case bus.Transfer(number=number):
            return commands.transfer(number)
        case bus.Hangup():
            return ""


class Actions:
    """One call's actions, over all its media sessions on this streamer."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._done: set[str] = set()
        self._postponed: list[Action] = []

    async def first_time(self, action: Action) -> bool:
        """Whether this action is to be carried out now; False when it was before. An outage of Redis is waited out."""
        if action.action_id in self._done:
            return False
        self._done.add(action.action_id)
        asked_before = False
        while True:
            try:
                # A lost reply may have been to our own mark: then "done already" was said of ourselves.
                hangs_up = isinstance(action, bus.Hangup)
                first = await sessions.mark_done(self._broker, action.call_id, action.action_id, hangs_up=hangs_up)
                return first or asked_before
            except BusUnavailable:
                asked_before = True
                await asyncio.sleep(RETRY_S)

    def postpone(self, action: Action) -> None:
        """Keep an action until the connection is back."""
        if len(self._postponed) < MOST_POSTPONED:
            self._postponed.append(action)

    def take_postponed(self) -> list[Action]:
        """The actions that were kept, in order."""
        postponed, self._postponed = self._postponed, []
        return postponed
