"""Agents' files of any content: they are read or refused with a reason, in no time, and nothing else happens."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_worker.agents import AgentBook, AgentError, load_agents

LIBRARY = (Path(__file__).resolve().parents[2] / "agents" / "library.yaml").read_bytes()
GOOD = b"name: lib\ngreeting: Hello.\ninstructions: Be brief.\n"
TOOL = b"tools:\n- {name: t, description: d, url: 'https://x.example.com/', parameters: "
FIELDS = (
    "name greeting instructions numbers default transfer rules tools hours answering_machine providers limits notice "
    "silence_prompts voice language apology when say do to digits open outside timezone parameters properties type"
).split()

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["object", "09:00-18:00", "33184800000", "/(a+)+b/", "{caller_number", "<<", "transfer", "UTC"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)


def load(content: bytes) -> AgentBook | AgentError:
    """The folder with this one file; each problem must name the file and a line of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.yaml"
        path.write_bytes(content)
        try:
            return load_agents(path.parent)
        except AgentError as error:
            refused = error
        places = (rf"{re.escape(str(path))}:\d+: ", rf"{re.escape(folder)}: ")
        assert refused.problems
        assert all(re.match("|".join(places), problem) for problem in refused.problems)
        return refused


@settings(deadline=2000, max_examples=40)
@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    load(content)
    load(GOOD + content)


@settings(deadline=2000, max_examples=40)
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6))
def test_any_values(document: dict[str, object]) -> None:
    base = {"name": "lib", "greeting": "Hello.", "instructions": "Be brief."}
    load(yaml.safe_dump({**base, **document}, allow_unicode=True).encode())


@settings(deadline=3000, max_examples=15)
@given(st.lists(st.tuples(st.integers(0, len(LIBRARY) - 1), st.binary(max_size=3)), min_size=1, max_size=5))
def test_the_librarys_own_file_with_holes(changes: list[tuple[int, bytes]]) -> None:
    content = bytearray(LIBRARY)
    for place, put in changes:
        content[place : place + 2] = put
    load(bytes(content))


def aliases(depth: int, node: str, leaf: str) -> bytes:
    """Nodes that each stand for three of the one before, from `leaf` on; the last one's name is `*last`."""
    lines = [f"x0: &x0 {leaf}"]
    lines += [f"x{n}: &x{n} {node.replace('@', f'*x{n - 1}')}" for n in range(1, depth)]
    return "\n".join([*lines, f"last: &last [*x{depth - 1}]"]).encode()


@pytest.mark.parametrize(
    "content",
    [
        GOOD + aliases(60, "[@, @, @]", "[x, x]"),
        GOOD + aliases(60, "{a: @, b: @, c: @}", "{a: b}"),
        GOOD + aliases(60, "{<<: [@, @, @]}", "{a: b}"),
        GOOD
        + aliases(60, "{properties: {a: @, b: @, c: @}, type: object}", "{type: string}")
        + b"\n"
        + TOOL
        + b"*x59}]",
        GOOD + aliases(60, "[@, @, @]", "[x]") + b"\nhours: {open: *last}\nrules: *last\ntransfer: *last\n",
        GOOD + TOOL + b"{type: object, properties: {" + b"a: {type: object, properties: {" * 400,
        GOOD + b"voice: " + b"[" * 5000,
        GOOD + b"voice: " + b"{a: " * 3000 + b"}" * 3000,
        GOOD + b"voice: &v {a: [*v, *v]}\n",
        GOOD + b"instructions: '" + b"x" * 2_000_000 + b"'\n",
        GOOD + b"rules:\n" + b"- {when: [hi], say: Hi.}\n" * 4000,
        GOOD + b"rules: [{when: ['/(x+x+)+y/'], say: Hi.}]\n",
        GOOD + b"voice: !!python/object/apply:os.system ['exit 1']\n",
        GOOD + b"voice: !!binary '////'\n",
        b"%YAML 9.9\n--- !<tag:yaml.org,2002:python/name:os.system> x\n",
        GOOD + b"---\n" + GOOD,
    ],
)
def test_what_would_take_for_ever_or_run_something(content: bytes) -> None:
    began = time.process_time()
    assert isinstance(load(content), AgentError)
    assert time.process_time() - began < 5
