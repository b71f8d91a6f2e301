"""One request's way through a chain: who is asked next, how long may it take, and what its outcome means."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Protocol, TypeVar

import structlog

from ai_worker.providers.base import ProviderDenied, ProviderError, ProviderRefused, ProviderTimeout
from ai_worker.providers.breaker import CircuitBreaker, Ticket
from ai_worker.settings import Seam

Clock = Callable[[], float]

log = structlog.get_logger()


class Named(Protocol):
    """Any provider."""

    @property
    def name(self) -> str: ...


P = TypeVar("P", bound=Named)
T = TypeVar("T")


@dataclass(slots=True)
class Counts:
    """What the chains counted since the start, by seam and provider."""

    switches: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Requests that another provider took over from this one."""
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Requests that this one failed: by an error, a refusal, or by being late."""

    def as_dict(self) -> dict[str, dict[str, dict[str, int]]]:
        """`{"switches": {"tts": {"elevenlabs-tts": 3}}, "failures": …}`."""
        return {"switches": _by_seam(self.switches), "failures": _by_seam(self.failures)}


@dataclass(frozen=True, slots=True)
class Link(Generic[P]):
    """A provider in a chain; `kind` is its word in the settings, e.g. "openai"."""

    kind: str
    provider: P
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)


class Attempts(Generic[P]):
    """Iterate for one attempt after the other, until one of them returns; afterwards `error` says why none did.

    Who is kept out by its breaker comes last, when nobody else is left: asking costs less than silence.
    """

    def __init__(self, seam: Seam, links: Sequence[Link[P]], counts: Counts, clock: Clock = time.monotonic) -> None:
        self.seam = seam
        self.counts = counts
        self.clock = clock
        self.failed: list[ProviderError] = []
        self._left = list(links)

    def __iter__(self) -> Iterator[Attempt[P]]:
        while self._left:
            link, ticket = self._next()
            self._left.remove(link)
            if self.failed:
                self._switch(self.failed[-1], link)
            yield Attempt(self, link, ticket)

    @property
    def others_left(self) -> bool:
        """Whether somebody who is not kept out can still take over."""
        return any(link.breaker.admits(self.clock()) for link in self._left)

    @property
    def error(self) -> ProviderError:
        if len(self.failed) == 1:
            return self.failed[0]
        reasons = "; ".join(str(error) for error in self.failed)
        return ProviderError(self.seam, f"every provider failed: {reasons}", retryable=_any_retryable(self.failed))

    def _next(self) -> tuple[Link[P], Ticket]:
        for link in self._left:
            if ticket := link.breaker.admit(self.clock()):
                return link, ticket
        return self._left[0], self._left[0].breaker.force()

    def _switch(self, error: ProviderError, to: Link[P]) -> None:
        self.counts.switches[self.seam, error.provider] += 1
        log.warning(
            "provider switched",
            seam=self.seam,
            from_provider=error.provider,
            to_provider=to.provider.name,
            reason=error.reason,
        )


class Attempt(Generic[P]):
    """`with` it around the use of `provider`: a ProviderError stays inside, unless something was `begun`.

    Set `begun` once a part of the answer was given out: from then on, nobody else can take over unheard.
    """

    def __init__(self, attempts: Attempts[P], link: Link[P], ticket: Ticket) -> None:
        self.provider = link.provider
        self.kind = link.kind
        self.begun = False
        self._attempts = attempts
        self._breaker = link.breaker
        self._ticket = ticket

    def __enter__(self) -> Attempt[P]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, ProviderError):
            self._attempts.failed.append(error)
            self._failed(error)
            return not self.begun
        if error is None or self.begun:
            self._succeeded()
        else:
            self._breaker.abandoned(self._ticket)
        return False

    @asynccontextmanager
    async def within(self, awaited: str, seconds: float) -> AsyncIterator[None]:
        """`awaited` must come within `seconds` if somebody can still take over; else the provider's own time-out holds.

        Raises ProviderTimeout.
        """
        if not self._attempts.others_left:
            yield
            return
        deadline = asyncio.timeout(max(0.0, seconds))
        try:
            async with deadline:
                yield
        except TimeoutError:
            if not deadline.expired():
                raise
            reason = f"{awaited} did not come within {seconds:g} s, and others can take over"
            raise ProviderTimeout(self.provider.name, reason) from None

    async def first_within(self, pieces: AsyncGenerator[T, None], awaited: str, seconds: float) -> T | None:
        """The first of `pieces`, or None if there is none; see `within`."""
        async with self.within(awaited, seconds):
            return await anext(pieces, None)

    def _succeeded(self) -> None:
        now = self._attempts.clock()
        was_out = self._breaker.state(now) != "closed"
        self._breaker.succeeded(self._ticket, now)
        if was_out and self._breaker.state(now) == "closed":
            log.info("provider is back", seam=self._attempts.seam, provider=self.provider.name)

    def _failed(self, error: ProviderError) -> None:
        attempts, breaker, now = self._attempts, self._breaker, self._attempts.clock()
        attempts.counts.failures[attempts.seam, self.provider.name] += 1
        already_out = breaker.out_for(now) > 0
        if isinstance(error, ProviderDenied):
            breaker.denied(self._ticket, now)
        elif isinstance(error, ProviderRefused):
            # One agent's unknown voice or language must not silence the provider for the others.
            breaker.abandoned(self._ticket)
        else:
            breaker.failed(self._ticket, now, retry_after=error.retry_after)
        if not already_out and (seconds := breaker.out_for(now)) > 0:
            log.warning(
                "provider is kept out",
                seam=attempts.seam,
                provider=self.provider.name,
                seconds=round(seconds, 1),
                reason=error.reason,
            )


def _any_retryable(errors: Sequence[ProviderError]) -> bool:
    return any(error.retryable for error in errors)


def _by_seam(counter: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    result: dict[str, dict[str, int]] = {}
    for (seam, provider), count in counter.items():
        result.setdefault(seam, {})[provider] = count
    return result
