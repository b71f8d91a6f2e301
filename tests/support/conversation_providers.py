"""Providers on virtual time, driven as the call's runner does: a transcriber, a brain, its tools, a voice; each may
fail."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.conversation.persona import Scripted
from ai_worker.providers.base import ChatMessage, ToolCall
from support.conversation_caller import Caller
from support.conversation_line import MS_PER_CHAR, RATE, Speech, Streamer

_PIECE_MS = 400
_PARTIALS_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds: one way over the bus; speech-to-text, and its partial words if it has them; the model's first token, and
    each next; the voice's first audio, and how long a second of speech takes to make."""

    bus: float = 0.005
    stt: float = 0.3
    partial: float | None = None
    first_token: float = 0.3
    token: float = 0.02
    first_audio: float = 0.1
    making: float = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """What the language model writes, the tools that it calls then, and how it ends: well, with a failure, or not at
    all."""

    text: str = ""
    ends: Literal["well", "fails", "stalls"] = "well"
    first_token: float | None = None
    token: float | None = None
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """What a tool takes (s), and comes to: a result, and something to be done on the line."""

    seconds: float
    result: str
    request: Scripted | None = None


class Place(Protocol):
    """What the providers need of the world."""

    now: float
    latency: Latency
    caller: Caller
    speech: Speech
    streamer: Streamer

    def answers(self, messages: tuple[ChatMessage, ...], /) -> Answer: ...
    def speech_to_text(self, request: act.Transcribe, /) -> Literal["ok", "fails", "stalls"]: ...
    def tools(self, call: ToolCall, /) -> Work: ...
    def text_to_speech(self, text: str, /) -> Literal["ok", "fails", "breaks", "stalls"]: ...
    def later(self, seconds: float, do: Callable[[], None]) -> None: ...
    def command(self, do: Callable[[], None]) -> None: ...


Tell = Callable[[ev.Event], None]


class Transcriber:
    """A newer request takes the place of an older one of the same utterance, unless that was a part."""

    def __init__(self, world: Place, tell: Tell) -> None:
        self._world = world
        self._tell = tell
        self._wanted: dict[tuple[int, int], bool] = {}
        self._listening: act.Listen | None = None

    def listen(self, request: act.Listen) -> None:
        self._listening = request
        if self._world.latency.partial is not None:
            self._world.later(0.0, lambda: self._tell_partial(request, ""))

    def stop_listening(self) -> None:
        self._listening = None

    def _tell_partial(self, request: act.Listen, known: str) -> None:
        if self._listening is not request:
            return
        world = self._world
        assert world.latency.partial is not None
        text = world.caller.words_between(request.start_ms, world.caller.ms(world.now - world.latency.partial))
        if text != known:
            self._tell(ev.Partial(request.utterance, request.revision, text))
        world.later(_PARTIALS_EVERY, lambda: self._tell_partial(request, text))

    def transcribe(self, request: act.Transcribe) -> None:
        world = self._world
        for (utterance, revision), part in list(self._wanted.items()):
            if utterance == request.utterance and not part:
                del self._wanted[utterance, revision]
        key = (request.utterance, request.revision)
        self._wanted[key] = request.part
        # The words that are said later are not in the audio yet.
        text = world.caller.words_between(request.start_ms, request.end_ms)
        verdict = world.speech_to_text(request)

        def answer() -> None:
            if self._wanted.pop(key, None) is None:
                return
            self._tell(ev.Transcribed(*key, text) if verdict == "ok" else ev.TranscribeFailed(*key, "out of order"))

        if verdict != "stalls":
            world.later(world.latency.stt, answer)


class Brain:
    """Writes an answer, word by word."""

    def __init__(self, world: Place, tell: Tell) -> None:
        self._world = world
        self._tell = tell
        self._thinking: set[int] = set()

    def think(self, thought: act.Think) -> None:
        answer = self._world.answers(thought.messages)
        latency = self._world.latency
        self._thinking.add(thought.reply)
        words = deque(word + " " for word in answer.text.split())
        pause = latency.token if answer.token is None else answer.token

        def write() -> None:
            if thought.reply not in self._thinking:
                return
            if words:
                self._tell(ev.ReplyText(thought.reply, words.popleft()))
                self._world.later(pause, write)
            elif answer.ends == "well":
                for call in answer.calls:
                    self._tell(ev.ToolAsked(thought.reply, call))
                self._tell(ev.ReplyDone(thought.reply))
            elif answer.ends == "fails":
                self._tell(ev.ReplyFailed(thought.reply, "out of order"))

        self._world.later(latency.first_token if answer.first_token is None else answer.first_token, write)

    def stop(self, reply: int) -> None:
        self._thinking.discard(reply)

    def use(self, call: ToolCall) -> None:
        """Run a tool: it is not stopped by anything but its worker's death."""
        work = self._world.tools(call)
        self._world.later(work.seconds, lambda: self._tell(ev.ToolDone(call.id, work.result, work.request)))


class Voice:
    """Speaks sentences one after the other, faster than they sound."""

    def __init__(self, world: Place, tell: Tell) -> None:
        self._world = world
        self._tell = tell
        self._sentences: deque[act.Say] = deque()
        self._stops = 0
        self._prepared: tuple[str, float] | None = None
        self.busy = False

    def prepare(self, text: str) -> None:
        self._prepared = (text, self._world.now)

    def unprepare(self) -> None:
        self._prepared = None

    def say(self, sentence: act.Say) -> None:
        self._sentences.append(sentence)
        if not self.busy:
            self._next()

    def unsay(self) -> None:
        self._sentences.clear()

    def stop(self) -> None:
        self._sentences.clear()
        self._stops += 1
        self.busy = False

    def _next(self) -> None:
        self.busy = bool(self._sentences)
        if self.busy:
            self._speak(self._sentences.popleft())

    def _speak(self, sentence: act.Say) -> None:
        world, stops, segment = self._world, self._stops, sentence.segment
        verdict = world.text_to_speech(sentence.text)
        prepared, self._prepared = self._prepared, None
        ahead = world.now - prepared[1] if prepared and prepared[0] == sentence.text else 0.0
        if verdict == "stalls":
            return
        pcm = b"" if verdict == "fails" else world.speech.synthesise(segment, sentence.text)
        if verdict == "breaks":
            # Somewhere in the middle of a letter in the middle of the sentence.
            pcm = pcm[: len(pcm) // 4 * 2]
        size = _PIECE_MS * RATE // 1000 * 2
        pieces = deque(pcm[at : at + size] for at in range(0, len(pcm), size))
        first = len(pieces)

        def go_on() -> None:
            if self._stops != stops:
                return
            if pieces:
                piece = pieces.popleft()
                world.command(lambda: world.streamer.speak(segment, piece, False))
                if len(pieces) == first - 1:
                    self._tell(ev.FirstSound(segment))
                world.later(world.latency.making * _PIECE_MS / 1000, go_on)
                return
            if pcm:
                world.command(lambda: world.streamer.speak(segment, b"", True))
            if verdict == "ok":
                self._tell(ev.Synthesised(segment, len(sentence.text) * MS_PER_CHAR))
            else:
                self._tell(ev.SynthesisFailed(segment, "out of order"))
            # The conversation may have stopped it all in answer to that.
            if self._stops == stops:
                self._next()

        world.later(max(0.0, world.latency.first_audio - ahead), go_on)
