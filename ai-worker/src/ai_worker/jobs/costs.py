"""What a call's requests to the providers used, in the call's record; and what that costs by the operator's prices."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from pydantic import BaseModel

from ai_worker.jobs.prices import Prices
from callbus import transcript as tr

UNKNOWN = "requests"
"""The unit of what nobody knows."""
_DIGITS = 6


class UsageSum(BaseModel):
    """All that was used of one unit; `told` is false for what we measured ourselves of what we sent."""

    seam: str
    provider: str
    model: str
    unit: str
    amount: float
    told: bool


class Costs(BaseModel):
    """`amount` is what has a price; null where there are no prices. `unpriced` has none ("openai/gpt-4o characters").

    `requests_unknown` counts the requests of which nobody knows what they used: they are in no amount.
    """

    usage: list[UsageSum]
    requests_unknown: int
    amount: float | None = None
    currency: str | None = None
    unpriced: list[str] = []


def summed(entries: Iterable[tr.Used], prices: Prices | None) -> Costs:
    """Each unit of each model once, in the order of the alphabet."""
    sums: dict[tuple[str, str, str, str, bool], float] = {}
    for used in entries:
        key = (used.seam, used.provider, used.model, used.unit, used.told)
        sums[key] = sums.get(key, 0.0) + used.amount
    usage = [
        UsageSum(seam=seam, provider=provider, model=model, unit=unit, amount=round(amount, _DIGITS), told=told)
        for (seam, provider, model, unit, told), amount in sorted(sums.items())
    ]
    costs = Costs(usage=usage, requests_unknown=round(sum(line.amount for line in usage if line.unit == UNKNOWN)))
    return costs if prices is None else _priced(costs, prices)


def _priced(costs: Costs, prices: Prices) -> Costs:
    amount, priced, unpriced = Decimal(0), False, set[str]()
    for line in costs.usage:
        if line.unit == UNKNOWN:
            continue
        price = prices.of_one(line.provider, line.model, line.unit)
        if price is None:
            unpriced.add(f"{line.provider}/{line.model} {line.unit}")
        else:
            amount, priced = amount + price * Decimal(str(line.amount)), True
    told = {"amount": float(round(amount, _DIGITS)), "currency": prices.currency} if priced else {}
    return costs.model_copy(update={**told, "unpriced": sorted(unpriced)})
