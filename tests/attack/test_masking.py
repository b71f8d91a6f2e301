"""What a log line may show: numbers masked wherever they stand, no secrets; ids, times and addresses as they are."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog
from hypothesis import assume, given
from hypothesis import strategies as st

from callbus.masking import mask_text
from callbus.telemetry import setup_logging

NUMBERS = st.from_regex(r"[1-9][0-9]{9,13}", fullmatch=True)
SPLITS = st.sampled_from(["{}", "+{}", "tel:+{}", "sip:{}@host", "'{}'", '{{"from": {}}}', "?number={}&x=1", "x {}, y"])


@given(NUMBERS, SPLITS, st.sampled_from(["", " ", ".", "-"]))
def test_a_number_is_masked_however_it_is_written(number: str, around: str, between: str) -> None:
    written = number if not between else between.join(number[at : at + 3] for at in range(0, len(number) - 2, 3))
    digits = re.sub(r"\D", "", written)
    assume(written.count(".") != 3)  # that is an address
    masked = mask_text(around.format(written))
    assert digits not in re.sub(r"\D", "", masked)
    assert "*" in masked


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 19:17:45.123 done",
        "2026-11-22T19:17:45.123456Z",
        "3f2504e0-4f89-41d3-9a0c-030582c33010",
        "12345678-4f89-41d3-9a0c-0305e82c3301",
        "media-3f250411-4f89-4123-9a0c-030582c33010",
        "streamer 192.168.100.200:6379 and 10.12.34.56",
        "1732266000123-0",
        "1732266000.123",
        "0x7f1234567890 at line 1234",
        "HTTP 429, 1500 ms, 65536 bytes",
        "3361*****78",
        "send Authorization: Bearer <ADMIN_TOKEN>",
        "https://api.example.com:8443/v2/calls",
    ],
)
def test_what_is_no_number_stays(text: str) -> None:
    assert mask_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "redis://user:s3cret@host:6379/0",
        "redis://:s3cret/x@host:6379/0",
        "wss://host/ws?token=s3cret&x=1",
        "GET /ws/t/s3cret/call-1",
        "Authorization: Bearer s3cret-s3cret",
        "https://host/path?x=1&api_key=s3cret",
    ],
)
def test_secrets_are_cut_out_of_urls_and_headers(text: str) -> None:
    assert "s3cret" not in mask_text(text)


@pytest.fixture
def own_logging() -> Iterator[None]:
    """The world's own logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("format", ["json", "console"])
def test_whoever_logs_it_and_wherever_it_stands(
    own_logging: None, capsys: pytest.CaptureFixture[str], format: Literal["json", "console"]
) -> None:
    setup_logging("test", level="info", format=format)
    number = 33612345678
    log = structlog.get_logger().bind(call_id=f"{number}1", from_number=str(number))
    log.info("a call", to_number=number, data={"who": [f"+{number}"], "deep": {"caller": number}}, at=number * 1000)
    logging.getLogger("other").warning("dialling %s with redis://:s3cret@x/0", number)
    secret = "s3cret"
    try:
        raise ValueError(f"no route to {number}")
    except ValueError:
        log.exception("failed")
        logging.getLogger("other").exception("failed for %s", number)
    text = capsys.readouterr().err
    assert re.findall(rf"(?<!\d){number}(?!\d)", text) == []
    assert f"redis://:{secret}" not in text
    assert text.count(f"{number}1") == 2, "a call's id stays"
    assert text.count("no route to 3361*****78") == 2
    # No local variables, with whatever is in them.
    assert "= 's3cret'" not in text
    if format == "json":
        lines = [json.loads(line) for line in text.splitlines()]
        assert lines[0]["to_number"] == "3361*****78"
        assert lines[0]["data"] == {"who": ["3361*****78"], "deep": {"caller": "3361*****78"}}


@pytest.mark.parametrize("format", ["json", "console"])
def test_numbers_can_be_shown_but_secrets_cannot(
    own_logging: None, capsys: pytest.CaptureFixture[str], format: Literal["json", "console"]
) -> None:
    setup_logging("test", level="info", format=format, numbers="plain")
    log = structlog.get_logger()
    try:
        raise ValueError("no route to +33 6 12 34 56 78")
    except ValueError:
        log.exception("failed", from_number="33612345678", url="redis://:s3cret@x/0")
    text = capsys.readouterr().err
    assert "33612345678" in text
    assert "no route to +33 6 12 34 56 78" in text
    assert "s3cret" not in text
