"""Local servers that speak the providers' HTTP APIs on the wire, for tests and benchmarks without a key or a network."""

from support.fake_providers.elevenlabs_api import FakeElevenLabs, tone
from support.fake_providers.openai_api import Answer, FakeOpenAI, ToolRequest
from support.fake_providers.script import (
    CutAfter,
    Drop,
    ErrorAfter,
    Fault,
    HoldAfter,
    Piece,
    Refuse,
    RequestRecord,
    SlowDrip,
)
from support.fake_providers.server import FakeServer

__all__ = [
    "Answer",
    "CutAfter",
    "Drop",
    "ErrorAfter",
    "FakeElevenLabs",
    "FakeOpenAI",
    "FakeServer",
    "Fault",
    "HoldAfter",
    "Piece",
    "Refuse",
    "RequestRecord",
    "SlowDrip",
    "ToolRequest",
    "tone",
]
