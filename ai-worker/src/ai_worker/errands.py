"""One call's errands to the providers and the tools: each in a task of its own, told of when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeAlias

import structlog

from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.conversation.persona import Scripted
from ai_worker.hearing import Hearing
from ai_worker.live_hearing import LiveHearing, Words
from ai_worker.providers.base import LanguageModel, ProviderError, TextDelta, ToolCall
from ai_worker.tools import LineRequest, MessageTaken, ToolBox, ToolResult
from ai_worker.turn import TurnJudge
from callbus import tracing

_Revision: TypeAlias = tuple[int, int]

log = structlog.get_logger()


class Errands:
    """`start` begins a task that ends with the call at the latest, for the turn being answered, or (True) the next one;
    `tell` takes what the conversation must know. `noted` ends when Redis has all that was written of the call, and says
    whether the call is still this worker's: only then may a tool be used, or the next worker would use it again.
    """

    def __init__(
        self,
        call_id: str,
        hearing: Hearing,
        live: LiveHearing,
        llm: LanguageModel,
        tools: ToolBox,
        turn_judge: TurnJudge | None,
        start: Callable[[Coroutine[Any, Any, None], bool], asyncio.Task[None]],
        tell: Callable[[ev.Event], None],
        noted: Callable[[], Awaitable[bool]],
    ) -> None:
        self._call_id = call_id
        self._hearing = hearing
        self._live = live
        self._llm = llm
        self._tools = tools
        self._turn_judge = turn_judge
        self._start = start
        self._tell = tell
        self._noted = noted
        self._transcribing: dict[_Revision, asyncio.Task[None]] = {}
        self._thinking: dict[int, asyncio.Task[None]] = {}
        self._stopped: set[asyncio.Task[None]] = set()

    def cancel(self) -> list[asyncio.Task[None]]:
        """No words and no answers are wanted any more: the tasks that end now. A tool that runs is left to end."""
        tasks = [*self._transcribing.values(), *self._thinking.values()]
        for task in tasks:
            task.cancel()
        return [*tasks, *self._stopped]

    def transcribe(self, action: act.Transcribe) -> None:
        """Ask for the words of a stretch of audio, and whether its turn is over."""
        key, probe = (action.utterance, action.revision), action.revision == act.PROBE
        for (utterance, _), task in self._transcribing.items():
            # Words of a stretch that has grown since are not wanted, and would cost another call its turn.
            if utterance == action.utterance and not probe and task.get_name() == "whole":
                task.cancel()
        task = self._start(self._understand(key, self._live.words(action)), True)
        task.set_name("probe" if probe else "part" if action.part else "whole")
        self._transcribing[key] = task
        if self._turn_judge and not action.part and not probe:
            pcm = self._hearing.cut(action.start_ms, action.end_ms)
            self._start(self._judge_turn(self._turn_judge, key, pcm), True)

    def think(self, action: act.Think) -> None:
        """Ask the language model."""
        self._thinking[action.reply] = self._start(self._think(action), action.guess)

    def stop_thinking(self, reply: int) -> None:
        if task := self._thinking.pop(reply, None):
            task.cancel()
            self._stopped.add(task)
            task.add_done_callback(self._stopped.discard)

    def use(self, call: ToolCall) -> None:
        """Run a tool."""
        self._start(self._use(call), False)

    async def _understand(self, key: _Revision, words: Words) -> None:
        try:
            with tracing.working("stt", {"stt.probe": key[1] == act.PROBE}):
                text = await words()
            self._tell(ev.Transcribed(*key, text))
        except ProviderError as error:
            log.warning("speech-to-text failed", call_id=self._call_id, error=str(error))
            self._tell(ev.TranscribeFailed(*key, str(error)))
        finally:
            if self._transcribing.get(key) is asyncio.current_task():
                del self._transcribing[key]

    async def _judge_turn(self, judge: TurnJudge, key: _Revision, pcm: bytes) -> None:
        with tracing.working("turn detector"):
            finished = await judge.finished(pcm, self._hearing.sample_rate)
        if finished is not None:
            self._tell(ev.TurnJudged(*key, finished))

    async def _think(self, action: act.Think) -> None:
        try:
            with tracing.working("llm", {"llm.guess": action.guess}):
                async with aclosing(self._llm.stream(action.messages, tools=action.tools)) as deltas:
                    async for delta in deltas:
                        if isinstance(delta, TextDelta):
                            self._tell(ev.ReplyText(action.reply, delta.text))
                        else:
                            self._tell(ev.ToolAsked(action.reply, delta))
            self._tell(ev.ReplyDone(action.reply))
        except ProviderError as error:
            log.warning("language model failed", call_id=self._call_id, error=str(error))
            self._tell(ev.ReplyFailed(action.reply, str(error)))
        finally:
            self._thinking.pop(action.reply, None)

    async def _use(self, call: ToolCall) -> None:
        if self._tools.is_http(call.name):
            if not await self._noted():
                return  # its new worker sees to it
            with tracing.working("tool", {"tool.name": call.name}) as span:
                result = await self._tools.run(call.name, call.arguments, tool_call_id=call.id)
                if span:
                    span.set({"tool.result": result.kind})
            self._tell(ev.ToolDone(call.id, result.text, failed=not result.ok))
            return
        match self._tools.request(call.name, call.arguments):
            case LineRequest(kind, argument, say):
                told = f' The caller is told right before: "{say}"' if say else ""
                text = f"It is done when you have finished speaking.{told}"
                self._tell(ev.ToolDone(call.id, text, Scripted(say, kind, argument)))
            case MessageTaken():
                self._tell(ev.ToolDone(call.id, "The message is written down."))
            case ToolResult() as refused:
                self._tell(ev.ToolDone(call.id, refused.text, failed=not refused.ok))
