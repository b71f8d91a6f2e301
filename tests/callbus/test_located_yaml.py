"""YAML that people write: what it means, where everything stands, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from callbus import located_yaml
from callbus.errors import BadYaml
from callbus.located_yaml import Located, dotted

TEXT = """\
name: no
numbers:
  - 0123
  - 12
limits:
  most: 012
  typed: {deep: [1, 1.5, true, "2", 0x1]}
empty:
again: &here {a: b}
alias: *here
"""


def read(folder: Path, text: str, **options: object) -> Located:
    file = folder / "some.yaml"
    file.write_text(text, encoding="utf-8")
    return Located.read(file, what="a thing", shape="`name: …`", **options)  # type: ignore[arg-type]


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(BadYaml) as caught:
        read(folder, text)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return [problem.removeprefix(f"{folder}/some.yaml:") for problem in caught.value.problems]


def test_scalars_are_text_but_where_they_are_typed(tmp_path: Path) -> None:
    found = read(tmp_path, TEXT, typed=(("limits", "typed"),)).document
    assert (found["name"], found["numbers"], found["empty"]) == ("no", ["0123", "12"], None)
    assert found["limits"]["most"] == "012"
    assert found["limits"]["typed"]["deep"] == [1, 1.5, True, "2", "0x1"]
    assert found["alias"] == {"a": "b"}


@pytest.mark.parametrize(
    ("loc", "line"),
    [
        ((), 1),
        (("numbers",), 2),
        (("numbers", 1), 4),
        (("numbers", 7), 2),
        (("limits", "typed", "deep", 2), 7),
        (("limits", "unknown"), 5),
        (("name", "more"), 1),
    ],
)
def test_everything_has_its_line(tmp_path: Path, loc: tuple[str | int, ...], line: int) -> None:
    assert read(tmp_path, TEXT).line(*loc) == line


def test_a_place_is_named_as_a_person_would() -> None:
    assert dotted(("turns", 2, "expect", "says", 0)) == "turns[2].expect.says[0]"


def test_every_repeated_key_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path, "a: 1\nb: {c: 1, c: 2}\na: [{d: 1, d: 2}]\n") == [
        "2: `c` is here a second time",
        "3: `a` is here a second time",
        "3: `d` is here a second time",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n", "1: expected a thing: `name: …`, each on its line"),
        ("", "1: expected a thing"),
        ("a: b\nc: d: e\n", "2: not YAML: mapping values are not allowed here"),
        ("a: !!python/name:os.system\n", "1: not YAML: could not determine a constructor"),
        ("[" * 500, "1: can't be read: it is nested too deeply, or in itself"),
        ("a: " + "x" * located_yaml.LARGEST_BYTES, "1: larger than 256 KiB: a thing is a page or two"),
    ],
    ids=["list", "empty", "colon", "tag", "deep", "large"],
)
def test_what_can_not_be_used_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    [problem] = problems(tmp_path, text)
    assert problem.startswith(told)


def test_aliases_that_stand_for_billions_are_not_written_out(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert problems(tmp_path, bomb) == ["1: more than 20000 values, with its aliases (*name) written out"]
