"""Agents' files: what they mean, and that every mistake is reported where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_worker.agents import Agent, AgentBook, AgentError, load_agents

REPOSITORY = Path(__file__).resolve().parents[2]
GOOD = "name: lib\ngreeting: Hello.\ninstructions: Be brief.\n"


def folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def only_agent(tmp_path: Path, more: str) -> Agent:
    return load_agents(folder(tmp_path, a=GOOD + more)).default


def problems(directory: Path) -> list[str]:
    with pytest.raises(AgentError) as caught:
        load_agents(directory)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return [problem.replace(f"{directory}/", "") for problem in caught.value.problems]


@pytest.fixture(scope="module")
def library() -> AgentBook:
    return load_agents(REPOSITORY / "agents")


class TestTheLibrary:
    @pytest.mark.parametrize("number", ["33184800000", "+33 1 84 80 00 00", "33999999999", "", "anonymous"])
    def test_answers_its_number_and_all_others(self, library: AgentBook, number: str) -> None:
        assert library.for_number(number).name == "library"

    @pytest.mark.parametrize(
        ("said", "do"),
        [
            ("What are your opening hours on Saturday?", "say"),
            ("Is the library open on Sunday?", "say"),
            ("What are your hours on Sundays?", "say"),
            ("When do you close?", "say"),
            ("Can I speak to a human, please?", "transfer"),
            ("I'd like to talk to someone.", "transfer"),
            ("Put me through to a person!", "transfer"),
            ("OK. Goodbye.", "hang_up"),
            ("That's all, thank you. Bye-bye.", "hang_up"),
        ],
    )
    def test_rules(self, library: AgentBook, said: str, do: str) -> None:
        rule = library.default.match(said)
        assert rule is not None
        assert rule.do == do

    @pytest.mark.parametrize("said", ["Can I borrow a laptop?", "Do you sell bytes?", "", "Someone told me to call."])
    def test_the_rest_is_the_language_models(self, library: AgentBook, said: str) -> None:
        assert library.default.match(said) is None

    def test_a_human_can_be_reached(self, library: AgentBook) -> None:
        agent = library.default
        assert agent.transfer["human"] == "33187654321"
        assert agent.fallback_transfer == "human"


class TestMeaning:
    def test_an_agent_has_its_numbers_and_the_default_the_others(self, tmp_path: Path) -> None:
        other = GOOD.replace("lib", "pizza") + "numbers: ['+33 1 02', 33103]\n"
        book = load_agents(folder(tmp_path, a=GOOD, b=other))
        assert [book.for_number(n).name for n in ("33102", "33103", "33104")] == ["pizza", "pizza", "lib"]

    def test_the_longest_beginning_wins_and_a_whole_number_over_it(self, tmp_path: Path) -> None:
        def named(name: str, *numbers: str) -> str:
            return GOOD.replace("lib", name) + f"numbers: {list(numbers)}\n"

        files = {"b": named("b", "331848*"), "c": named("c", "+33 18 48 00*", "33*"), "d": named("d", "33184800000")}
        book = load_agents(folder(tmp_path, a=GOOD, **files))
        called = ["33184800000", "+33 1 84 80 00 01", "33184810000", "331848", "33", "33999", "4", "", "331848*"]
        assert [book.for_number(n).name for n in called] == ["d", "c", "b", "b", "c", "c", "lib", "lib", "b"]

    @given(
        st.lists(st.from_regex("[0-9]{1,6}", fullmatch=True), unique=True), st.from_regex("[0-9]{0,8}", fullmatch=True)
    )
    def test_beginnings(self, beginnings: list[str], called: str) -> None:
        texts = {"greeting": "Hi.", "instructions": "x"}
        agents = [Agent.model_validate({**texts, "name": f"n{b}", "numbers": [f"{b}*"]}) for b in beginnings]
        default = Agent.model_validate({**texts, "name": "other"})
        book = AgentBook({Path(agent.name): agent for agent in agents}, default)
        longest = max((b for b in beginnings if called.startswith(b)), key=len, default=None)
        assert book.for_number(called).name == ("other" if longest is None else f"n{longest}")

    def test_numbers_are_taken_as_written_not_as_yaml_reads_them(self, tmp_path: Path) -> None:
        agent = only_agent(
            tmp_path, "transfer:\n  desk: 0123\nrules:\n- when: [one]\n  do: press_digits\n  digits: 007\n"
        )
        assert agent.transfer == {"desk": "0123"}
        assert agent.rules[0].digits == "007"

    def test_nothing_means_nothing(self, tmp_path: Path) -> None:
        assert only_agent(tmp_path, "fallback_transfer: null\n").fallback_transfer is None

    @pytest.mark.parametrize("written", ["false", "no", "off"])
    def test_switches(self, tmp_path: Path, written: str) -> None:
        assert only_agent(tmp_path, f"recording: {written}\n").recording is False


@pytest.mark.parametrize(
    ("more", "line", "says"),
    [
        ("gretting: x\n", 4, "gretting: Extra inputs"),
        ("name: again\n", 4, "`name` is here a second time"),
        ("numbers:\n- '331'\n- abc\n", 6, "numbers[1]"),
        ("silence_prompts: [one]\n", 4, "silence_prompts[1]: Field required"),
        ("apology: ''\n", 4, "apology"),
        ("recording: perhaps\n", 4, "recording: Input should be a valid boolean"),
        ("max_call_minutes: 0\n", 4, "max_call_minutes"),
        ("language: English\n", 4, "language"),
        ("transfer:\n  human: 'x'\n", 5, "transfer.human"),
        ("fallback_transfer: human\n", 4, "'human' is not in `transfer`, which has nothing"),
        ("rules:\n- when: [hi]\n  say: Hi.\n- when:\n  - good\n  - '/(/'\n", 9, "rules[1].when[1]: not a regular"),
        ("rules:\n- when: [a|b]\n  say: Hi.\n", 5, "between slashes: /a|b/"),
        ("rules:\n- when: ['/x*/']\n  say: Hi.\n", 5, "matches the empty text"),
        ("rules:\n- when: ['/(a+)+b/']\n  say: Hi.\n", 5, "take forever"),
        ("rules:\n- when: ['...']\n  say: Hi.\n", 5, "at least one word"),
        ("rules:\n- when: []\n  say: Hi.\n", 5, "rules[0].when"),
        ("rules:\n- say: Hi.\n", 5, "rules[0].when: Field required"),
        ("rules:\n- when: [hi]\n", 5, "needs `say`"),
        ("rules:\n- when: [hi]\n  say: Hi.\n  do: dance\n", 7, "rules[0].do"),
        ("rules:\n- when: [hi]\n  do: transfer\n", 6, "needs `to`"),
        ("rules:\n- when: [hi]\n  do: transfer\n  to: bob\n", 7, "'bob' is not in `transfer`"),
        ("rules:\n- when: [hi]\n  do: hang_up\n  digits: 1\n", 7, "belongs to `do: press_digits`"),
        ("rules:\n- when: [hi]\n  do: press_digits\n  digits: 1x\n", 7, "rules[0].digits"),
        ("rules:\n- when: [hi]\n  say: Hi.\n  then: x\n", 7, "rules[0].then: Extra inputs"),
        ("numbers: ['*']\n", 4, "numbers[0]"),
        ("numbers: ['33*1']\n", 4, "numbers[0]"),
        ("limits: {max_turns: 0}\n", 4, "limits.max_turns"),
        ("limits:\n  silence_s: 0\n", 5, "limits.silence_s"),
        ("limits:\n  max_call_minutes: 5\nmax_call_minutes: 5\n", 6, "is in `limits` as well"),
        ("call_minutes: 5\n", 4, "call_minutes: Extra inputs"),
        ("providers:\n  stt: [openai, google]\n", 5, "providers.stt[1]: Input should be 'openai', 'elevenlabs' or"),
        ("providers:\n  stt:\n  - local\n  - local\n", 7, "'local' is in the list already"),
        ("notice: Hi {nobody}.\n", 4, "notice: {nobody} is unknown here; known are caller_number"),
        ("apology: |\n  Sorry.\n  So {sorry}.\n", 6, "apology: {sorry} is unknown"),
        ("apology: >-\n\n  Sorry.\n\n  So {sorry}.\n", 8, "apology: {sorry} is unknown"),
        ("rules:\n- when: [hi]\n  say: Hi {x}.\n", 6, "rules[0].say: {x} is unknown"),
        ("silence_prompts:\n- Hi?\n- Hi {?\n", 6, "silence_prompts[1]: '{?' is no placeholder"),
        ("hours:\n  timezone: Mars\n  open: {}\n  outside: {say: Closed.}\n", 5, "hours.timezone: no time zone"),
        (
            "hours:\n  timezone: UTC\n  open:\n    mon: 09:00-18:00\n    tuesday: 9\n  outside: {say: No.}\n",
            8,
            'hours.open.tuesday: expected "09:00-18:00"',
        ),
        (
            "hours:\n  timezone: UTC\n  open:\n    mon: 09:00-18:00\n    mon,tue: []\n  outside: {say: No.}\n",
            8,
            "hours.open.mon,tue: mon is in `mon` already",
        ),
        (
            "hours:\n  timezone: UTC\n  open: {}\n  outside:\n    do: transfer\n    to: desk\n",
            9,
            "hours.outside.to: 'desk' is not in `transfer`",
        ),
        ("hours:\n  timezone: UTC\n  open: {}\n", 4, "hours.outside: Field required"),
        ("rules: [\n", 5, "not YAML"),
        ("voice: {{}}\n", 4, "not YAML"),
    ],
)
def test_a_mistake_is_reported_with_its_line(tmp_path: Path, more: str, line: int, says: str) -> None:
    [problem] = problems(folder(tmp_path, a=GOOD + more))
    assert problem.startswith(f"a.yaml:{line}: ")
    assert says in problem


@pytest.mark.parametrize("text", ["", "- a list\n", "just words\n"])
def test_a_file_that_is_no_agent(tmp_path: Path, text: str) -> None:
    assert problems(folder(tmp_path, a=text)) == [
        "a.yaml:1: expected an agent: `name: …`, `greeting: …` and so on, each on its line"
    ]


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"name: \xff\xfe\n")
    [problem] = problems(tmp_path)
    assert problem.startswith("a.yaml:1: can't be read")


def test_all_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    found = problems(folder(tmp_path, a="name: A!\ngreeting: Hi\n", b=GOOD + "voise: x\n"))
    assert [problem.split(": ")[0] for problem in found] == ["a.yaml:1", "a.yaml:1", "b.yaml:4"]


def test_a_number_has_one_agent(tmp_path: Path) -> None:
    second = GOOD.replace("lib", "two") + "numbers:\n- 33101\n- '+33 102'\n"
    assert problems(folder(tmp_path, a=GOOD + "default: true\nnumbers: ['33102']\n", b=second)) == [
        f"b.yaml:6: the number 33102 is answered by {tmp_path}/a.yaml:5 already".replace(f"{tmp_path}/", "")
    ]


def test_a_beginning_has_one_agent(tmp_path: Path) -> None:
    second = GOOD.replace("lib", "two") + "numbers: ['3312*', '331*']\n"
    assert problems(folder(tmp_path, a=GOOD + "default: true\nnumbers: ['33 1*']\n", b=second)) == [
        "b.yaml:4: the number 331* is answered by a.yaml:5 already"
    ]


def test_a_file_that_is_nested_in_itself(tmp_path: Path) -> None:
    [problem] = problems(folder(tmp_path, a=GOOD + "voice: &v [*v]\n"))
    assert problem.startswith("a.yaml:4: voice")


def test_a_name_has_one_agent(tmp_path: Path) -> None:
    assert problems(folder(tmp_path, a=GOOD, b=GOOD + "numbers: ['33102']\n")) == [
        "b.yaml:1: the name 'lib' is taken by a.yaml:1"
    ]


def test_one_agent_must_be_the_default(tmp_path: Path) -> None:
    [problem] = problems(folder(tmp_path, a=GOOD + "numbers: ['33102']\n"))
    assert "give one of them `default: true`" in problem


def test_only_one_agent_can_be_the_default(tmp_path: Path) -> None:
    second = GOOD.replace("lib", "two") + "numbers: ['33102']\ndefault: true\n"
    [problem] = problems(folder(tmp_path, a=GOOD, b=second))
    assert problem.startswith("a.yaml:1: only one agent")
    assert "b.yaml:5" in problem


@pytest.mark.parametrize("where", [".", "nowhere"])
def test_a_folder_without_agents(tmp_path: Path, where: str) -> None:
    with pytest.raises(AgentError, match="no agent here"):
        load_agents(tmp_path / where)
