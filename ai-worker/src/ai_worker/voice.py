"""One call's voice: synthesises sentences in order, one ahead of the other, and sends them to the streamer."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from ai_worker.agents import Agent
from ai_worker.conversation import events as ev
from ai_worker.conversation.actions import Say
from ai_worker.providers.base import ProviderError, SaidUntil, TextToSpeech
from ai_worker.voice_ahead import SpeechAhead
from callbus import tracing
from callbus.pcm import duration_ms


class Voice:
    """`say` queues a sentence; `stop` forgets all that is not synthesised yet.

    `send` takes (segment, pcm, last) for the streamer; `tell` takes what the conversation must know. The work for a
    turn is done in its `context`; None is the next turn.
    """

    def __init__(
        self,
        tts: TextToSpeech,
        agent: Agent,
        sample_rate: int,
        send: Callable[[str, bytes, bool], None],
        tell: Callable[[ev.Event], None],
        context: Callable[[int | None], contextvars.Context] = lambda _: contextvars.copy_context(),
    ) -> None:
        self._tts = tts
        self._agent = agent
        self._sample_rate = sample_rate
        self._send = send
        self._tell = tell
        self._context = context
        self._sentences: asyncio.Queue[Say] = asyncio.Queue()
        self._speaking: asyncio.Task[None] | None = None
        self._ahead: SpeechAhead | None = None
        self._dropped: set[asyncio.Task[None]] = set()

    def prepare(self, text: str) -> None:
        """Begin to synthesise a sentence that will probably be said next."""
        self.unprepare()
        self._ahead = SpeechAhead(text, self._synthesise(text), self._context(None))

    def unprepare(self) -> None:
        """Forget what was prepared."""
        ahead, self._ahead = self._ahead, None
        if ahead:
            dropping = asyncio.create_task(ahead.aclose())
            self._dropped.add(dropping)
            dropping.add_done_callback(self._dropped.discard)

    def say(self, sentence: Say) -> None:
        self._sentences.put_nowait(sentence)

    def unsay(self) -> None:
        """Forget what is queued; the sentence that is being synthesised goes on."""
        while not self._sentences.empty():
            self._sentences.get_nowait()

    def stop(self) -> None:
        self.unsay()
        if self._speaking:
            self._speaking.cancel()

    async def run(self) -> None:
        """Synthesise until cancelled."""
        try:
            while True:
                await self._say(await self._sentences.get())
        finally:
            self.unprepare()
            if self._dropped:
                await asyncio.wait(self._dropped)

    async def _say(self, sentence: Say) -> None:
        self._speaking = asyncio.create_task(self._speak(sentence), context=self._context(sentence.turn))
        try:
            # Stopping the sentence must not stop the loop; being cancelled itself must.
            await asyncio.wait([self._speaking])
        finally:
            if not self._speaking.done():
                self._speaking.cancel()
                await asyncio.wait([self._speaking])
        if not self._speaking.cancelled():
            self._speaking.result()
        self._speaking = None

    async def _speak(self, sentence: Say) -> None:
        sent = 0
        try:
            with tracing.working("tts"):
                async with aclosing(self._audio(sentence.text)) as speech:
                    async for pcm in speech:
                        if isinstance(pcm, SaidUntil):
                            self._tell(ev.WordTimed(sentence.segment, pcm))
                            continue
                        if not pcm:
                            continue
                        self._send(sentence.segment, pcm, False)
                        if not sent:
                            self._tell(ev.FirstSound(sentence.segment))
                        sent += len(pcm)
        except ProviderError as error:
            if sent:
                self._send(sentence.segment, b"", True)
            self._tell(ev.SynthesisFailed(sentence.segment, str(error)))
            return
        if not sent:
            self._tell(ev.SynthesisFailed(sentence.segment, f"{self._tts.name}: no audio for {sentence.text[:60]!r}"))
            return
        self._send(sentence.segment, b"", True)
        self._tell(ev.Synthesised(sentence.segment, round(duration_ms(sent, self._sample_rate))))

    def _audio(self, text: str) -> AsyncGenerator[bytes | SaidUntil, None]:
        if self._ahead and self._ahead.text == text and not self._ahead.failed:
            ahead, self._ahead = self._ahead, None
            return ahead.stream()
        self.unprepare()
        return self._synthesise(text)

    def _synthesise(self, text: str) -> AsyncGenerator[bytes | SaidUntil, None]:
        if recorded := self._agent.recorded(text, self._sample_rate):
            return _whole(recorded)
        return self._tts.stream(
            text, sample_rate=self._sample_rate, voice=self._agent.voice, language=self._agent.language
        )


async def _whole(pcm: bytes) -> AsyncGenerator[bytes | SaidUntil, None]:
    yield pcm
