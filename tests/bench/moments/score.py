"""Judges one moment by its evidence; Sans-I/O."""

from __future__ import annotations

from dataclasses import dataclass

from bench.moments.evidence import Evidence
from bench.moments.moment import Moment

ANSWERED_WITHIN_MS = 1000.0
STOPPED_WITHIN_MS = 1500.0
"""An interruption that stops the bot later than this was not taken: the caller has long given up."""
WHOLE = 0.9
"""The share of its words' sound that must be heard of a bot that went on."""
KEYS_HOLE_MS = 600.0
KEYS_AFTER_MS = 1500.0
"""Keys are collected for 2 s: up to here, nothing but their sound can have stopped the bot."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """None: not a question of this moment. Times in ms, None also for what never happened."""

    moment: Moment
    answered: bool | None = None
    response_ms: float | None = None
    cut_off: bool | None = None
    taken: bool | None = None
    break_ms: float | None = None
    resumed: bool | None = None
    hole_ms: float | None = None
    kept_quiet: bool | None = None
    late_ms: float = 0.0
    why: tuple[str, ...] = ()
    seen: str = ""

    @property
    def right(self) -> bool:
        return not self.why


def judge(moment: Moment, seen: Evidence) -> Verdict:
    """What the bot did, against what is right."""
    match moment.right:
        case "answer":
            return _answer(moment, seen)
        case "yield":
            return _yield(moment, seen)
        case "stay quiet":
            return _stay_quiet(moment, seen)
        case "go on":
            return _go_on(moment, seen)
        case "go on until the keys are in":
            return _keys(moment, seen)


def broken(moment: Moment, problem: str) -> Verdict:
    """The call did not come to its moment: everything that was to be right is wrong."""
    talk, false = moment.right in ("answer", "yield"), moment.right.startswith("go on")
    return Verdict(
        moment,
        answered=False if talk else None,
        cut_off=True if talk else None,
        taken=False if moment.right == "yield" else None,
        resumed=False if false else None,
        kept_quiet=False if moment.right == "stay quiet" else None,
        why=(f"the call went wrong: {problem}",),
    )


def _answer(moment: Moment, seen: Evidence) -> Verdict:
    early = _first(seen.onsets, seen.speech_start, seen.speech_end)
    response, why = _response(seen)
    if early is not None:
        why = [f"cut off: the bot began {seen.speech_end - early:.0f} ms before the turn's end", *why]
    return Verdict(
        moment,
        answered=response is not None and response <= ANSWERED_WITHIN_MS,
        response_ms=response,
        cut_off=early is not None,
        late_ms=seen.late_ms,
        why=tuple(why),
        seen=_shown(seen),
    )


def _yield(moment: Moment, seen: Evidence) -> Verdict:
    stop = _first(seen.breaks, seen.speech_start, seen.speech_start + STOPPED_WITHIN_MS)
    response, why = _response(seen)
    early = None if stop is None else _first(seen.onsets, stop, seen.speech_end)
    if early is not None:
        why.insert(0, f"cut off: the bot began again {seen.speech_end - early:.0f} ms before the turn's end")
    if stop is None:
        why.insert(0, f"the bot did not stop within {STOPPED_WITHIN_MS:.0f} ms")
    elif response is not None and not seen.turns:
        why.insert(0, "the bot stopped, and went on as if nothing had been said")
    return Verdict(
        moment,
        answered=response is not None and response <= ANSWERED_WITHIN_MS and bool(seen.turns),
        response_ms=response if seen.turns else None,
        cut_off=early is not None,
        taken=stop is not None and response is not None and bool(seen.turns),
        break_ms=None if stop is None else stop - seen.speech_start,
        late_ms=seen.late_ms,
        why=tuple(why),
        seen=_shown(seen),
    )


def _stay_quiet(moment: Moment, seen: Evidence) -> Verdict:
    spoke = _first(seen.onsets, seen.speech_start, seen.watched_until)
    why = () if spoke is None else (f"the bot spoke {spoke - seen.speech_start:.0f} ms after a sound without words",)
    return Verdict(moment, kept_quiet=spoke is None, late_ms=seen.late_ms, why=why, seen=_shown(seen))


def _go_on(moment: Moment, seen: Evidence) -> Verdict:
    share = seen.sound_between(seen.bot_began, seen.watched_until) / seen.whole_ms
    why = []
    if seen.turns:
        why.append(f"taken for a turn of the caller: {' | '.join(seen.turns)}")
    if share < WHOLE:
        why.append(f"only {share:.0%} of what it was saying was heard")
    elif not seen.finished_it:
        why.append("its last words were not heard")
    stopped = _first(seen.breaks, seen.speech_start, seen.watched_until)
    return Verdict(
        moment,
        resumed=not why,
        hole_ms=None if stopped is None else seen.longest_hole(stopped, _last_sound(seen)),
        late_ms=seen.late_ms,
        why=tuple(why),
        seen=_shown(seen),
    )


def _keys(moment: Moment, seen: Evidence) -> Verdict:
    until = seen.speech_end + KEYS_AFTER_MS
    hole = seen.longest_hole(seen.speech_start, until)
    why = []
    if hole > KEYS_HOLE_MS:
        why.append(f"the sound of keys silenced the bot for {hole:.0f} ms")
    if not any("pressed" in turn for turn in seen.turns):
        why.append("the keys were not noticed")
    elif _first(seen.onsets, until, seen.watched_until) is None:
        why.append("the keys were not answered")
    return Verdict(moment, resumed=not why, late_ms=seen.late_ms, why=tuple(why), seen=_shown(seen))


def _response(seen: Evidence) -> tuple[float | None, list[str]]:
    onset = _first(seen.onsets, seen.speech_end, seen.watched_until)
    if onset is None:
        return None, ["no answer"]
    response = onset - seen.speech_end
    late = response > ANSWERED_WITHIN_MS
    return response, [f"answered after {response:.0f} ms"] if late else []


def _last_sound(seen: Evidence) -> float:
    return seen.sounds[-1][1] if seen.sounds else seen.watched_until


def _first(times: tuple[float, ...], start: float, end: float) -> float | None:
    return next((time for time in times if start <= time < end), None)


def _shown(seen: Evidence) -> str:
    """What a reader needs to understand a failure."""
    parts = [f"turns: {' | '.join(seen.turns) or 'none'}"]
    if seen.stages:
        parts.append(f"stages: {', '.join(seen.stages)}")
    if seen.notes:
        parts.append(f"notes: {'; '.join(seen.notes)}")
    return "; ".join(parts)
