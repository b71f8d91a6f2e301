"""The operator's prices of what providers bill: a YAML file, because prices that ship with code go stale."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from callbus.errors import BadYaml
from callbus.located_yaml import Located, dotted

_SHAPE = "`currency: USD` and `prices:`, with a line for each model"
_MODEL = "the provider's word in the settings, a slash, and the model: openai/gpt-4o-mini"
Price = Annotated[Decimal | None, Field(ge=0, allow_inf_nan=False)]


class ModelPrices(BaseModel):
    """The prices of `per` of each unit; what is not priced is not counted as free."""

    model_config = ConfigDict(extra="forbid")

    per: Annotated[Decimal, Field(gt=0, allow_inf_nan=False)] = Decimal(1)
    input_tokens: Price = None
    cached_input_tokens: Price = None
    audio_input_tokens: Price = None
    output_tokens: Price = None
    characters: Price = None
    audio_s: Price = None


_UNITS = frozenset(ModelPrices.model_fields) - {"per"}


class Prices(BaseModel):
    """By "provider/model"; `currency` is a name of three letters (ISO 4217)."""

    model_config = ConfigDict(extra="forbid")

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    prices: dict[str, ModelPrices]

    @field_validator("prices")
    @classmethod
    def _names_a_provider_and_a_model(cls, prices: dict[str, ModelPrices]) -> dict[str, ModelPrices]:
        for name in prices:
            provider, _, model = name.partition("/")
            if not provider or not model:
                raise ValueError(f"{name!r} names no model; expected {_MODEL}")
        return prices

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises BadYaml."""
        written = Located.read(path, what="a list of prices", shape=_SHAPE)
        try:
            return cls.model_validate(written.document)
        except ValidationError as error:
            raise BadYaml(
                *(
                    f"{path}:{written.line(*found['loc'])}: {_problem(found['loc'], found['msg'])}"
                    for found in error.errors()
                )
            ) from error

    def of_one(self, provider: str, model: str, unit: str) -> Decimal | None:
        """The price of one of that unit; None where there is none."""
        found = self.prices.get(f"{provider}/{model}")
        price: Decimal | None = getattr(found, unit, None) if unit in _UNITS else None
        return price / found.per if found and price is not None else None


def _problem(loc: tuple[str | int, ...], message: str) -> str:
    if message.startswith("Extra inputs") and len(loc) == 3:
        return f"{dotted(loc)} is no unit: expected per, {', '.join(sorted(_UNITS))}"
    return f"{dotted(loc)}: {message.removeprefix('Value error, ')}"
