"""What a simulated call was like: a timeline, what was commanded, how long each turn took, and what was wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from ringover_sim.audio import interleave, write_wav
from ringover_sim.commands import CommandName

EndedBy = Literal["caller", "bot", "transfer", "error"]
SAME_TURN_S = 1.5
"""The caller's turn that the system tells of is one that ended no further than this from when it says so."""


class TimelineEntry(BaseModel):
    """Something that happened, in ms since the call was answered."""

    at_ms: int
    who: Literal["caller", "bot", "ringover", "streamer"]
    what: str


class CommandSeen(BaseModel):
    """A command as it came in."""

    at_ms: int
    command: CommandName
    data: str | int | None = None
    """The file, digits or number; for streamAudio the length of the audio in ms."""
    bot_audio_playing: bool
    """Whether a playback was being heard at that moment."""


class PlaybackHeard(BaseModel):
    """One playback, as the caller heard it."""

    source: Literal["streamAudio", "play"]
    received_ms: int
    started_ms: int | None
    ended_ms: int | None
    length_ms: int
    cut: bool


class Stages(BaseModel):
    """Where the time of one answer went, as the system under test tells it; all figures are ms."""

    speech_ended_at: float
    """When it believes that the caller's speech ended, epoch seconds."""
    stages: dict[str, float]
    """From the end of the caller's speech."""
    hops: dict[str, float]
    """The ways through its message bus: `in`, `out`."""
    voice_to_voice_ms: float | None


class Turn(BaseModel):
    """One thing the caller said or pressed, and the bot's answer to it."""

    kind: Literal["say", "say_wav", "interrupt", "press"]
    text: str
    started_ms: int
    onset_ms: int
    """The first loud sample."""
    ended_ms: int
    """The last loud sample."""
    response_ms: int | None
    """From there to the first bot audio that began after it; negative: the bot began while the caller spoke."""
    overlap_ms: int
    """How long bot and caller were heard at once."""
    told: Stages | None = None
    """What the system tells of its answer, once `CallReport.complete` has been given it."""


class ConnectionSeen(BaseModel):
    """One media connection."""

    opened_ms: int
    handshake_ms: int
    closed_ms: int | None = None
    close_code: int | None = None
    close_reason: str = ""
    closed_by: Literal["simulator", "streamer", "dropped"] | None = None


class WebhookSeen(BaseModel):
    """One delivered event."""

    event: str
    status: int
    attempts: int
    took_ms: float


