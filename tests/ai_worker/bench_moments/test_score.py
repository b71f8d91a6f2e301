"""The scorer: a good bot passes, and each way to be bad is seen for what it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.moments.evidence import Evidence, Heard
from bench.moments.moment import Kind, Moment, Right, Words
from bench.moments.result import MomentsResult
from bench.moments.score import Verdict, broken, judge


def moment(right: Right, kind: Kind = "complete") -> Moment:
    return Moment("a moment", kind, right, (Words("Hello."),))


GREETING = Heard(500, 2000)
ANSWER = moment("answer")
ANSWERED = Evidence(3000, 6000, 8500, playbacks=(GREETING, Heard(6900, 8500)), turns=("Hello.",))

YIELD = moment("yield", "interruption")
YIELDED = Evidence(
    3000,
    4500,
    7000,
    playbacks=(Heard(500, 3400, cut=True), Heard(5400, 7000)),
    breaks=(3400,),
    turns=("Stop.",),
)

GO_ON = moment("go on", "backchannel")
WENT_ON = Evidence(
    3000,
    3500,
    14000,
    sounds=((1000, 12000),),
    bot_began=1000,
    whole_ms=11000,
    finished_it=True,
    playbacks=(Heard(1000, 12000),),
)

KEYS = moment("go on until the keys are in", "keys while the bot talks")
KEYS_ANSWERED = Evidence(
    3000,
    3200,
    8000,
    playbacks=(Heard(1000, 5300, cut=True), Heard(6200, 8000)),
    sounds=((1000, 5300), (6200, 8000)),
    breaks=(5300,),
    turns=("pressed 5", "(pressed 5)"),
)

QUIET = moment("stay quiet", "sound into silence")
STAYED_QUIET = Evidence(3000, 3300, 8300, playbacks=(GREETING,))


@pytest.mark.parametrize(
    ("asked", "seen"),
    [(ANSWER, ANSWERED), (YIELD, YIELDED), (GO_ON, WENT_ON), (KEYS, KEYS_ANSWERED), (QUIET, STAYED_QUIET)],
)
def test_a_good_bot_passes(asked: Moment, seen: Evidence) -> None:
    verdict = judge(asked, seen)

    assert verdict.right, verdict.why
    assert MomentsResult([verdict]).passed


def test_times_are_from_the_end_of_the_words_and_from_their_onset() -> None:
    assert judge(ANSWER, ANSWERED).response_ms == 900
    assert judge(YIELD, YIELDED).response_ms == 900
    assert judge(YIELD, YIELDED).break_ms == 400


def test_an_answer_that_comes_late_or_never() -> None:
    late = judge(ANSWER, replace(ANSWERED, playbacks=(GREETING, Heard(7001, 8500))))
    never = judge(ANSWER, replace(ANSWERED, playbacks=(GREETING,)))

    assert (late.answered, late.response_ms, late.cut_off) == (False, 1001, False)
    assert (never.answered, never.response_ms) == (False, None)
    assert not MomentsResult([late]).passed


def test_a_bot_that_begins_inside_the_turn_cuts_off() -> None:
    began = judge(ANSWER, replace(ANSWERED, playbacks=(GREETING, Heard(4500, 5000, cut=True), Heard(6900, 8500))))
    talks_through = judge(ANSWER, replace(ANSWERED, playbacks=(GREETING, Heard(4500, 6500), Heard(6520, 8500))))

    assert began.cut_off
    assert began.answered
    assert talks_through.cut_off
    assert not talks_through.answered, "the next piece of a premature answer is no answer to the turn's end"


def test_a_bot_that_never_stops_is_not_interrupted() -> None:
    deaf = judge(YIELD, replace(YIELDED, breaks=(), playbacks=(Heard(500, 7000),), turns=()))
    slow = judge(YIELD, replace(YIELDED, breaks=(4600,), playbacks=(Heard(500, 4600, cut=True), Heard(5400, 7000))))

    assert deaf.taken is False
    assert deaf.answered is False
    assert slow.taken is False
    assert not MomentsResult([slow]).passed


def test_a_bot_that_stops_and_goes_on_has_not_taken_the_interruption() -> None:
    verdict = judge(YIELD, replace(YIELDED, turns=()))

    assert verdict.taken is False
    assert verdict.answered is False
    assert "as if nothing had been said" in " ".join(verdict.why)


def test_a_bot_that_falls_silent_for_good() -> None:
    verdict = judge(YIELD, replace(YIELDED, playbacks=YIELDED.playbacks[:1]))

    assert verdict.taken is False
    assert verdict.why == ("no answer",)


def test_a_bot_that_begins_again_inside_the_interruption_cuts_off() -> None:
    verdict = judge(
        YIELD, replace(YIELDED, playbacks=(*YIELDED.playbacks[:1], Heard(4000, 4200, cut=True), YIELDED.playbacks[1]))
    )

    assert verdict.cut_off


def test_a_pause_of_the_bot_is_forgiven_and_told() -> None:
    paused = replace(WENT_ON, sounds=((1000, 3400), (5400, 14000)), breaks=(3400,), watched_until=16000)
    verdict = judge(GO_ON, paused)

    assert verdict.resumed
    assert verdict.hole_ms == 2000


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sounds": ((1000, 3400),), "breaks": (3400,), "finished_it": False}, "only 22%"),
        ({"turns": ("Yeah.",)}, "taken for a turn"),
        ({"finished_it": False}, "last words"),
    ],
)
def test_a_bot_that_lets_a_false_interruption_win(change: dict[str, object], why: str) -> None:
    verdict = judge(GO_ON, replace(WENT_ON, **change))  # type: ignore[arg-type]

    assert verdict.resumed is False
    assert why in " ".join(verdict.why)
    assert not MomentsResult([verdict]).passed


def test_keys_that_silence_the_bot_or_are_not_noticed() -> None:
    silenced = replace(KEYS_ANSWERED, sounds=((1000, 3300), (6200, 8000)), breaks=(3300,))

    assert judge(KEYS, silenced).resumed is False
    assert judge(KEYS, replace(KEYS_ANSWERED, turns=())).resumed is False
    assert judge(KEYS, replace(KEYS_ANSWERED, playbacks=KEYS_ANSWERED.playbacks[:1])).resumed is False


def test_a_bot_that_speaks_after_a_cough() -> None:
    verdict = judge(QUIET, replace(STAYED_QUIET, playbacks=(GREETING, Heard(4800, 6000))))

    assert verdict.kept_quiet is False
    assert not MomentsResult([verdict]).passed


@pytest.mark.parametrize("asked", [ANSWER, YIELD, GO_ON, KEYS, QUIET])
def test_a_call_that_went_wrong_fails(asked: Moment) -> None:
    verdict = broken(asked, "the bot did not greet")

    assert not verdict.right
    assert not MomentsResult([verdict]).passed


def test_figures_per_class_and_in_total() -> None:
    late = judge(ANSWER, replace(ANSWERED, playbacks=(GREETING, Heard(7200, 8500))))
    verdicts: list[Verdict] = [
        *[judge(ANSWER, ANSWERED)] * 19,
        late,
        *[judge(YIELD, YIELDED)] * 2,
        judge(GO_ON, WENT_ON),
    ]
    result = MomentsResult(verdicts)

    assert [(figures.name, len(figures.verdicts)) for figures in result.classes] == [
        ("complete", 20),
        ("interruption", 2),
        ("backchannel", 1),
    ]
    assert (result.total.answered.count, result.total.answered.of) == (21, 22)
    assert (result.total.taken.count, result.total.taken.of) == (2, 2)
    assert result.total.unresumed.of == 1
    assert result.passed  # 95.5 %
    assert result.failed == [late]
    assert any("answered after 1200 ms" in line for line in result.lines())


def test_limits_are_what_the_figures_are_held_against() -> None:
    late = judge(ANSWER, replace(ANSWERED, playbacks=(GREETING, Heard(7200, 8500))))

    assert not MomentsResult([*[judge(ANSWER, ANSWERED)] * 18, late]).passed  # 94.7 %


def test_holes_and_sound_are_measured_inside_the_window() -> None:
    seen = Evidence(0, 0, 0, sounds=((100, 400), (900, 1000)))

    assert seen.sound_between(200, 950) == 250
    assert seen.longest_hole(0, 1000) == 500
    assert seen.longest_hole(450, 800) == 350
