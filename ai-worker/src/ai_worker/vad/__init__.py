"""Voice-activity detection: which parts of a call's audio are speech, for all of a worker's calls in one batch."""

from ai_worker.vad.foreground import Foreground
from ai_worker.vad.gate import SpeechGate, SpeechPaused, SpeechStarted, SpeechStopped, SpeechVerdict
from ai_worker.vad.service import VadService
from ai_worker.vad.session import VadSession
from ai_worker.vad.silero import VadBatch, VadModelMissing, VadState

__all__ = [
    "Foreground",
    "SpeechGate",
    "SpeechPaused",
    "SpeechStarted",
    "SpeechStopped",
    "SpeechVerdict",
    "VadBatch",
    "VadModelMissing",
    "VadService",
    "VadSession",
    "VadState",
]
