"""Several providers of one seam as one provider: the next takes over within the same turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, Generic, Protocol, Self, TypeVar

import structlog

from ai_worker.providers.attempts import Attempts, Clock, Counts, Link, Note, Report
from ai_worker.providers.base import (
    ChatMessage,
    LanguageModel,
    LiveSpeechToText,
    LiveTranscription,
    OnText,
    ProviderDenied,
    ProviderError,
    ProviderRefused,
    SaidUntil,
    SpeechToText,
    TextDelta,
    TextToSpeech,
    ToolCall,
    ToolSpec,
    Transcript,
)
from ai_worker.providers.usage import Amount
from ai_worker.providers.watched_live import WatchedLive
from ai_worker.settings import Seam

# A long utterance takes longer to transcribe: this much of its own length.
SECONDS_PER_SECOND_OF_AUDIO = 0.05
# A voice that broke off is not asked for the rest of its sentence, nor for those that follow it.
BROKEN_OFF_S = 10.0

log = structlog.get_logger()


class _Provider(Protocol):
    @property
    def name(self) -> str: ...

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...


P = TypeVar("P", bound=_Provider)


class _Chain(Generic[P]):
    """`links` in the order of preference; `deadline` (s) after which the next one takes over, while there is one."""

    seam: Seam

    def __init__(
        self,
        links: Sequence[Link[P]],
        *,
        deadline: float,
        counts: Counts | None = None,
        clock: Clock = time.monotonic,
        report: Report | None = None,
        note: Note | None = None,
    ) -> None:
        self._links = tuple(links)
        self._deadline = deadline
        self._counts = Counts() if counts is None else counts
        self._clock = clock
        self._report = report
        self._note = note

    @property
    def name(self) -> str:
        """The provider that the next request goes to."""
        now = self._clock()
        return next((link for link in self._links if link.breaker.admits(now)), self._links[0]).provider.name

    def state(self) -> dict[str, Any]:
        """For heartbeats: by provider, in order, whether it is kept out, for how many more seconds, its last error."""
        now = self._clock()
        return {
            link.provider.name: {
                "state": link.breaker.state(now),
                "out_for_s": round(link.breaker.out_for(now), 1),
                "last_error": link.last_error.text or None,
                "last_error_at": round(link.last_error.at, 3) or None,
            }
            for link in self._links
        }

    @property
    def kinds(self) -> tuple[str, ...]:
        """Its providers' words in the settings, in order."""
        return tuple(link.kind for link in self._links)

    def first(self) -> Self:
        """The preferred provider alone, with the same breaker."""
        return self._with(self._links[:1])

    def ordered(self, kinds: Sequence[str]) -> Self:
        """These providers alone, in this order, with the same breakers; none named: the chain as it is.

        Raises ValueError for one that it doesn't have.
        """
        by_kind = {link.kind: link for link in self._links}
        if unknown := [kind for kind in kinds if kind not in by_kind]:
            raise ValueError(f"{self.seam}: {', '.join(unknown)} is not among {', '.join(by_kind)}")
        return self._with([by_kind[kind] for kind in kinds]) if kinds else self

    async def warm(self) -> None:
        """The preferred provider only. Raises ProviderError."""
        try:
            await self._links[0].provider.warm()
        except ProviderError as error:
            self._links[0].last_error.note(error)
            raise

    async def warm_others(self) -> None:
        """The providers that may take over. One that is away stays in the chain; one that denies us is kept out."""
        for link in self._links[1:]:
            try:
                await link.provider.warm()
            except ProviderError as error:
                link.last_error.note(error)
                if isinstance(error, ProviderDenied):
                    link.breaker.denied(link.breaker.force(), self._clock())
                level = log.error if isinstance(error, ProviderRefused) else log.warning
                level("a fallback provider is not ready", seam=self.seam, error=str(error))

    async def aclose(self) -> None:
        await asyncio.gather(*(link.provider.aclose() for link in self._links))

    def reporting(self, report: Report, note: Note | None = None) -> Self:
        """The same providers for one call, which is told what its requests use, and in words who took over."""
        told = self._with(self._links)
        told._report, told._note = report, note
        return told

    def _with(self, links: Sequence[Link[P]]) -> Self:
        return type(self)(
            links,
            deadline=self._deadline,
            counts=self._counts,
            clock=self._clock,
            report=self._report,
            note=self._note,
        )

    def _attempts(self, after: ProviderError | None = None) -> Attempts[P]:
        return Attempts(self.seam, self._links, self._counts, self._clock, self._report, self._note, after)


