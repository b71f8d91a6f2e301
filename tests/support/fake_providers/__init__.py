"""Local servers that speak the providers' HTTP APIs on the wire: tests and benchmarks need no key and no network."""

from support.fake_providers.elevenlabs_api import FakeElevenLabs
from support.fake_providers.openai_api import Answer, FakeOpenAI, ToolRequest, Withheld
from support.fake_providers.script import (
    CutAfter,
    Drop,
    EndAfter,
    ErrorAfter,
    Fault,
    HoldAfter,
    Piece,
    Refuse,
    RequestRecord,
    SlowDrip,
)
from support.fake_providers.server import FakeServer
from support.fake_providers.settings import keys_and_addresses, one_each
from support.fake_providers.speech import tone

__all__ = [
    "Answer",
    "CutAfter",
    "Drop",
    "EndAfter",
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
    "Withheld",
    "keys_and_addresses",
    "one_each",
    "tone",
]
