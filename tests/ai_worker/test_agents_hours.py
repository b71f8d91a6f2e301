"""Business hours: in the agent's own time, across midnight, holidays and the nights when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ai_worker.agent_hours import DAYS, Hours
from ai_worker.agents import Agent

PARIS = ZoneInfo("Europe/Paris")


def hours(open: dict[str, Any], *, timezone: str = "Europe/Paris", holidays: tuple[str, ...] = ()) -> Hours:
    return Hours.model_validate(
        {"timezone": timezone, "open": open, "holidays": holidays, "outside": {"say": "Closed."}}
    )


def paris(text: str, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS, fold=fold)


OFFICE = hours({"mon-fri": "09:00-18:00", "sat": ["10:00-12:30", "14:00-16:00"]}, holidays=("2026-12-25", "05-01"))


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23 08:59:59", False),
        ("2026-11-23 09:00", True),
        ("2026-11-23 17:59:59", True),
        ("2026-11-23 18:00", False),
        ("2026-11-28 12:29", True),
        ("2026-11-28 13:00", False),
        ("2026-11-28 15:59", True),
        ("2026-11-29 11:00", False),
        ("2026-12-25 11:00", False),
        ("2026-12-24 11:00", True),
        ("2026-05-01 11:00", False),
        ("2028-05-01 11:00", False),
    ],
)
def test_an_office(moment: str, is_open: bool) -> None:
    assert OFFICE.open_at(paris(moment)) is is_open
    assert OFFICE.open_at(paris(moment).astimezone(UTC)) is is_open
    assert OFFICE.open_at(paris(moment).astimezone(ZoneInfo("Asia/Tokyo"))) is is_open


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    bar = hours({"fri-sat": "22:00-06:00"}, holidays=("2026-11-28",))
    assert not bar.open_at(paris("2026-11-27 05:00"))
    assert bar.open_at(paris("2026-11-27 23:00"))
    assert bar.open_at(paris("2026-11-28 05:59"))  # Friday's, though Saturday is a holiday
    assert not bar.open_at(paris("2026-11-28 06:00"))
    assert not bar.open_at(paris("2026-11-28 23:00"))
    assert not bar.open_at(paris("2026-11-29 01:00"))
    assert bar.open_at(paris("2026-12-06 01:00"))


def test_the_whole_day() -> None:
    always = hours({"mon-sun": "00:00-24:00"})
    assert always.open_at(paris("2026-11-29 00:00"))
    assert always.open_at(paris("2026-11-29 23:59:59"))


def test_when_an_hour_comes_twice_a_shop_closes_once() -> None:
    shop = hours({"sat": "20:00-02:30"})
    assert shop.open_at(paris("2026-10-25 02:29", fold=0))
    assert not shop.open_at(paris("2026-10-25 02:45", fold=0))
    assert not shop.open_at(paris("2026-10-25 02:15", fold=1))


def test_when_an_hour_is_skipped() -> None:
    shop = hours({"sat": "20:00-04:00", "sun": "09:00-10:00"})
    assert shop.open_at(paris("2026-03-29 01:59"))
    assert shop.open_at(paris("2026-03-29 03:59"))
    assert not shop.open_at(paris("2026-03-29 04:00"))
    assert shop.open_at(datetime(2026, 3, 29, 7, 30, tzinfo=UTC))


def test_a_moment_without_a_zone_is_none() -> None:
    with pytest.raises(ValueError, match="time zone"):
        OFFICE.open_at(datetime(2026, 11, 23, 10))


zones = st.sampled_from(["Europe/Paris", "America/New_York", "Asia/Kolkata", "Pacific/Chatham", "UTC", "Asia/Tokyo"])
clock = st.integers(0, 24 * 60 - 1)
spans = st.tuples(clock, clock).filter(lambda pair: pair[0] != pair[1])


def clock_text(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@given(
    zones,
    st.dictionaries(st.sampled_from(DAYS), st.lists(spans, max_size=3), max_size=7),
    st.datetimes(datetime(2001, 1, 3), datetime(2099, 1, 1)),
)
def test_open_is_what_the_clock_on_the_wall_says(
    zone: str, week: dict[str, list[tuple[int, int]]], at: datetime
) -> None:
    local = at.replace(tzinfo=ZoneInfo(zone))
    days = (local - timedelta(days=1), local, local + timedelta(days=1))
    if len({day.utcoffset() for day in days}) > 1:
        return  # a night when clocks change: tested above
    written = {day: [f"{clock_text(a)}-{clock_text(b)}" for a, b in spans] for day, spans in week.items()}
    now = local.hour * 60 + local.minute
    today = week.get(DAYS[local.weekday()], [])
    yesterday = week.get(DAYS[(local.weekday() - 1) % 7], [])
    expected = any(a <= now < b if a < b else now >= a for a, b in today) or any(
        b < a and now < b for a, b in yesterday
    )
    assert hours(written, timezone=zone).open_at(local) is expected


@settings(max_examples=50)
@given(spans)
def test_on_the_night_of_the_doubled_hour_it_opens_once(span: tuple[int, int]) -> None:
    """A clock on the wall would open a shop that closes at half past two a second time, at two."""
    daily = hours({"mon-sun": f"{clock_text(span[0])}-{clock_text(span[1])}"})
    begin = datetime(2026, 10, 24, 12, tzinfo=UTC)
    states = [daily.open_at(begin + timedelta(minutes=5 * step)) for step in range(24 * 12)]
    assert sum(after and not before for before, after in pairwise(states)) <= 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"timezone": "Europe/Pari"}, "no time zone"),
        ({"timezone": "../../etc/passwd"}, "no time zone"),
        ({"open": {"monday": "09:00-18:00"}}, "is no day"),
        ({"open": {"mon-fri-sun": "09:00-18:00"}}, "is no day"),
        ({"open": {"mon-fri": "09:00-18:00", "wed": "09:00-12:00"}}, "wed is in `mon-fri` already"),
        ({"open": {"mon": "9-18"}}, 'expected "09:00-18:00"'),
        ({"open": {"mon": "09:00-24:30"}}, 'expected "09:00-18:00"'),
        ({"open": {"mon": {"from": "9"}}}, 'expected "09:00-18:00"'),
        ({"open": {"mon": "09:00-09:00"}}, "begins when it ends"),
        ({"holidays": ["Christmas"]}, "expected a date"),
        ({"holidays": ["2026-02-29"]}, "expected a date"),
        ({"outside": {}}, "needs `say`"),
        ({"outside": {"do": "transfer", "say": "Hold on."}}, "needs `to`"),
        ({"outside": {"do": "continue", "to": "desk"}}, "belongs to `do: transfer`"),
    ],
)
def test_mistakes(change: dict[str, Any], says: str) -> None:
    good = {"timezone": "UTC", "open": {"mon": "09:00-18:00"}, "outside": {"say": "Closed."}}
    with pytest.raises(ValidationError, match=says):
        Hours.model_validate({**good, **change})


def test_an_agent_knows_what_happens_outside() -> None:
    agent = Agent(name="a", greeting="Hi.", instructions="x", hours=OFFICE)
    assert agent.open_at(paris("2026-11-23 10:00"))
    assert agent.outside_at(paris("2026-11-23 10:00")) is None
    outside = agent.outside_at(paris("2026-11-23 20:00"))
    assert outside is not None
    assert (outside.say, outside.do) == ("Closed.", "hang_up")
    always = Agent(name="a", greeting="Hi.", instructions="x")
    assert always.open_at(paris("2026-11-29 03:00"))
    assert always.outside_at(paris("2026-11-29 03:00")) is None