class SttChain(_Chain[SpeechToText]):
    """A SpeechToText. The deadline is for the whole transcript, plus 5 % of the utterance's length."""

    seam = "stt"

    async def transcribe(self, pcm: bytes, sample_rate: int, *, language: str, last: str = "") -> Transcript:
        """See SpeechToText.transcribe. The provider named `last` was late with this already: the others come first."""
        deadline = self._deadline + SECONDS_PER_SECOND_OF_AUDIO * len(pcm) / (2 * sample_rate)
        links = sorted(self._links, key=lambda link: link.provider.name == last)
        attempts = self._with(links)._attempts()
        for attempt in attempts:
            attempt.measured = Amount("audio_s", len(pcm) / (2 * sample_rate))
            with attempt:
                async with attempt.within("the transcript", deadline):
                    return await attempt.provider.transcribe(pcm, sample_rate, language=_iso_639(language))
        raise attempts.error

    def open_live(self, sample_rate: int, *, language: str, on_text: OnText) -> LiveTranscription | None:
        """The preferred provider's, if it is not kept out and hears live; the deadline is for each commit's answer."""
        now = self._clock()
        link = next((link for link in self._links if link.breaker.state(now) == "closed"), None)
        if link is None or not isinstance(link.provider, LiveSpeechToText):
            return None
        live = link.provider.open_live(sample_rate, language=_iso_639(language), on_text=on_text)
        return WatchedLive(live, self._with([link])._attempts, self._deadline, sample_rate)


class LlmChain(_Chain[LanguageModel]):
    """A LanguageModel. The deadline is for the first text or tool call.

    Once something was given out, a failure is raised: another model would begin another answer.
    """

    seam = "llm"

    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[TextDelta | ToolCall, None]:
        attempts = self._attempts()
        for attempt in attempts:
            attempt.measured = Amount("requests", 1)
            with attempt:
                async with aclosing(attempt.provider.stream(messages, tools=tools)) as deltas:
                    delta = await attempt.first_within(deltas, "the first token", self._deadline)
                    while delta is not None:
                        attempt.begun = True
                        yield delta
                        delta = await anext(deltas, None)
                return
        raise attempts.error


class TtsChain(_Chain[TextToSpeech]):
    """A TextToSpeech. The deadline is for the first audio; later, for what the caller would have to wait for audio.

    Once a part of the sentence was given out, a failure is raised: nobody knows at which word it broke off, so going
    on is for who knows what the caller heard. For BROKEN_OFF_S, the others come first in this chain then; in others,
    the breaker decides. A voice is for the preferred provider, the others use their own; or it names each provider's,
    as in "elevenlabs=JBFqnCBsd6RMkjVDRZzb, openai=coral".
    """

    seam = "tts"
    _broke_off: tuple[ProviderError, float] | None = None
    """Why a voice broke off, and until when it comes last."""

    async def stream(
        self, text: str, *, sample_rate: int, voice: str, language: str
    ) -> AsyncGenerator[bytes | SaidUntil, None]:
        attempts = self._attempts_after_break()
        for attempt in attempts:
            # What has no letter or digit in it is said by nobody.
            if any(character.isalnum() for character in text):
                attempt.measured = Amount("characters", len(text))
            with self._noticing_breaks(), attempt:
                speech = attempt.provider.stream(
                    text,
                    sample_rate=sample_rate,
                    voice=self._voice(voice, attempt.kind),
                    language=_iso_639(language),
                )
                async with aclosing(speech):
                    piece = await attempt.first_within(speech, "the first audio", self._deadline)
                    heard_until = self._clock()
                    while piece is not None:
                        attempt.begun = True
                        yield piece
                        heard_until += len(piece) / (2 * sample_rate) if isinstance(piece, bytes) else 0.0
                        allowed = heard_until - self._clock() + self._deadline
                        piece = await attempt.first_within(speech, "the next audio", round(allowed, 3))
                return
        raise attempts.error

    def _attempts_after_break(self) -> Attempts[TextToSpeech]:
        if self._broke_off is None or self._clock() >= self._broke_off[1]:
            return self._attempts()
        error, _ = self._broke_off
        others_first = sorted(self._links, key=lambda link: link.provider.name == error.provider)
        return self._with(others_first)._attempts(after=error)

    @contextmanager
    def _noticing_breaks(self) -> Iterator[None]:
        try:
            yield
        except ProviderError as error:
            self._broke_off = error, self._clock() + BROKEN_OFF_S
            raise

    def _voice(self, voice: str, kind: str) -> str:
        if "=" not in voice:
            return voice if kind == self._links[0].kind else ""
        named = (part.partition("=") for part in voice.split(","))
        return next((name.strip() for provider, _, name in named if provider.strip() == kind), "")


def _iso_639(language: str) -> str:
    """An agent's language without its region: "en-US" is "en"."""
    return language.partition("-")[0]
