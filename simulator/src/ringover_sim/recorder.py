"""Collects what happens during a call, while it happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ringover_sim.commands import CommandName
from ringover_sim.report import CommandSeen, ConnectionSeen, TimelineEntry, WebhookSeen

OnEvent = Callable[[TimelineEntry], None]


@dataclass(slots=True)
class SeenCommand:
    """A command with its position (samples of the call), and whether an `expect` step has claimed it."""

    seen: CommandSeen
    position: int
    claimed: bool = False


@dataclass(slots=True)
class Recorder:
    """The raw material of a CallReport."""

    on_event: OnEvent | None = None
    answered_at: float = 0.0
    """Epoch seconds."""
    timeline: list[TimelineEntry] = field(default_factory=list)
    commands: list[SeenCommand] = field(default_factory=list)
    connections: list[ConnectionSeen] = field(default_factory=list)
    webhooks: list[WebhookSeen] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    max_lateness: float = 0.0
    """Seconds."""
    late_ticks: int = 0
    chunks_sent: int = 0
    chunks_dropped: int = 0

    def note(self, at_ms: int, who: Literal["caller", "bot", "ringover", "streamer"], what: str) -> None:
        """An entry of the timeline."""
        entry = TimelineEntry(at_ms=at_ms, who=who, what=what)
        self.timeline.append(entry)
        if self.on_event is not None:
            self.on_event(entry)

    def command(self, at_ms: int, position: int, name: CommandName, data: str | int | None, *, playing: bool) -> None:
        """A command from the streamer."""
        seen = CommandSeen(at_ms=at_ms, command=name, data=data, bot_audio_playing=playing)
        self.commands.append(SeenCommand(seen, position))
        shown = f" {data} ms" if name == "streamAudio" else "" if data is None else f" {data}"
        self.note(at_ms, "bot", f"{name}{shown}")

    def violation(self, at_ms: int, what: str) -> None:
        """A message no media server understands."""
        self.violations.append(f"{at_ms} ms: {what}")
        self.note(at_ms, "streamer", f"VIOLATION {what}")

    def failure(self, at_ms: int, what: str) -> None:
        """An expectation that did not hold."""
        self.failures.append(f"{at_ms} ms: {what}")
        self.note(at_ms, "ringover", f"FAILED {what}")

    def lateness(self, seconds: float, tick: float) -> None:
        """How far behind its schedule a tick began."""
        self.max_lateness = max(self.max_lateness, seconds)
        self.late_ticks += seconds > tick
