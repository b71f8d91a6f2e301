"""A stand-in Ringover: places calls in real time, over signed webhooks and a media WebSocket.

`place_call` runs a `CallScript` and returns a `CallReport`; `ringover_sim.script` has the steps.
"""

from ringover_sim.caller import place_call
from ringover_sim.errors import AudioError, GatewayError, ScriptError, SimulatorError, StreamerError
from ringover_sim.report import CallReport
from ringover_sim.script import CallScript
from ringover_sim.script_yaml import load_script, parse_script

__all__ = [
    "AudioError",
    "CallReport",
    "CallScript",
    "GatewayError",
    "ScriptError",
    "SimulatorError",
    "StreamerError",
    "load_script",
    "parse_script",
    "place_call",
]
