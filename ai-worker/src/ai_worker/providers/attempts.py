"""One request's way through a chain: who is asked next, how long may it take, and what its outcome means."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar, cast

import structlog

from ai_worker.providers.base import ProviderDenied, ProviderError, ProviderRefused, ProviderTimeout
from ai_worker.providers.breaker import CircuitBreaker, Ticket
from ai_worker.providers.usage import Amount, TellsUsage, Usage
from ai_worker.settings import Seam
from callbus import tracing
from callbus.masking import mask_text

if TYPE_CHECKING:
    from callbus.otlp import Span

Clock = Callable[[], float]
Report: TypeAlias = Callable[[Usage], None]
Note: TypeAlias = Callable[[str], None]
LONGEST_ERROR = 200

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

    used: defaultdict[tuple[str, str, str, str, bool], float] = field(default_factory=lambda: defaultdict(float))
    """What requests used: by seam, provider, model, unit, and whether the provider told."""

    def as_dict(self) -> dict[str, dict[str, dict[str, int]]]:
        """`{"switches": {"tts": {"elevenlabs-tts": 3}}, "failures": …}`."""
        return {"switches": _by_seam(self.switches), "failures": _by_seam(self.failures)}


@dataclass(slots=True)
class LastError:
    """The newest failure of a provider, for people who look after it; `at` is epoch seconds."""

    text: str = ""
    at: float = 0.0

    def note(self, error: ProviderError) -> None:
        """Phone numbers in it are masked; the key was cut out where the error was made."""
        self.text, self.at = mask_text(error.reason)[:LONGEST_ERROR], time.time()


@dataclass(frozen=True, slots=True)
class Link(Generic[P]):
    """A provider in a chain; `kind` is its word in the settings, e.g. "openai", and `model` what it is set to use."""

    kind: str
    provider: P
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    model: str = ""
    last_error: LastError = field(default_factory=LastError)

    @property
    def costs(self) -> bool:
        """Whether its requests are somebody else's bill."""
        return self.kind != "local"


class Attempts(Generic[P]):
    """Iterate for one attempt after the other, until one of them returns; afterwards `error` says why none did.

    Who is kept out by its breaker comes last, when nobody else is left: asking costs less than silence. `after` is why
    another request of the same turn failed that these make up for.
    """

    def __init__(
        self,
        seam: Seam,
        links: Sequence[Link[P]],
        counts: Counts,
        clock: Clock = time.monotonic,
        report: Report | None = None,
        note: Note | None = None,
        after: ProviderError | None = None,
    ) -> None:
        self.seam = seam
        self.counts = counts
        self.clock = clock
        self.report = report
        self.note = note
        self.failed: list[ProviderError] = []
        self._left = list(links)
        self._first = self._left[0]
        self.after = after

    def __iter__(self) -> Iterator[Attempt[P]]:
        while self._left:
            link, ticket = self._next()
            self._left.remove(link)
            why = self.failed[-1] if self.failed else self.after
            if why and why.provider != link.provider.name:
                self._switch(why, link)
            elif link is not self._first:
                self._say(f"{self._first.provider.name} is kept out", link)
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

    def used(self, link: Link[P], used: Amount, *, told: bool) -> None:
        """Count what a request used, and report it to whoever asked for these attempts."""
        self.counts.used[self.seam, link.kind, link.model, used.unit, told] += used.amount
        if self.report:
            self.report(Usage(self.seam, link.kind, link.model, used.unit, used.amount, told))

    def used_by_first(self, used: Amount) -> None:
        """Count what the preferred provider was sent outside of an attempt."""
        if self._left[0].costs:
            self.used(self._left[0], used, told=False)

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
        self._say(f"{error.provider} failed ({mask_text(error.reason)[:LONGEST_ERROR]})", to)

    def _say(self, why: str, to: Link[P]) -> None:
        if self.note:
            # In words that the console knows for a fallback's: see its parts/notes.js.
            self.note(f"{self.seam}: {why}; {to.provider.name} took over")


class Attempt(Generic[P]):
    """`with` it around the use of `provider`: a ProviderError stays inside, unless something was `begun`.

    Set `begun` once a part of the answer was given out: from then on, nobody else can take over unheard. `measured` is
    what it used for all that we know, if the provider tells nothing.
    """

    def __init__(self, attempts: Attempts[P], link: Link[P], ticket: Ticket) -> None:
        self._told: list[Amount] = []
        self.provider = self._telling(link.provider)
        self.kind = link.kind
        self.begun = False
        self.measured: Amount | None = None
        self._attempts = attempts
        self._link = link
        self._breaker = link.breaker
        self._ticket = ticket
        self._span: Span | None = None

    def __enter__(self) -> Attempt[P]:
        # Not made the current one: another task may end a generator's attempt than the one that began it.
        if parent := tracing.current():
            about: tracing.Attributes = {
                "provider": self.provider.name,
                "model": self._link.model,
                "fallback": bool(self._attempts.failed or self._attempts.after),
            }
            self._span = parent.child(f"{self._attempts.seam} {self.kind}", about)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._report_usage(error)
        if self._span:
            if error:
                self._span.failed(error)
            self._span.end()
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
            piece = await anext(pieces, None)
        if self._span and not self.begun:
            self._span.set({"first_ms": round((self._span.now() - self._span.start) * 1000, 1)})
        return piece

    def _telling(self, provider: P) -> P:
        asked: object = provider
        return cast(P, asked.telling(self._told.extend)) if isinstance(asked, TellsUsage) else provider

    def _report_usage(self, error: BaseException | None) -> None:
        link, told = self._link, bool(self._told)
        # Who fails at once, or refuses, is taken not to charge; who is late may.
        free = isinstance(error, ProviderError) and not isinstance(error, ProviderTimeout) and not self.begun
        if not link.costs or (free and not told):
            return
        for used in self._told or filter(None, [self.measured]):
            self._attempts.used(link, used, told=told)

    def _succeeded(self) -> None:
        now = self._attempts.clock()
        was_out = self._breaker.state(now) != "closed"
        self._breaker.succeeded(self._ticket, now)
        if was_out and self._breaker.state(now) == "closed":
            log.info("provider is back", seam=self._attempts.seam, provider=self.provider.name)

    def _failed(self, error: ProviderError) -> None:
        attempts, breaker, now = self._attempts, self._breaker, self._attempts.clock()
        attempts.counts.failures[attempts.seam, self.provider.name] += 1
        self._link.last_error.note(error)
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
