"""The set's figures: per class and in total, and the moments that failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from bench.moments.moment import Kind
from bench.moments.score import Verdict

LEAST_ANSWERED = 0.95
MOST_CUT_OFF = 0.03
LEAST_TAKEN = 0.95
MOST_UNRESUMED = 0.03
MOST_SPOKEN_INTO_SILENCE = 0.03


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def value(self) -> float:
        return self.count / self.of if self.of else 0.0

    def __str__(self) -> str:
        return f"{self.count}/{self.of} ({self.value:.1%})" if self.of else "-"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one class, or of all moments."""

    name: str
    verdicts: Sequence[Verdict]

    @property
    def answered(self) -> Share:
        """Real ends that were answered within 1 s."""
        return _share((verdict.answered for verdict in self.verdicts), wanted=True)

    @property
    def cut_off(self) -> Share:
        return _share((verdict.cut_off for verdict in self.verdicts), wanted=True)

    @property
    def taken(self) -> Share:
        return _share((verdict.taken for verdict in self.verdicts), wanted=True)

    @property
    def unresumed(self) -> Share:
        return _share((verdict.resumed for verdict in self.verdicts), wanted=False)

    @property
    def into_silence(self) -> Share:
        """Sounds without words that the bot took for a turn, or spoke after, while nobody spoke."""
        return _share((verdict.kept_quiet for verdict in self.verdicts), wanted=False)

    @property
    def response_ms(self) -> list[float]:
        return [verdict.response_ms for verdict in self.verdicts if verdict.response_ms is not None]

    @property
    def break_ms(self) -> list[float]:
        return [verdict.break_ms for verdict in self.verdicts if verdict.break_ms is not None]

    @property
    def stopped_for_nothing(self) -> list[float]:
        """The longest silence of the bot in each false interruption that made it stop, in ms."""
        return [verdict.hole_ms for verdict in self.verdicts if verdict.hole_ms is not None]

    def row(self) -> tuple[str, ...]:
        return (
            self.name,
            str(len(self.verdicts)),
            str(self.answered),
            _percentiles(self.response_ms),
            str(self.cut_off),
            str(self.taken),
            _percentiles(self.break_ms),
            str(self.unresumed),
            str(self.into_silence),
        )


HEADER = (
    "class",
    "moments",
    "ends answered ≤1 s",
    "end→answer p50/p95",
    "cut-offs",
    "interruptions taken",
    "onset→break p50/p95",
    "false ones unresumed",
    "spoke into silence",
)


@dataclass(frozen=True, slots=True)
class MomentsResult:
    """All verdicts of a run."""

    verdicts: Sequence[Verdict]
    took_s: float = 0.0
    unknown: int = 0
    """Audio that the speech-to-text was given and nobody had sent: something on the way changes the samples."""

    @property
    def total(self) -> Figures:
        return Figures("all", self.verdicts)

    @property
    def classes(self) -> list[Figures]:
        kinds = [Figures(kind, [v for v in self.verdicts if v.moment.kind == kind]) for kind in get_args(Kind)]
        return [figures for figures in kinds if figures.verdicts]

    @property
    def failed(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if not verdict.right]

    @property
    def passed(self) -> bool:
        """Whether every figure that the moments give is within its limit."""
        return all(held for _, _, held in self._limits())

    def lines(self) -> list[str]:
        """For people: a table, the limits, and each moment that failed with the reason."""
        rows = [HEADER, *(figures.row() for figures in (*self.classes, self.total))]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines += ["", *(f"{'ok  ' if held else 'FAIL'} {what}: {share}" for what, share, held in self._limits())]
        if holes := self.total.stopped_for_nothing:
            lines.append(f"     stopped for nothing, then went on: {len(holes)} times, silence {_percentiles(holes)}")
        latest = max((verdict.late_ms for verdict in self.verdicts), default=0.0)
        lines.append(
            f"     {len(self.verdicts)} moments in {self.took_s:.0f} s; the callers' audio at most {latest:.0f} ms late"
        )
        if self.unknown:
            lines.append(f"     {self.unknown} times the speech-to-text was given audio that no caller had sent")
        if self.failed:
            lines += ["", f"{len(self.failed)} moments failed:"]
        for verdict in self.failed:
            lines += [
                f"- {verdict.moment.kind}: {verdict.moment.name}: {'; '.join(verdict.why)}",
                f"    {verdict.seen}",
            ]
        return lines

    def _limits(self) -> list[tuple[str, Share, bool]]:
        def least(what: str, share: Share, limit: float) -> tuple[str, Share, bool]:
            return f"{what}, at least {limit:.0%}", share, not share.of or share.value >= limit

        def most(what: str, share: Share, limit: float) -> tuple[str, Share, bool]:
            return f"{what}, at most {limit:.0%}", share, share.value <= limit

        return [
            least("real ends answered within 1 s", self.total.answered, LEAST_ANSWERED),
            most("cut-offs", self.total.cut_off, MOST_CUT_OFF),
            least("real interruptions taken", self.total.taken, LEAST_TAKEN),
            most("false ones left unresumed", self.total.unresumed, MOST_UNRESUMED),
            most("spoke into silence", self.total.into_silence, MOST_SPOKEN_INTO_SILENCE),
        ]


def _share(flags: Iterable[bool | None], *, wanted: bool) -> Share:
    asked = [flag for flag in flags if flag is not None]
    return Share(sum(flag == wanted for flag in asked), len(asked))


def _percentiles(values: Sequence[float]) -> str:
    return f"{np.percentile(values, 50):.0f}/{np.percentile(values, 95):.0f} ms" if values else "-"
