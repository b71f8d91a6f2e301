"""ElevenLabs' API as far as a voicebot uses it: text-to-speech as PCM, realtime transcription, the list of models.

Wire formats: https://elevenlabs.io/docs/api-reference/text-to-speech/stream and …/stream-with-timestamps.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastapi import Request, Response

from support.fake_providers.elevenlabs_scribe import FakeScribe
from support.fake_providers.script import Fault, Piece, Refuse, RequestRecord
from support.fake_providers.server import FakeServer
from support.fake_providers.speech import evenly, speech_pieces, tone


class FakeElevenLabs(FakeServer):
    """Speech that comes `first_byte_ms` after the request, then `speed` times faster than it is spoken.

    `speak` maps a text and a rate in Hz to s16le mono. The body goes out in pieces of `piece_bytes`, any length:
    the real one's pieces end within a sample, too. `align` maps a text and the seconds of its audio to the second at
    which each character ends; with timestamps, a piece is a line of JSON. `hear` maps an utterance (s16le mono) and its
    language to text, which comes `transcription_ms` after its commit; `understand` (None: `hear`) does so while it is
    spoken. Voices not in `voices` are refused; None takes any. Without `tells_cost`
    the speech's header about that is left out.
    """

    def __init__(
        self,
        *,
        speak: Callable[[str, int], bytes] = tone,
        first_byte_ms: float = 0.0,
        speed: float = 20.0,
        piece_bytes: int = 2048,
        voices: frozenset[str] | None = None,
        media_type: str | None = None,
        align: Callable[[str, float], Sequence[float]] = evenly,
        hear: Callable[[bytes, str], str] = lambda pcm, language: "Hello, can you hear me?",
        understand: Callable[[bytes, str], str] | None = None,
        transcription_ms: float = 0.0,
        api_key: str = "xi-local-fake",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(api_key=api_key, host=host, port=port)
        self.speak, self.first_byte, self.speed = speak, first_byte_ms / 1000, speed
        self.tells_cost = True
        self.piece_bytes, self.voices, self.media_type, self.align = piece_bytes, voices, media_type, align
        self.scribe = FakeScribe(self, hear, transcription_ms / 1000, understand)
        self.app.add_api_route("/v1/models", self._list_models, methods=["GET"], response_model=None)
        self.app.add_api_route(
            "/v1/text-to-speech/{voice_id}/stream", self._stream, methods=["POST"], response_model=None
        )
        self.app.add_api_route(
            "/v1/text-to-speech/{voice_id}/stream/with-timestamps", self._stream, methods=["POST"], response_model=None
        )

    async def _list_models(self, request: Request) -> Response:
        record, fault = await self.receive(request)
        if refusal := self._refusal(record, fault):
            return self._refused(record, refusal)
        model = {"model_id": "eleven_flash_v2_5", "name": "Eleven Flash v2.5", "can_do_text_to_speech": True}
        return self._json(record, fault, [model])

    async def _stream(self, request: Request, voice_id: str) -> Response:
        record, fault = await self.receive(request)
        if refusal := self._refusal(record, fault) or self._wrong_request(record, voice_id):
            return self._refused(record, refusal)
        rate = int(record.query["output_format"].removeprefix("pcm_"))
        audio = self.speak(record.json["text"], rate)
        pieces = speech_pieces(audio, rate, first_byte=self.first_byte, speed=self.speed, piece_bytes=self.piece_bytes)
        media_type = "audio/pcm"
        if record.path.endswith("/with-timestamps"):
            pieces = list(self._with_timestamps(pieces, record.json["text"], rate))
            media_type = "application/json"
        headers = _request_id() | ({"character-cost": str(len(record.json["text"]))} if self.tells_cost else {})
        return self.paced(record, fault, pieces, media_type=self.media_type or media_type, headers=headers)

    def _with_timestamps(self, pieces: Sequence[Piece], text: str, rate: int) -> Iterator[Piece]:
        """The pieces as lines of JSON, each with the characters that begin in it."""
        ends = self.align(text, sum(len(piece.data) for piece in pieces) / (2 * rate))
        characters = list(zip(text, [0.0, *ends], ends, strict=False))
        arrived = 0
        for piece in pieces:
            arrived += len(piece.data)
            here = [entry for entry in characters if entry[1] < arrived / (2 * rate)]
            del characters[: len(here)]
            alignment = {
                "characters": [character for character, _, _ in here],
                "character_start_times_seconds": [start for _, start, _ in here],
                "character_end_times_seconds": [end for _, _, end in here],
            }
            chunk = {
                "audio_base64": base64.b64encode(piece.data).decode(),
                "alignment": alignment if here else None,
                "normalized_alignment": alignment if here else None,
            }
            yield Piece(piece.at, json.dumps(chunk).encode() + b"\n\n")

    def _refusal(self, record: RequestRecord, fault: Fault | None) -> Refuse | None:
        if isinstance(fault, Refuse):
            return fault
        if hmac.compare_digest(record.headers.get("xi-api-key", "").encode(), self.api_key.encode()):
            return None
        return Refuse(401, "Invalid API key", code="invalid_api_key")

    def _wrong_request(self, record: RequestRecord, voice: str) -> Refuse | None:
        if self.voices is not None and voice not in self.voices:
            return Refuse(404, f"A voice with the voice_id {voice} was not found.", code="voice_not_found")
        if not re.fullmatch(r"pcm_(8000|16000|22050|24000|32000|44100|48000)", record.query.get("output_format", "")):
            return Refuse(400, "This fake speaks PCM only.", code="invalid_output_format")
        if not record.json.get("text"):
            return Refuse(400, "Text is empty.", code="input_text_empty")
        return None

    def _refused(self, record: RequestRecord, refusal: Refuse) -> Response:
        detail = {"status": refusal.code or "error", "message": refusal.message}
        more = {"retry-after": refusal.retry_after} if refusal.retry_after else {}
        return self._json(record, None, {"detail": detail}, status=refusal.status, headers=more)

    def _json(
        self,
        record: RequestRecord,
        fault: Fault | None,
        value: Any,
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        body = [Piece(0.0, json.dumps(value).encode())]
        headers = _request_id() | (headers or {})
        return self.paced(record, fault, body, media_type="application/json", status=status, headers=headers)


def _request_id() -> dict[str, str]:
    return {"request-id": secrets.token_hex(10)}
