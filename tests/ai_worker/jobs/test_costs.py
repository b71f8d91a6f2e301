"""What a call used, in its record: summed up, priced by the operator's file, and never invented."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from ai_worker.jobs.costs import Costs, summed
from ai_worker.jobs.prices import Prices
from ai_worker.jobs.record import build_record
from callbus import transcript as tr
from callbus.errors import BadYaml

FILE = """\
currency: USD
prices:
  openai/gpt-4o-mini: {per: 1000000, input_tokens: 0.15, output_tokens: 0.60}
  elevenlabs/eleven_flash_v2_5:
    per: 1000
    characters: 0.05
"""


def used(unit: str, amount: float, *, seam: str = "llm", told: bool = True, at: float = 1.0, of: str = "") -> tr.Used:
    provider, _, model = (of or "openai/gpt-4o-mini").partition("/")
    return tr.Used(at, 1, seam, provider, model, unit, amount, told)  # type: ignore[arg-type]


VOICE = "elevenlabs/eleven_flash_v2_5"
CALL = [
    used("input_tokens", 1200),
    used("output_tokens", 80),
    used("requests", 1, told=False, at=1.5),
    used("characters", 40, seam="tts", of=VOICE),
    used("input_tokens", 800, at=2.0),
    used("characters", 10, seam="tts", told=False, at=2.0, of=VOICE),
    used("requests", 1, told=False, at=2.5),
    used("input_tokens", 300, seam="summary", at=9.0),
]


@pytest.fixture
def prices(tmp_path: Path) -> Prices:
    (tmp_path / "prices.yaml").write_text(FILE)
    return Prices.read(tmp_path / "prices.yaml")


def test_a_record_sums_up_by_seam_unit_and_whether_it_was_told() -> None:
    costs = build_record("c1", {}, [*CALL, CALL[0]]).costs  # the last one was written twice, in an outage of Redis
    assert costs
    lines = [(line.seam, line.model, line.unit, line.amount, line.told) for line in costs.usage]
    assert lines == [
        ("llm", "gpt-4o-mini", "input_tokens", 2000, True),
        ("llm", "gpt-4o-mini", "output_tokens", 80, True),
        ("llm", "gpt-4o-mini", "requests", 2, False),
        ("summary", "gpt-4o-mini", "input_tokens", 300, True),
        ("tts", "eleven_flash_v2_5", "characters", 10, False),
        ("tts", "eleven_flash_v2_5", "characters", 40, True),
    ]
    assert (costs.requests_unknown, costs.amount, costs.currency, costs.unpriced) == (2, None, None, [])


def test_a_call_that_came_back_goes_on_counting() -> None:
    twice: list[tr.Entry] = [
        tr.Claimed(0.0, "w", 1, "a"),
        CALL[0],
        tr.Finished(2.0, "caller_left", ""),
        used("output_tokens", 5, at=2.1),
        tr.Claimed(3.0, "w", 2, "a"),
        used("output_tokens", 7, at=4.0),
    ]
    costs = build_record("c1", {}, twice).costs
    assert costs
    assert {line.unit: line.amount for line in costs.usage} == {"input_tokens": 1200, "output_tokens": 12}


def test_what_has_a_price_is_an_amount_and_what_has_none_is_named(prices: Prices) -> None:
    costs = summed([*CALL, used("cached_input_tokens", 64), used("audio_s", 3, of="openai/whisper-1")], prices)
    # 2300 in at 0.15 and 80 out at 0.60 a million, 50 characters at 0.05 a thousand.
    assert costs.amount == pytest.approx(0.000345 + 0.000048 + 0.0025)
    assert costs.currency == "USD"
    assert costs.unpriced == ["openai/gpt-4o-mini cached_input_tokens", "openai/whisper-1 audio_s"]


def test_nothing_priced_is_no_amount_rather_than_nothing(prices: Prices) -> None:
    costs = summed([used("requests", 3, told=False), used("audio_s", 1, of="x/y")], prices)
    assert (costs.amount, costs.currency, costs.requests_unknown) == (None, None, 3)
    assert summed([], None) == Costs(usage=[], requests_unknown=0)


def test_prices_are_exact(prices: Prices) -> None:
    assert prices.of_one("openai", "gpt-4o-mini", "input_tokens") == Decimal("0.00000015")
    for unknown in (("openai", "gpt-4o-mini", "per"), ("openai", "gpt-4o", "input_tokens"), ("", "", "model_config")):
        assert prices.of_one(*unknown) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("prices: {}", ":1: currency: Field required"),
        (FILE.replace("USD", "dollars"), ":1: currency: "),
        (
            FILE.replace("output_tokens", "outputs"),
            ":3: prices.openai/gpt-4o-mini.outputs is no unit: expected per, audio",
        ),
        (FILE.replace("0.05", "cheap"), ":6: prices.elevenlabs/eleven_flash_v2_5.characters: "),
        (FILE.replace("0.05", "-1"), ":6: "),
        (FILE.replace("0.05", "NaN"), ":6: "),
        (FILE.replace("per: 1000\n", "per: 0\n"), ":5: "),
        (FILE.replace("openai/", ""), ":2: prices: 'gpt-4o-mini' names no model; expected the provider's word"),
        ("currency: USD\nprices: [", ": not YAML"),
        (FILE + "    characters: 0.06\n", ":7: `characters` is here a second time"),
        ("", ":1: expected a list of prices: `currency: USD`"),
    ],
)
def test_a_wrong_file_is_refused_with_the_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(BadYaml) as refused:
        Prices.read(path)
    assert f"{path}{problem}" in refused.value.problems[0] or problem in refused.value.problems[0]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadYaml, match=r"prices\.yaml:1: can't be read"):
        Prices.read(tmp_path / "prices.yaml")
