"""Scripts: what is understood, and that every mistake is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringover_sim import ScriptError, load_script, parse_script
from ringover_sim.script import DropConnection, Expect, HangUp, Interrupt, Press, Say, WaitForBot, WaitForEnd
from ringover_sim.script_yaml import SHORT_FORM

SCRIPTS = Path(__file__).parents[2] / "simulator" / "scripts"


def test_steps_in_short_and_long_form() -> None:
    script = parse_script(
        """
        caller: +33612345678
        called: 33184800000
        steps:
          - wait_for_bot
          - wait_for_bot: 3
          - say: Hello there.
          - interrupt: {after: 1.2, say: Stop.}
          - press: "012#"
          - drop_connection: 2
          - expect: transfer
          - expect: {command: digits, data: 12, within: 1}
          - wait_for_end:
          - hang_up
        """
    )
    assert (script.caller, script.called) == ("33612345678", "33184800000")
    assert script.steps == [
        WaitForBot(),
        WaitForBot(timeout=3),
        Say(text="Hello there."),
        Interrupt(after=1.2, say="Stop."),
        Press(digits="012#"),
        DropConnection(reconnect_after=2),
        Expect(command="transfer"),
        Expect(command="digits", data=12, within=1),
        WaitForEnd(),
        HangUp(),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps:\n  - say: hi\n  - sai: hi\n", r"^script:3: unknown step 'sai'; did you mean say\?"),
        ("steps:\n  - jump: 1\n", r"^script:2: unknown step 'jump'; known are say, "),
        ("steps:\n  - say: hi\n    pause: 1\n", r"^script:2: a step is one name with its value"),
        ("steps:\n  - hang_up: now\n", r"^script:2: hang_up takes no value, got 'now'"),
        ("steps:\n  - interrupt:\n      say: no\n      after: soon\n", r"^script:4: .*valid number.*got 'soon'"),
        ("steps:\n  - interrupt: {after: 1}\n", r"^script:2: steps.0.interrupt.say: Field required"),
        ("steps:\n  - press: 0123\n", r"^script:2: .*write the keys in quotes"),
        ("steps:\n  - press: 1x2z\n", r"^script:2: .*\['x', 'z'\] can't be pressed"),
        ("steps:\n  - pause: -1\n", r"^script:2: .*greater than or equal to 0, got -1"),
        ('steps:\n  - say: "..."\n', r"^script:2: .*match pattern"),
        ("caller: 336\nmedai: {}\nsteps: [hang_up]\n", r"^script:2: medai: Extra inputs are not permitted"),
        ("media:\n  dialect: mp3\nsteps: [hang_up]\n", r"^script:2: media.dialect: .*'pcm', 'json' or 'rtp'"),
        ("media:\n  dialect: rtp\n  channels: 2\nsteps: [hang_up]\n", r"^script:1: media: dialect rtp carries G.711"),
        ("media: {metadata: none}\nsteps: [hang_up]\n", r"^script:1: media: call_id_in: metadata needs metadata"),
        ("name: x\n", r"^script:1: steps: Field required"),
        ("steps: []\n", r"^script:1: steps: .*at least 1 item"),
        ("- say: hi\n", r"^script:1: a script is a mapping with at least `steps`, not list"),
        ("", r"^script:1: a script is a mapping"),
        ("steps:\n  - say: hi\n - say: x\n", r"^script:3: not YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ScriptError, match=message):
        parse_script(text)


def test_every_mistake_is_reported_at_once() -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script("steps:\n  - pause: x\n  - hang_up\n  - pause: y\n")
    assert [line.split(" ")[0] for line in str(caught.value).splitlines()] == ["script:2:", "script:4:"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"nothing\.yaml: .*No such file"):
        load_script(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("name", ["demo", "quick"])
def test_the_scripts_that_come_with_it_are_right(name: str) -> None:
    script = load_script(SCRIPTS / f"{name}.yaml")
    assert script.name == name


def test_the_demo_call_asks_interrupts_and_is_transferred() -> None:
    script = load_script(SCRIPTS / "demo.yaml")
    assert [step.text for step in script.steps if isinstance(step, Say)] == [
        "What are your opening hours on Saturday?",
        "Can I borrow a laptop?",
    ]
    [interruption] = [step for step in script.steps if isinstance(step, Interrupt)]
    assert "talk to a human" in interruption.say
    assert [s.command for s in script.steps if isinstance(s, Expect)] == ["break", "transfer"]
    assert script.expect.ended_by == "transfer"


def test_short_forms_name_fields_that_exist() -> None:
    for name, field in SHORT_FORM.items():
        if field is not None:
            with pytest.raises(ScriptError, match=rf"steps\.0\.{name}\.{field}"):
                parse_script(f"steps:\n  - {name}: {{{field}: [wrong]}}\n")
