"""One call's voice: synthesises sentences in order, one ahead of the other, and sends them to the streamer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from ai_worker.agents import Agent
from ai_worker.conversation import events as ev
from ai_worker.conversation.actions import Say
from ai_worker.providers.base import ProviderError, TextToSpeech
from callbus.pcm import duration_ms


class Voice:
    """`say` queues a sentence; `stop` forgets all that is not synthesised yet.

    `send` takes (segment, pcm, last) for the streamer; `tell` takes what the conversation must know.
    """

    def __init__(
        self,
        tts: TextToSpeech,
        agent: Agent,
        sample_rate: int,
        send: Callable[[str, bytes, bool], None],
        tell: Callable[[ev.Event], None],
    ) -> None:
        self._tts = tts
        self._agent = agent
        self._sample_rate = sample_rate
        self._send = send
        self._tell = tell
        self._sentences: asyncio.Queue[Say] = asyncio.Queue()
        self._speaking: asyncio.Task[None] | None = None

    def say(self, sentence: Say) -> None:
        self._sentences.put_nowait(sentence)

    def stop(self) -> None:
        while not self._sentences.empty():
            self._sentences.get_nowait()
        if self._speaking:
            self._speaking.cancel()

    async def run(self) -> None:
        """Synthesise until cancelled."""
        while True:
            sentence = await self._sentences.get()
            self._speaking = asyncio.create_task(self._speak(sentence))
            try:
                # Stopping the sentence must not stop this loop; being cancelled itself must.
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
            speech = self._tts.stream(
                sentence.text,
                sample_rate=self._sample_rate,
                voice=self._agent.voice,
                language=self._agent.language_code,
            )
            async with aclosing(speech):
                async for pcm in speech:
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
