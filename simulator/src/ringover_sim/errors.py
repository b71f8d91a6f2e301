"""Everything that can stop a simulated call.

* SimulatorError
    * ScriptError: the call's script can't be read or is wrong
    * AudioError: a file is no audio, or no line could be spoken
    * FetchError: a file the bot asked to play could not be fetched
    * GatewayError: the webhook gateway could not be reached, or refused an event
    * StreamerError: the streamer could not be reached, or refused the handshake
"""

from __future__ import annotations


class SimulatorError(Exception):
    """Base of all errors of the simulator."""


class ScriptError(SimulatorError):
    """The call's script can't be read; the message names file, line and what was expected."""


class AudioError(SimulatorError):
    """Audio that can't be read or made."""


class FetchError(SimulatorError):
    """A file that `play` named could not be fetched over HTTP."""


class GatewayError(SimulatorError):
    """A webhook was not delivered."""


class StreamerError(SimulatorError):
    """The media connection could not be opened."""
