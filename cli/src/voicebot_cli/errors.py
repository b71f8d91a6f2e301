"""Everything that ends a command early.

CliError               the command can't be carried out; exit code 2
├── BotTestError       files of scripted calls that can't be used; one line a problem, each with `file:line`
├── GatewayAway        the gateway does not answer, or can't reach Redis: later it may
├── NoSuchCall         nothing is known of a call by that name
└── RecordingError     a recorded call that can't be run again
"""

from __future__ import annotations


class CliError(Exception):
    """The command can't be carried out; the message says why, and what to do."""


class BotTestError(CliError):
    """Files of scripted calls that can't be used: one line a problem, each with `file:line`."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class GatewayAway(CliError):
    """The gateway does not answer, or can't reach Redis: later it may."""


class NoSuchCall(CliError):
    """Nothing is known of a call by that name."""


class RecordingError(CliError):
    """A recorded call that can't be run again."""
