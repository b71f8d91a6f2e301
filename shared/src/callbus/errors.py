"""Every error that callbus raises.

CallbusError
├── BadCallId          an id that can't be used as a call's name
├── BadMessage         an entry on a stream that can't be read
├── BadYaml            a file of a person's that can't be used; one line a problem, each with `file:line`
├── BucketUnavailable  the bucket of the calls' files can't be reached, or refuses
├── BusUnavailable     Redis can't be reached, does not answer in time, or takes no commands
└── LeaseLost          the call is held by another worker now
"""


class CallbusError(Exception):
    """Anything that callbus raises."""


class BadCallId(CallbusError, ValueError):
    """An id that can't be used as a call's name."""


class BadMessage(CallbusError, ValueError):
    """An entry on a stream that can't be read."""


class BadYaml(CallbusError, ValueError):
    """A file of a person's that can't be used: one line a problem, each with `file:line`."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class BucketUnavailable(CallbusError, OSError):
    """The bucket of the calls' files can't be reached, or refuses what was asked of it."""


class BusUnavailable(CallbusError):
    """Redis can't be reached, does not answer in time, or takes no commands: it is full, can't save, is read-only."""


class LeaseLost(CallbusError):
    """The call is held by another worker now: stop, and leave its keys alone."""