class CallReport(BaseModel):
    """Everything about one call; `failures` and `violations` empty means that all expectations held."""

    name: str
    call_id: str
    caller: str
    called: str
    sample_rate: int
    ended_by: EndedBy
    answered_at: float
    """When the call was answered, epoch seconds."""
    duration_ms: int
    greeting_ms: int | None
    """From the open media connection to the first bot audio, when it came before the caller's first line."""
    bot_spoke: int
    """Utterances of the bot, 700 ms of silence apart."""
    gaps_ms: list[int]
    """Silences between two playbacks of one utterance, seams included."""
    underruns: int
    """Those of them where the next piece came too late."""
    turns: list[Turn]
    commands: list[CommandSeen]
    playbacks: list[PlaybackHeard]
    connections: list[ConnectionSeen]
    webhooks: list[WebhookSeen]
    timeline: list[TimelineEntry]
    max_lateness_ms: float
    """How far the simulator itself fell behind its 20 ms schedule: above 20, its figures are doubtful."""
    late_ticks: int
    chunks_sent: int
    chunks_dropped: int
    violations: list[str]
    """Messages from the streamer that no media server understands."""
    failures: list[str]
    """Expectations that did not hold."""
    caller_pcm: bytes = Field(default=b"", exclude=True, repr=False)
    """What the caller sent, s16le mono at sample_rate, from the answer on."""
    heard_pcm: bytes = Field(default=b"", exclude=True, repr=False)
    """What the caller heard, aligned with caller_pcm."""

    @property
    def ok(self) -> bool:
        """Whether everything expected happened, and nothing that no media server would understand."""
        return not self.failures and not self.violations

    def commands_named(self, name: CommandName) -> list[CommandSeen]:
        """The commands of one name, in order."""
        return [command for command in self.commands if command.command == name]

    def complete(self, told: Sequence[Stages]) -> None:
        """Add what the system tells of its answers to the turns that they answered, by the time of the speech's end."""
        for turn in self.turns:
            ended_at = self.answered_at + turn.ended_ms / 1000
            nearest = min(told, key=lambda stages: abs(stages.speech_ended_at - ended_at), default=None)
            if nearest and abs(nearest.speech_ended_at - ended_at) <= SAME_TURN_S:
                turn.told = nearest

    @classmethod
    def load(cls, folder: Path) -> CallReport:
        """What `save` wrote, without the audio. Raises OSError, ValueError."""
        return cls.model_validate_json((folder / "report.json").read_text(encoding="utf-8"))

    def save_figures(self, folder: Path) -> None:
        """Write report.json and report.txt into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (folder / "report.txt").write_text(self.table() + "\n", encoding="utf-8")

    def save(self, folder: Path) -> None:
        """Write report.json, report.txt and caller_heard.wav (stereo: left as sent, right as heard) into `folder`."""
        self.save_figures(folder)
        stereo = interleave(self.caller_pcm, self.heard_pcm)
        write_wav(folder / "caller_heard.wav", stereo, self.sample_rate, 2)

    def table(self) -> str:
        """The report for a reader."""
        lines = [
            f"call {self.call_id} ({self.caller} -> {self.called}): {self.duration_ms / 1000:.1f} s, "
            f"ended by {self.ended_by}",
            "",
            *_columns(
                ["turn", "caller", "said at", "response", "overlap"],
                [
                    [str(i), _short(f"{t.kind}: {t.text}"), _s(t.started_ms), _ms(t.response_ms), _ms(t.overlap_ms)]
                    for i, t in enumerate(self.turns, start=1)
                ],
            ),
            *self._stages(),
            "",
            *_columns(
                ["command", "at", "data", "bot audible"],
                [[c.command, _s(c.at_ms), _data(c), "yes" if c.bot_audio_playing else "no"] for c in self.commands],
            ),
            "",
            f"greeting after {_ms(self.greeting_ms)}; bot spoke {self.bot_spoke} times; "
            f"{len(self.gaps_ms)} gaps (longest {_ms(max(self.gaps_ms, default=None))}), {self.underruns} underruns",
            f"simulator: at most {self.max_lateness_ms:.1f} ms behind schedule, {self.late_ticks} late ticks; "
            f"{self.chunks_sent} chunks sent, {self.chunks_dropped} dropped",
            *(f"VIOLATION {text}" for text in self.violations),
            *(f"FAILED {text}" for text in self.failures),
            "all expectations held" if self.ok else "expectations did NOT hold",
        ]
        return "\n".join(lines)

    def _stages(self) -> Iterator[str]:
        """A column for each moment, in the order in which they are passed."""
        told = [(str(i), turn.told) for i, turn in enumerate(self.turns, start=1) if turn.told]
        if not told:
            return
        names: list[str] = []
        for _, one in sorted(told, key=lambda entry: -len(entry[1].stages)):
            names += [name for name in sorted(one.stages, key=one.stages.__getitem__) if name not in names]
        rows = []
        for number, one in told:
            figures = {**one.stages, "hop in": one.hops.get("in"), "hop out": one.hops.get("out")}
            cells = [figures.get(name) for name in (*names, "hop in", "hop out")]
            v2v = "-" if one.voice_to_voice_ms is None else f"{one.voice_to_voice_ms:.0f}"
            rows.append([number, *("-" if ms is None else f"{ms:.0f}" for ms in cells), v2v])
        yield ""
        yield "as the system tells it, ms after the end of the caller's speech:"
        yield from _columns(
            ["turn", *(n.replace("_", " ") for n in names), "hop in", "hop out", "voice to voice"], rows
        )


def _columns(head: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    ]


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def _s(ms: int) -> str:
    return f"{ms / 1000:.2f} s"


def _ms(ms: int | None) -> str:
    return "-" if ms is None else f"{ms} ms"


def _data(command: CommandSeen) -> str:
    if command.command == "streamAudio":
        return f"{command.data} ms of audio"
    return "-" if command.data is None else str(command.data)
