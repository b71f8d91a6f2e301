"""The console's colours, as its style sheet has them: text can be read on all that is behind it, in light and dark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from webhook_gateway import console

CSS = (Path(console.__file__).parent / "static" / "css" / "base.css").read_text()
LIGHT, DARK = (dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{3,6})", part)) for part in CSS.split("@media", 2)[:2])
READ = [
    *((text, behind) for text in ("text", "faint", "accent", "bad", "good") for behind in ("back", "card")),
    *(("text", behind) for behind in ("soft", "bad-soft", "caller-soft", "bot-soft")),
    *(("faint", behind) for behind in ("soft", "bad-soft", "caller-soft", "bot-soft")),
    ("caller", "caller-soft"),
    ("bot", "bot-soft"),
    ("bad", "bad-soft"),
    ("on-accent", "accent"),
    ("on-bad", "bad"),
]


def light(colour: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def contrast(one: str, other: str) -> float:
    """1 (none) to 21 (black on white)."""
    darker, lighter = sorted((light(one), light(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_black_on_white() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)


def test_both_schemes_have_every_colour() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert all(name in LIGHT for pair in READ for name in pair)


@pytest.mark.parametrize(("text", "behind"), READ)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme: str, text: str, behind: str) -> None:
    colours = LIGHT if scheme == "light" else DARK
    assert contrast(colours[text], colours[behind]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_stages_and_borders_of_fields_are_seen(scheme: str) -> None:
    colours = LIGHT if scheme == "light" else DARK
    for name in ("s1", "s2", "s3", "s4", "s5", "s6", "faint", "accent"):
        assert contrast(colours[name], colours["card"]) >= 3, name
