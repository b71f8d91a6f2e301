"""OpenAI's HTTP API as far as a voicebot uses it: chat completions, transcriptions, speech, the list of models.

Wire formats: https://platform.openai.com/docs/api-reference (chat/streaming, audio/createTranscription,
audio/createSpeech).
"""

from __future__ import annotations

import io
import json
import math
import re
import secrets
import time
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response

from support.fake_providers.multipart import form_parts
from support.fake_providers.openai_base import OpenAiApi, request_id
from support.fake_providers.script import Piece, Refuse
from support.fake_providers.speech import speech_pieces, tone

EVENT_STREAM = "text/event-stream; charset=utf-8"
SHORTEST_AUDIO_S = 0.1
SPEECH_RATE = 24000
VOICES = frozenset("alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar".split())


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool call that the fake model answers with; `arguments` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """The content filter's answer: nothing."""


Part = str | ToolRequest | Withheld
Answer = Part | Sequence[Part]


def echo(messages: list[dict[str, Any]]) -> str:
    """The default model: it repeats what the user said last."""
    said = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
    return f"You said: {said}"


class FakeOpenAI(OpenAiApi):
    """Chat, transcription and speech with published latencies.

    `answer` maps a request's messages to text, tool calls or both; `hear` maps a WAV file's bytes and the language
    to text. `first_token_ms` and `per_token_ms` pace the chat, `transcription_ms` is from the request's end to the
    transcript (its last event when it streams). Without `numbered_calls` every tool call of an answer has the
    index 0, as some compatible servers send them; with `whole_calls` they come without index and id, all in one piece,
    as others do. Without `takes_usage_option` it refuses `stream_options`, as some do;
    `cached_tokens` of each prompt were cached. `speak` maps a text and a rate in Hz to s16le mono, which comes
    `first_byte_ms` after the request, `speed` times faster than it is spoken. `base_url` ends in /v1, as the SDK
    wants it.
    """

    def __init__(
        self,
        *,
        answer: Callable[[list[dict[str, Any]]], Answer] = echo,
        hear: Callable[[bytes, str], str] = lambda wav, language: "Hello, can you hear me?",
        first_token_ms: float = 0.0,
        per_token_ms: float = 0.0,
        transcription_ms: float = 0.0,
        speak: Callable[[str, int], bytes] = tone,
        first_byte_ms: float = 0.0,
        speed: float = 20.0,
        piece_bytes: int = 4096,
        models: Sequence[str] = ("gpt-4o-mini", "gpt-4o-mini-transcribe", "whisper-1", "gpt-4o-mini-tts", "tts-1"),
        numbered_calls: bool = True,
        api_key: str = "sk-local-fake",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(models=models, api_key=api_key, host=host, port=port)
        self.answer, self.hear = answer, hear
        self.first_token, self.per_token, self.transcription = (
            first_token_ms / 1000,
            per_token_ms / 1000,
            transcription_ms / 1000,
        )
        self.speak, self.first_byte, self.speed, self.piece_bytes = speak, first_byte_ms / 1000, speed, piece_bytes
        self.speech_type = "audio/pcm"
        self.numbered_calls, self.whole_calls = numbered_calls, False
        self.takes_usage_option, self.cached_tokens = True, 0
        self.app.add_api_route("/v1/chat/completions", self._chat, methods=["POST"], response_model=None)
        self.app.add_api_route("/v1/audio/transcriptions", self._transcribe, methods=["POST"], response_model=None)
        self.app.add_api_route("/v1/audio/speech", self._speech, methods=["POST"], response_model=None)

    async def _chat(self, request: Request) -> Response:
        record, fault = await self.receive(request)
        if refusal := self.refusal(record, fault) or self.unknown_model(record.json.get("model")):
            return self.refused(record, refusal)
        asked = record.json
        if wrong := _wrong_messages(asked.get("messages")):
            return self.refused(record, Refuse(400, wrong))
        if "stream_options" in asked and not self.takes_usage_option:
            return self.refused(record, Refuse(400, "Unrecognized request argument supplied: stream_options"))
        answer = self.answer(asked["messages"])
        parts = [answer] if isinstance(answer, Part) else list(answer)
        head = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": asked["model"],
            "service_tier": "default",
            "system_fingerprint": "fp_fake",
        }
        if not asked.get("stream"):
            due = self.first_token + self.per_token * len(self._deltas(parts))
            return self.json(record, fault, due, _whole_completion(head, parts))
        limit = asked.get("max_completion_tokens") or asked.get("max_tokens")
        with_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        prompt = sum(len(tokens(message.get("content") or "")) for message in asked["messages"]) if with_usage else None
        pieces = self._chat_pieces(head, parts, limit=limit, prompt=prompt)
        return self.paced(record, fault, pieces, media_type=EVENT_STREAM, headers=request_id())

    def _chat_pieces(
        self, head: dict[str, Any], parts: list[Part], *, limit: int | None, prompt: int | None
    ) -> list[Piece]:
        head = {**head, "object": "chat.completion.chunk"}
        no_usage: dict[str, Any] = {} if prompt is None else {"usage": None}

        def chunk(at: float, delta: dict[str, Any], finish: str | None = None) -> Piece:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return Piece(at, _event({**head, "choices": [choice], **no_usage}))

        pieces = [chunk(self.first_token, {"role": "assistant", "content": "", "refusal": None})]
        deltas = self._deltas(parts)
        finish = _finish_reason(parts) if limit is None or len(deltas) <= limit else "length"
        deltas = deltas[:limit]
        pieces += [chunk(self.first_token + i * self.per_token, delta) for i, delta in enumerate(deltas)]
        end = pieces[-1].at
        pieces.append(chunk(end, {}, finish))
        if prompt is not None:
            usage = {
                "prompt_tokens": prompt,
                "completion_tokens": len(deltas),
                "total_tokens": prompt + len(deltas),
                "prompt_tokens_details": {"cached_tokens": self.cached_tokens, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            }
            pieces.append(Piece(end, _event({**head, "choices": [], "usage": usage})))
        pieces.append(Piece(end, b"data: [DONE]\n\n"))
        return pieces

    def _deltas(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        deltas: list[dict[str, Any]] = []
        calls = [part for part in parts if isinstance(part, ToolRequest)]
        for part in parts:
            if isinstance(part, str):
                deltas += [{"content": token} for token in tokens(part)]
        if self.whole_calls:
            # As Gemini's and others' compatible servers: each call in one piece, without index and id.
            whole = [{"type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in calls]
            return [*deltas, {"tool_calls": whole}] if whole else deltas
        for number, called in enumerate(calls):
            index = number if self.numbered_calls else 0
            call = {"index": index, "id": _call_id(), "type": "function"}
            deltas.append({"tool_calls": [call | {"function": {"name": called.name, "arguments": ""}}]})
            for start in range(0, len(called.arguments), 5):
                piece = {"arguments": called.arguments[start : start + 5]}
                deltas.append({"tool_calls": [{"index": index, "function": piece}]})
        return deltas

    async def _transcribe(self, request: Request) -> Response:
        record, fault = await self.receive(request)
        record.form = form_parts(record.headers.get("content-type", ""), record.body)
        model = record.form.get("model", b"").decode()
        if refusal := self.refusal(record, fault) or self.unknown_model(model) or _wrong_audio(record.form):
            return self.refused(record, refusal)
        text = self.hear(record.form["file"], record.form.get("language", b"").decode())
        usage = _transcription_usage(model, record.form, text)
        # whisper-1 takes the parameter and ignores it.
        if record.form.get("stream") != b"true" or model == "whisper-1":
            return self.json(record, fault, self.transcription, {"text": text, "usage": usage})
        words = tokens(text)
        events: list[dict[str, Any]] = [{"type": "transcript.text.delta", "delta": word} for word in words]
        events.append({"type": "transcript.text.done", "text": text, "usage": usage})
        pieces = [Piece(self.transcription * (i + 1) / len(events), _event(event)) for i, event in enumerate(events)]
        return self.paced(record, fault, pieces, media_type=EVENT_STREAM, headers=request_id())

    async def _speech(self, request: Request) -> Response:
        record, fault = await self.receive(request)
        asked = record.json
        if refusal := self.refusal(record, fault) or self.unknown_model(asked.get("model")) or _wrong_speech(asked):
            return self.refused(record, refusal)
        pieces = speech_pieces(
            self.speak(asked["input"], SPEECH_RATE),
            SPEECH_RATE,
            first_byte=self.first_byte,
            speed=self.speed,
            piece_bytes=self.piece_bytes,
        )
        return self.paced(record, fault, pieces, media_type=self.speech_type, headers=request_id())


def _transcription_usage(model: str, form: dict[str, bytes], text: str) -> dict[str, Any]:
    """By duration for whisper-1, by tokens (ten a second of audio) for the others."""
    with wave.open(io.BytesIO(form["file"])) as audio:
        seconds = math.ceil(audio.getnframes() / audio.getframerate())
    if model == "whisper-1":
        return {"type": "duration", "seconds": seconds}
    prompt, answer = len(tokens(form.get("prompt", b"").decode())), len(tokens(text))
    return {
        "type": "tokens",
        "input_tokens": prompt + 10 * seconds,
        "input_token_details": {"text_tokens": prompt, "audio_tokens": 10 * seconds},
        "output_tokens": answer,
        "total_tokens": prompt + 10 * seconds + answer,
    }


def _event(value: dict[str, Any]) -> bytes:
    # Half a surrogate pair goes out as JSON escapes it.
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode(errors="backslashreplace")


def _call_id() -> str:
    return f"call_{secrets.token_hex(12)}"


def tokens(text: str) -> list[str]:
    """Pieces of about a token's length, four to six letters, the space before them included."""
    return re.findall(r"\s*\S{1,6}|\s+$", text)


def _finish_reason(parts: Sequence[Part]) -> str:
    if any(isinstance(part, Withheld) for part in parts):
        return "content_filter"
    return "tool_calls" if any(isinstance(part, ToolRequest) for part in parts) else "stop"


def _whole_completion(head: dict[str, Any], parts: Sequence[Part]) -> dict[str, Any]:
    calls = [
        {
            "id": _call_id(),
            "type": "function",
            "function": {"name": part.name, "arguments": part.arguments},
        }
        for part in parts
        if isinstance(part, ToolRequest)
    ]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(part for part in parts if isinstance(part, str)) or None,
        "refusal": None,
        **({"tool_calls": calls} if calls else {}),
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(parts)}
    return {**head, "object": "chat.completion", "choices": [choice]}


def _wrong_messages(messages: Any) -> str | None:
    """What the API itself refuses in a conversation: above all, tool calls and their results that don't match."""
    if not isinstance(messages, list) or not messages:
        return "Invalid 'messages': expected an array with at least one message."
    awaited: set[str] = set()
    for number, message in enumerate(messages):
        role = message.get("role")
        if role not in ("system", "developer", "user", "assistant", "tool"):
            return f"Invalid value: '{role}' at 'messages[{number}].role'."
        if role == "tool":
            if message.get("tool_call_id") not in awaited:
                return "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
            awaited.discard(message["tool_call_id"])
            continue
        if awaited:
            break
        if role == "assistant":
            awaited = {call["id"] for call in message.get("tool_calls") or ()}
        if message.get("content") is None and not awaited:
            return f"Invalid value for 'content': expected a string, got null at 'messages[{number}].content'."
    if awaited:
        missing = ", ".join(sorted(awaited))
        return f"An assistant message with 'tool_calls' must be followed by tool messages: {missing} have none."
    return None


def _wrong_audio(form: dict[str, bytes]) -> Refuse | None:
    try:
        with wave.open(io.BytesIO(form.get("file", b""))) as audio:
            seconds = audio.getnframes() / audio.getframerate()
    except (wave.Error, EOFError):
        return Refuse(
            400, "Invalid file format. Supported formats: ['flac', 'm4a', 'mp3', 'mp4', 'ogg', 'wav', 'webm']"
        )
    if seconds < SHORTEST_AUDIO_S:
        return Refuse(400, "Audio file is too short. Minimum audio length is 0.1 seconds.", code="audio_too_short")
    return None


def _wrong_speech(asked: dict[str, Any]) -> Refuse | None:
    if not 0 < len(asked.get("input") or "") <= 4096:
        return Refuse(400, "Invalid 'input': expected a string with 1 to 4096 characters.")
    if asked.get("voice") not in VOICES:
        return Refuse(400, f"Invalid value for 'voice': '{asked.get('voice')}' is no voice of this API.")
    if asked.get("response_format") != "pcm":
        return Refuse(400, "This fake speaks PCM only.")
    return None
