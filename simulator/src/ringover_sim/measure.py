"""Figures of a finished call, from what was said, heard and played; all positions are samples of the call."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from ringover_sim.ear import Sound, utterances
from ringover_sim.line import PhoneLine
from ringover_sim.mouth import Line
from ringover_sim.playout import Playback
from ringover_sim.recorder import Recorder
from ringover_sim.report import CallReport, EndedBy, PlaybackHeard, Turn
from ringover_sim.script import CallScript, Expectations
from ringover_sim.webhooks import Parties

UTTERANCE_PAUSE_MS = 700
SAME_UTTERANCE_MS = 1000
"""Two playbacks closer than this belong to one utterance; the silence between them is a gap."""


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """A turn as it was performed."""

    kind: Literal["say", "say_wav", "interrupt", "press"]
    text: str
    line: Line


def summarise(
    script: CallScript,
    parties: Parties,
    line: PhoneLine,
    recorder: Recorder,
    spoken: list[SpokenTurn],
    ended_by: EndedBy,
) -> CallReport:
    """The report of a call that is over, its expectations checked."""
    rate, sounds = line.rate, line.ear.sounds
    silences, underruns = gaps(line.playout.history, rate, script.media.seam_gap_ms)
    report = CallReport(
        name=script.name,
        call_id=parties.call_id,
        caller=parties.caller,
        called=parties.called,
        sample_rate=rate,
        ended_by=ended_by,
        answered_at=recorder.answered_at,
        duration_ms=_ms(line.mouth.position, rate),
        greeting_ms=_greeting(sounds, spoken, recorder, rate),
        bot_spoke=len(utterances(sounds, rate * UTTERANCE_PAUSE_MS // 1000)),
        gaps_ms=silences,
        underruns=underruns,
        turns=turns(spoken, sounds, rate),
        commands=[command.seen for command in recorder.commands],
        playbacks=playbacks(line.playout.history, rate),
        connections=recorder.connections,
        webhooks=recorder.webhooks,
        timeline=recorder.timeline,
        max_lateness_ms=round(recorder.max_lateness * 1000, 1),
        late_ticks=recorder.late_ticks,
        chunks_sent=recorder.chunks_sent,
        chunks_dropped=recorder.chunks_dropped,
        violations=recorder.violations,
        failures=recorder.failures,
        caller_pcm=bytes(line.mouth.sent),
        heard_pcm=bytes(line.playout.heard),
    )
    report.failures += unmet(script.expect, report)
    return report


def _greeting(sounds: list[Sound], spoken: list[SpokenTurn], recorder: Recorder, rate: int) -> int | None:
    started = (turn.line.start for turn in spoken if turn.line.start is not None)
    if not sounds or not recorder.connections or sounds[0].start >= next(started, sounds[0].start + 1):
        return None
    return _ms(sounds[0].start, rate) - recorder.connections[0].opened_ms


def turns(spoken: list[SpokenTurn], sounds: list[Sound], rate: int) -> list[Turn]:
    """Each turn with the bot's answer: the first utterance that began after the caller's did, before the next turn."""
    begun = [(turn, turn.line.start, turn.line.speech_end) for turn in spoken]
    heard = utterances(sounds, rate * UTTERANCE_PAUSE_MS // 1000)
    result: list[Turn] = []
    for index, (turn, start, end) in enumerate(begun):
        if start is None or end is None:
            continue
        following = begun[index + 1][1] if index + 1 < len(begun) else None
        result.append(
            Turn(
                kind=turn.kind,
                text=turn.text,
                started_ms=_ms(start, rate),
                onset_ms=_ms(turn.line.speech_start or start, rate),
                ended_ms=_ms(end, rate),
                response_ms=_response(heard, start, end, following, rate),
                overlap_ms=_ms(sum(max(0, min(s.end, end) - max(s.start, start)) for s in sounds), rate),
            )
        )
    return result


def _response(heard: list[Sound], start: int, end: int, following: int | None, rate: int) -> int | None:
    fresh = (utterance.start for utterance in heard if utterance.start >= start and utterance.end > end)
    first = next(fresh, None)
    if first is None or (following is not None and first >= following):
        return None
    return _ms(first - end, rate)


def gaps(history: list[Playback], rate: int, seam_gap_ms: int) -> tuple[list[int], int]:
    """Silences (ms) between two playbacks of one utterance, and how many of them a late piece caused."""
    silences: list[int] = []
    underruns = 0
    heard = [playback for playback in history if playback.started is not None]
    for before, after in pairwise(heard):
        if before.cut or before.ended is None or after.started is None:
            continue
        silence = _ms(after.started - before.ended, rate)
        if 0 < silence <= SAME_UTTERANCE_MS:
            silences.append(silence)
            underruns += silence > seam_gap_ms + 1
    return silences, underruns


def playbacks(history: list[Playback], rate: int) -> list[PlaybackHeard]:
    """The playbacks in ms."""
    return [
        PlaybackHeard(
            source=playback.source,
            received_ms=_ms(playback.received, rate),
            started_ms=None if playback.started is None else _ms(playback.started, rate),
            ended_ms=None if playback.ended is None else _ms(playback.ended, rate),
            length_ms=_ms(playback.samples, rate),
            cut=playback.cut,
        )
        for playback in history
    ]


def unmet(expected: Expectations, report: CallReport) -> list[str]:
    """The end-of-call expectations that do not hold, each as one sentence."""
    seen = [command.command for command in report.commands]
    problems = [f"the bot never sent {name!r}" for name in expected.commands if name not in seen]
    problems += [f"the bot sent {name!r}, which was not to happen" for name in expected.no_commands if name in seen]
    if report.bot_spoke < expected.bot_spoke_at_least:
        problems.append(f"the bot spoke {report.bot_spoke} times, expected at least {expected.bot_spoke_at_least}")
    if (limit := expected.max_response_ms) is not None:
        problems += [
            f"turn {i} ({turn.text!r}) was answered after {turn.response_ms} ms, expected at most {limit:g}"
            for i, turn in enumerate(report.turns, start=1)
            if turn.response_ms is not None and turn.response_ms > limit
        ]
    if expected.max_gaps is not None and len(report.gaps_ms) > expected.max_gaps:
        problems.append(f"{len(report.gaps_ms)} gaps in the bot's speech, expected at most {expected.max_gaps}")
    if report.ended_by == "error" and expected.ended_by is None:
        problems.append("the media connection was lost")
    if expected.ended_by is not None and report.ended_by != expected.ended_by:
        problems.append(f"the call was ended by {report.ended_by}, expected {expected.ended_by}")
    code = report.connections[-1].close_code if report.connections else None
    if expected.close_code is not None and code != expected.close_code:
        problems.append(f"the media connection closed with {code}, expected {expected.close_code}")
    return problems


def _ms(samples: int, rate: int) -> int:
    return round(samples * 1000 / rate)
