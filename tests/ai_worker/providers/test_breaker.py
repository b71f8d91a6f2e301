"""The circuit breaker on virtual time: who is kept out, for how long, and who may find out that it is back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ai_worker.providers.breaker import BreakerRules, CircuitBreaker, Ticket

RULES = BreakerRules(failures=3, window=30.0, pause=10.0, longest_pause=40.0, denied_pause=300.0)


def taken(breaker: CircuitBreaker, now: float) -> Ticket:
    ticket = breaker.admit(now)
    assert ticket is not None
    return ticket


def opened(now: float = 0.0) -> CircuitBreaker:
    breaker = CircuitBreaker(RULES)
    for _ in range(3):
        breaker.failed(taken(breaker, now), now)
    return breaker


def test_three_failures_keep_it_out() -> None:
    breaker = CircuitBreaker(RULES)
    for now in (0.0, 1.0):
        breaker.failed(taken(breaker, now), now)
        assert breaker.state(now) == "closed"
    breaker.failed(taken(breaker, 2.0), 2.0)

    assert breaker.state(2.0) == "open"
    assert breaker.out_for(2.0) == 10.0
    assert breaker.admit(11.9) is None
    assert breaker.state(12.0) == "half-open"


def test_failures_far_apart_do_not() -> None:
    breaker = CircuitBreaker(RULES)
    for now in (0.0, 16.0, 32.0, 48.0):
        breaker.failed(taken(breaker, now), now)
        assert breaker.state(now) == "closed"


def test_failures_among_many_successes_do_not() -> None:
    breaker = CircuitBreaker(RULES)
    for now in range(20):
        ticket = taken(breaker, now)
        if now % 4:
            breaker.succeeded(ticket, now)
        else:
            breaker.failed(ticket, now)
        assert breaker.state(now) == "closed"


def test_one_probe_at_a_time_and_success_lets_everybody_in() -> None:
    breaker = opened()
    probe = taken(breaker, 10.0)
    assert breaker.admit(10.0) is None
    assert not breaker.admits(11.0)
    breaker.succeeded(probe, 11.0)

    assert breaker.state(11.0) == "closed"
    assert all(breaker.admit(11.0) for _ in range(5))


def test_a_probe_that_was_abandoned_leaves_its_place() -> None:
    breaker = opened()
    breaker.abandoned(taken(breaker, 10.0))

    assert breaker.state(10.0) == "half-open"
    assert breaker.admit(10.0)


def test_each_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    breaker, now, pauses = opened(), 10.0, []
    for _ in range(4):
        breaker.failed(taken(breaker, now), now)
        pauses.append(breaker.out_for(now))
        now += pauses[-1]
    assert pauses == [20.0, 40.0, 40.0, 40.0]

    breaker.succeeded(taken(breaker, now), now)
    for _ in range(3):
        breaker.failed(taken(breaker, now), now)
    assert breaker.out_for(now) == 10.0


@pytest.mark.parametrize(("asked", "out_for"), [(7.0, 7.0), (100.0, 100.0), (5000.0, 300.0), (0.0, 0.0)])
def test_a_servers_retry_after_is_respected_at_once(asked: float, out_for: float) -> None:
    breaker = CircuitBreaker(RULES)
    breaker.failed(taken(breaker, 0.0), 0.0, retry_after=asked)

    assert breaker.out_for(0.0) == out_for
    assert breaker.admits(0.0) is (asked == 0.0)


def test_a_denied_key_keeps_it_out_longer() -> None:
    breaker = CircuitBreaker(RULES)
    breaker.denied(taken(breaker, 0.0), 0.0)

    assert breaker.out_for(0.0) == 300.0


def test_what_began_before_it_was_kept_out_says_nothing_later() -> None:
    breaker = CircuitBreaker(RULES)
    early = [taken(breaker, 0.0) for _ in range(3)]
    for _ in range(3):
        breaker.failed(taken(breaker, 0.0), 0.0)
    breaker.succeeded(early[0], 1.0)
    assert breaker.state(1.0) == "open"
    breaker.failed(early[1], 1.0, retry_after=200.0)
    breaker.denied(early[2], 1.0)
    assert breaker.out_for(1.0) == 9.0


def test_a_forced_request_may_bring_it_back_and_does_no_harm() -> None:
    breaker = opened()
    breaker.failed(breaker.force(), 1.0)
    assert breaker.out_for(1.0) == 9.0
    breaker.succeeded(breaker.force(), 2.0)
    assert breaker.state(2.0) == "closed"


class AnyTraffic(RuleBasedStateMachine):
    """Requests that overlap at will, and end as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = CircuitBreaker(RULES)
        self.now = 0.0
        self.running: list[Ticket] = []
        self.probes: list[Ticket] = []

    @rule(seconds=st.floats(0, 60))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        state, allowed = self.breaker.state(self.now), self.breaker.admits(self.now)
        ticket = self.breaker.admit(self.now)
        assert (ticket is not None) is allowed
        assert (state != "open") or ticket is None
        if ticket:
            self.running.append(ticket)
            if state == "half-open":
                assert all(probe.generation != ticket.generation for probe in self.probes), "two probes at once"
                self.probes.append(ticket)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.sampled_from(["ok", "failed", "later", "denied", "cancelled"]))
    def end(self, data: st.DataObject, how: str) -> None:
        ticket = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.probes = [probe for probe in self.probes if probe is not ticket]
        if how == "ok":
            self.breaker.succeeded(ticket, self.now)
        elif how == "denied":
            self.breaker.denied(ticket, self.now)
        elif how == "cancelled":
            self.breaker.abandoned(ticket)
        else:
            self.breaker.failed(ticket, self.now, retry_after=50.0 if how == "later" else None)

    @invariant()
    def it_is_never_out_for_good(self) -> None:
        assert 0.0 <= self.breaker.out_for(self.now) <= RULES.denied_pause + 1e-6
        if self.breaker.state(self.now) == "half-open" and not self.probes:
            assert self.breaker.admits(self.now)


TestAnyTraffic = AnyTraffic.TestCase


@given(st.lists(st.booleans(), max_size=60))
def test_kept_out_only_when_half_of_the_requests_fail(outcomes: list[bool]) -> None:
    breaker = CircuitBreaker(RULES)
    seen: list[bool] = []
    for ok in outcomes:
        ticket = taken(breaker, 0.0)
        seen.append(ok)
        if ok:
            breaker.succeeded(ticket, 0.0)
        else:
            breaker.failed(ticket, 0.0)
        if breaker.state(0.0) == "open":
            recent = seen[-20:]
            assert recent.count(False) >= max(3, len(recent) / 2)
            return
    assert seen.count(False) < 3 or any(seen)
