"""A circuit breaker: keeps a provider that fails out of the calls' way, and finds out when it is back. Sans-I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "open", "half-open"]

REMEMBERED = 20


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to one request; its outcome goes back with it."""

    generation: int


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a provider is kept out, and for how long; all times in seconds.

    It is kept out after `failures` failures within `window`, if they are at least half of what was asked then: one
    request of a hundred that fails is no reason to change the voice of every call. First for `pause`, twice as long
    after each probe that fails, up to `longest_pause`; for `denied_pause` when its key was not accepted.
    """

    failures: int = 3
    window: float = 30.0
    pause: float = 10.0
    longest_pause: float = 120.0
    denied_pause: float = 300.0


class CircuitBreaker:
    """Asked with `admit` before each request; told how it went by exactly one of the others. `now` never goes back.

    closed: every request passes. open: none does. half-open (the pause is over): one at a time does, the probe. An
    outcome that belongs to an earlier state changes nothing.
    """

    def __init__(self, rules: BreakerRules | None = None) -> None:
        self._rules = rules or BreakerRules()
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=REMEMBERED)
        self._generation = 0
        self._open_until: float | None = None
        self._pause = self._rules.pause
        self._probe: Ticket | None = None

    def state(self, now: float) -> State:
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until else "half-open"

    def out_for(self, now: float) -> float:
        """Seconds until the next request may pass; 0.0 when one may now, or when the probe's outcome decides."""
        return max(0.0, self._open_until - now) if self._open_until is not None else 0.0

    def admits(self, now: float) -> bool:
        """Whether `admit` would let a request pass."""
        state = self.state(now)
        return state == "closed" or (state == "half-open" and self._probe is None)

    def admit(self, now: float) -> Ticket | None:
        """A ticket for one request, or None while the provider is kept out."""
        if not self.admits(now):
            return None
        ticket = Ticket(self._generation)
        if self._open_until is not None:
            self._probe = ticket
        return ticket

    def force(self) -> Ticket:
        """A ticket whatever the state is: for when nobody else is left to ask. A success closes, a failure
        changes nothing."""
        return Ticket(self._generation)

    def succeeded(self, ticket: Ticket, now: float) -> None:
        if ticket.generation != self._generation:
            return
        if self._open_until is None:
            self._outcomes.append((now, True))
        else:
            self._change(None)
            self._pause = self._rules.pause

    def failed(self, ticket: Ticket, now: float, *, retry_after: float | None = None) -> None:
        """`retry_after` (s) is the provider's own word: it is kept out for that long at once, up to denied_pause."""
        if ticket.generation != self._generation:
            return
        wish = min(retry_after or 0.0, self._rules.denied_pause)
        if self._open_until is None:
            self._outcomes.append((now, False))
            recent = [ok for at, ok in self._outcomes if now - at <= self._rules.window]
            failures = recent.count(False)
            if failures >= self._rules.failures and 2 * failures >= len(recent):
                self._change(now + max(wish, self._pause))
            elif wish:
                self._change(now + wish)
        elif ticket is self._probe:
            self._pause = min(2 * self._pause, self._rules.longest_pause)
            self._change(now + max(wish, self._pause))

    def denied(self, ticket: Ticket, now: float) -> None:
        """The key was not accepted: only somebody's hand can change that."""
        if ticket.generation == self._generation:
            self._change(now + self._rules.denied_pause)

    def abandoned(self, ticket: Ticket) -> None:
        """The request says nothing about the provider: it was cancelled, or was itself at fault."""
        if ticket is self._probe:
            self._probe = None

    def _change(self, open_until: float | None) -> None:
        self._open_until = open_until
        self._generation += 1
        self._probe = None
        self._outcomes.clear()
