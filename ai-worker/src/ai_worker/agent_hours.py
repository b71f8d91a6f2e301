"""Business hours: when a bot answers as itself, and what it does outside of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ai_worker.agent_fields import Misplaced, Name
from ai_worker.agent_templates import Spoken

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RANGE = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\s*[-–]\s*(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)")
_ONE_DAY = timedelta(days=1)


class Span(NamedTuple):
    """From `start` to `end`, which is on the next day if it is not after `start`."""

    start: time
    end: time


def _spans(written: object) -> object:
    """`09:00-18:00`, or a list of such; nothing is closed."""
    items = [] if written is None else written if isinstance(written, list | tuple) else [written]
    return tuple(_span(item) for item in items)


def _span(written: object) -> Span:
    if isinstance(written, Span):
        return written
    found = _RANGE.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None:
        raise ValueError('expected "09:00-18:00", with hours of two digits; 22:00-06:00 ends on the next day')
    end = time(int(found[3]), int(found[4])) if found[3] else time(0)
    span = Span(time(int(found[1]), int(found[2])), end)
    if span.start == span.end and found[3]:
        raise ValueError("begins when it ends; 00:00-24:00 is the whole day")
    return span


def _zone(written: object) -> object:
    if not isinstance(written, str):
        return written
    try:
        return ZoneInfo(written)
    except (KeyError, ValueError, OSError):
        raise ValueError("no time zone that this machine knows: expected a name such as Europe/Paris") from None


def _holiday(written: object) -> object:
    text = written if isinstance(written, str) else ""
    try:
        # 2024 has a 29th of February.
        date.fromisoformat(f"2024-{text}" if re.fullmatch(r"\d\d-\d\d", text) else text)
    except ValueError:
        raise ValueError("expected a date such as 2026-12-25, or 12-25 for every year") from None
    return text


class Outside(BaseModel):
    """What a call outside of the hours gets: `say` first, then `do`; `to` is a name in the agent's `transfer`. What it
    says can be interrupted, unless it is not `interruptible`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    say: Spoken | None = None
    do: Literal["hang_up", "transfer", "continue"] = "hang_up"
    to: Name | None = None
    interruptible: bool = True

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.do == "transfer" and self.to is None:
            raise Misplaced(("do",), "`do: transfer` needs `to`")
        if self.do != "transfer" and self.to is not None:
            raise Misplaced(("to",), f"`to` belongs to `do: transfer`, not to `do: {self.do}`")
        if self.do == "hang_up" and self.say is None:
            raise Misplaced((), "a caller deserves a word before the end: `do: hang_up` needs `say`")
        return self


class Hours(BaseModel):
    """Open times a week, in local time. A span belongs to the day on which it begins, also past midnight."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    timezone: Annotated[ZoneInfo, BeforeValidator(_zone)]
    open: dict[str, Annotated[tuple[Span, ...], BeforeValidator(_spans)]]
    holidays: tuple[Annotated[str, BeforeValidator(_holiday)], ...] = Field(default=())
    outside: Outside

    @model_validator(mode="after")
    def _days_are_days(self) -> Self:
        seen: dict[int, str] = {}
        for written in self.open:
            for day in _weekdays(written):
                if day in seen:
                    raise Misplaced(("open", written), f"{DAYS[day]} is in `{seen[day]}` already")
                seen[day] = written
        return self

    def open_at(self, moment: datetime) -> bool:
        """Whether `moment` (which must know its zone, else ValueError) is in a span, its end not included."""
        if moment.tzinfo is None:
            raise ValueError("a moment without a time zone is no moment: use datetime.now(UTC)")
        instant = moment.astimezone(UTC)
        today = instant.astimezone(self.timezone).date()
        return any(begin <= instant < end for day in (today - _ONE_DAY, today) for begin, end in self._spans_of(day))

    def _spans_of(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """As instants: a wall clock shows some times twice, and skips others."""
        if day.isoformat() in self.holidays or f"{day:%m-%d}" in self.holidays:
            return
        for written, spans in self.open.items():
            if day.weekday() not in _weekdays(written):
                continue
            for span in spans:
                last = day if span.end > span.start else day + _ONE_DAY
                yield (
                    datetime.combine(day, span.start, self.timezone).astimezone(UTC),
                    datetime.combine(last, span.end, self.timezone).astimezone(UTC),
                )


def _weekdays(written: str) -> tuple[int, ...]:
    """The days (0 is Monday) of `mon`, `mon-fri`, `sat-mon` or `mon, wed-fri`. Raises Misplaced."""
    days: list[int] = []
    for part in written.replace(" ", "").split(","):
        ends = part.split("-")
        if len(ends) > 2 or not all(end in DAYS for end in ends):
            raise Misplaced(
                ("open", written), f"{written!r} is no day: expected {', '.join(DAYS)}, mon-fri, or mon,wed-fri"
            )
        first, last = DAYS.index(ends[0]), DAYS.index(ends[-1])
        days += [(first + step) % 7 for step in range((last - first) % 7 + 1)]
    return tuple(days)
