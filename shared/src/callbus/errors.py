"""Every error that callbus raises.

CallbusError
├── BadCallId          an id that can't be used as a call's name
├── BadMessage         an entry on a stream that can't be read
├── BusUnavailable     Redis can't be reached, or does not answer in time
└── LeaseLost          the call is held by another worker now
"""


class CallbusError(Exception):
    """Anything that callbus raises."""


class BadCallId(CallbusError, ValueError):
    """An id that can't be used as a call's name."""


class BadMessage(CallbusError, ValueError):
    """An entry on a stream that can't be read."""


class BusUnavailable(CallbusError):
    """Redis can't be reached, or does not answer in time."""


class LeaseLost(CallbusError):
    """The call is held by another worker now: stop, and leave its keys alone."""
