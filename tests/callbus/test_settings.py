"""A wrong setting ends the service with one line that helps."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field, SecretStr

from callbus import keys
from callbus.errors import BadCallId
from callbus.masking import mask_number
from callbus.settings import ServiceSettings, load


class Example(ServiceSettings):
    example_port: int = Field(8000, ge=1, le=65535, description="Port to listen on")
    example_mode: Literal["fast", "slow"] = "fast"
    example_token: SecretStr | None = None


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("EXAMPLE_PORT", "web", ["EXAMPLE_PORT='web'", "integer", "Port to listen on", ".env"]),
        ("EXAMPLE_PORT", "70000", ["EXAMPLE_PORT='70000'", "65535"]),
        ("EXAMPLE_MODE", "medium", ["EXAMPLE_MODE='medium'", "'fast' or 'slow'"]),
        ("REDIS_URL", "http://user:hush@host", ["REDIS_URL", "redis://"]),
    ],
)
def test_one_line_says_what_is_wrong(
    name: str, value: str, says: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        load(Example, "example")
    assert stopped.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("example: ")
    assert all(part in line for part in says)
    # A URL may carry a password.
    assert "hush" not in line


def test_an_empty_variable_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_TOKEN", "")
    assert load(Example, "example").example_token is None


@pytest.mark.parametrize("good", ["test123", "a", "A.b_c:d@e+f=g-h", "1" * 128])
def test_call_ids(good: str) -> None:
    assert keys.clean_call_id(good) == good


def test_a_number_is_a_call_id() -> None:
    assert keys.clean_call_id(4711) == "4711"


@pytest.mark.parametrize("bad", ["", " ", "..", "../x", "a/b", "{a}", "a b", "1" * 129, None, True, 1.5, ["a"], "é"])
def test_no_call_ids(bad: object) -> None:
    with pytest.raises(BadCallId, match="can't be used"):
        keys.clean_call_id(bad)


def test_numbers_are_masked_in_logs() -> None:
    assert mask_number("33612345678") == "3361*****78"
    assert mask_number("123") == "123"
