"""A scripted call's file: what it says, and where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.stack import ROOT
from voicebot_cli.bots.book import AgentBook, load_book, transfer_number
from voicebot_cli.bots.spec_yaml import Scripted, find_files, read, read_all
from voicebot_cli.errors import BotTestError

GOOD = """\
name: hours
agent: desk
greeting: {says: Hello}
turns:
  - say: no
    expect:
      says:
        - on
        - 0123
      within_ms: 900
  - press: "0123#"
    expect: {transfers_to: human}
never_says: [sorry]
"""
AGENT = """\
name: desk
numbers: ["+33 1 84 80 00 00"]
transfer: {human: "+33187654321"}
greeting: Hello
instructions: Be brief.
"""


def scripted(folder: Path, text: str = GOOD) -> Scripted:
    file = folder / "call.yaml"
    file.write_text(text)
    return read(file)


def book(folder: Path, *others: str) -> AgentBook:
    (folder / "agents").mkdir()
    for number, text in enumerate((AGENT, *others)):
        (folder / "agents" / f"{number}.yaml").write_text(text)
    return load_book(folder / "agents")


def test_scalars_are_taken_as_they_were_written(tmp_path: Path) -> None:
    test = scripted(tmp_path)
    first, second = test.call.turns
    assert first.say == "no"
    assert first.expect.says == ("on", "0123")
    assert first.expect.within_ms == 900
    assert second.press == "0123#"
    assert test.call.never_says == ("sorry",)
    assert test.line("turns", 0, "expect", "says", 1) == 9
    assert test.line("turns", 1, "expect", "transfers_to") == 12
    assert test.line("turns", 1, "expect", "says") == 12


@pytest.mark.parametrize(
    ("was", "becomes", "line", "words"),
    [
        ("name: hours", "nam: hours", 1, "did you mean name?"),
        ("within_ms: 900", "within_ms: soon", 10, "turns[0].expect.within_ms"),
        ("within_ms: 900", "within: 900", 10, "did you mean within_ms?"),
        ("        - 0123", "        - /(/", 9, "is no regular expression"),
        ("  - say: no\n", "  - say: no\n    press: '1'\n", 5, "say and press"),
        ('  - press: "0123#"', "  - press: abc", 11, "can't be pressed"),
        ("{transfers_to: human}", "{transfers_to: human, hangs_up: true}", 12, "not both"),
        ("      within_ms: 900\n", "      hangs_up: true\n", 1, "ends the call, and there are turns after it"),
        ("agent: desk", "agent: desk\ncalled: '33184800000'", 1, "either agent or called"),
        ("agent: desk", "name: again", 2, "`name` is here a second time"),
        ("agent: desk", "agent: desk: no", 2, "not YAML"),
        ("  - say: no", "  - say_wav: gone.wav", 5, "no such file"),
        ("never_says: [sorry]", "never_says: ['…']", 13, "never_says"),
        ("never_says: [sorry]", "voice: {pich: 1}", 13, "did you mean pitch?"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, was: str, becomes: str, line: int, words: str) -> None:
    assert was in GOOD
    with pytest.raises(BotTestError) as caught:
        scripted(tmp_path, GOOD.replace(was, becomes))
    assert f"call.yaml:{line}: " in str(caught.value)
    assert words in str(caught.value)


def test_the_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\nturns: []\n")
    (tmp_path / "b.yaml").write_text("- say: hello\n")
    with pytest.raises(BotTestError) as caught:
        read_all(find_files([tmp_path]))
    assert [problem.split(": ")[0].removeprefix(f"{tmp_path}/") for problem in caught.value.problems] == [
        "a.yaml:2",
        "b.yaml:1",
    ]
    with pytest.raises(BotTestError, match="no scripted calls"):
        find_files([ROOT / "cli"])


def test_who_is_called_and_who_is_put_through_to_come_from_the_agents(tmp_path: Path) -> None:
    test, agents = scripted(tmp_path), book(tmp_path, "name: other\ndefault: true\n")
    called, agent = agents.callee(test)
    assert (called, agent.name) == ("33184800000", "desk")
    assert transfer_number(test, agent, 1, "human") == "33187654321"
    assert transfer_number(test, agent, 1, "+33 1 23") == "33123"
    with pytest.raises(BotTestError, match=r"call\.yaml:12: transfers_to: 'boss' is neither.*: human"):
        transfer_number(test, agent, 1, "boss")


@pytest.mark.parametrize(
    ("who", "called", "answers"),
    [("agent: other", "33100000000", "other"), ("", "33100000000", "other"), ("called: '33999'", "33999", "other")],
)
def test_the_default_agent_answers_numbers_that_no_other_has(
    tmp_path: Path, who: str, called: str, answers: str
) -> None:
    test = scripted(tmp_path, GOOD.replace("agent: desk", who))
    number, agent = book(tmp_path, "name: other\ndefault: true\n").callee(test)
    assert (number, agent.name) == (called, answers)


def test_an_agent_that_is_none_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(BotTestError, match=r"call\.yaml:2: agent: 'dask' is none of .*: desk"):
        book(tmp_path).callee(scripted(tmp_path, GOOD.replace("agent: desk", "agent: dask")))


def test_the_calls_that_are_shipped_fit_the_agents_that_are_shipped() -> None:
    agents = load_book(ROOT / "agents")
    tests = read_all(find_files([ROOT / "agents" / "tests"]))
    assert {agents.callee(test)[1].name for test in tests} == {agent.name for agent in agents.agents}
