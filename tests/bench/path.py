"""Own overhead of one answer: what is left of voice-to-voice when the shortest possible way is taken off. Sans-I/O.

    overhead = (first bot audio at the media server - true end of the caller's speech) - ideal
    ideal    = max(wait, pause + stt + llm + tts)

`wait` is the silence that ends a turn (0.5 s after a complete thought), `pause` the silence after which the words are
asked for (VAD stop, 0.2 s); both are decisions, counted from the true end of the speech, not glue. `stt`, `llm` and
`tts` are the providers' own times, measured at the providers: from the whole request received to the final transcript
sent; to the token sent that shows the first sentence's end (the one after it); to the first audio sent. They form a
chain beside the wait, since the model and the voice are asked before the turn is over; so a glue that is hidden by the
wait costs nothing, and one that delays the chain is counted in full.
"""

from __future__ import annotations

from dataclasses import dataclass

PAUSE_S = 0.2
WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """The moments of one turn, in s of one clock."""

    speech_end: float
    stt_asked: float
    stt_final: float
    llm_asked: float
    llm_sentence: float
    """When the token went out that shows the end of the first sentence that was spoken."""
    tts_asked: float
    tts_first: float
    first_audio: float

    @property
    def voice_to_voice(self) -> float:
        return self.first_audio - self.speech_end

    @property
    def providers(self) -> float:
        """Their own times, one after the other."""
        return (
            (self.stt_final - self.stt_asked) + (self.llm_sentence - self.llm_asked) + (self.tts_first - self.tts_asked)
        )

    @property
    def ideal(self) -> float:
        return max(WAIT_S, PAUSE_S + self.providers)

    @property
    def overhead(self) -> float:
        return self.voice_to_voice - self.ideal

    def gaps(self) -> dict[str, float]:
        """Where the overhead is, in s: what lies between the providers' times, on the chain."""
        return {
            "end of speech -> STT asked, less the pause": self.stt_asked - self.speech_end - PAUSE_S,
            "STT final -> LLM asked": self.llm_asked - self.stt_final,
            "first sentence -> TTS asked": self.tts_asked - self.llm_sentence,
            "TTS first byte -> audio at the media server": self.first_audio - self.tts_first,
        }
