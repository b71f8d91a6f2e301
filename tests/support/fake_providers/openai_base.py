"""What all endpoints of OpenAI's API have in common: the key, the form of errors, the list of models."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Any

from fastapi import Request, Response

from support.fake_providers.script import Fault, Piece, Refuse, RequestRecord
from support.fake_providers.server import FakeServer


class OpenAiApi(FakeServer):
    """Base of the fake; `base_url` ends in /v1, as the SDK wants it."""

    def __init__(self, *, models: Sequence[str], api_key: str, host: str, port: int) -> None:
        super().__init__(api_key=api_key, host=host, port=port)
        self.models = tuple(models)
        self.app.add_api_route("/v1/models", self._list_models, methods=["GET"], response_model=None)

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    async def _list_models(self, request: Request) -> Response:
        record, fault = await self.receive(request)
        if refusal := self.refusal(record, fault):
            return self.refused(record, refusal)
        models = [{"id": m, "object": "model", "created": 1_721_172_741, "owned_by": "system"} for m in self.models]
        return self.json(record, fault, 0.0, {"object": "list", "data": models})

    def refusal(self, record: RequestRecord, fault: Fault | None) -> Refuse | None:
        if isinstance(fault, Refuse):
            return fault
        given = record.headers.get("authorization", "")
        if hmac.compare_digest(given.encode(), f"Bearer {self.api_key}".encode()):
            return None
        shown = given.removeprefix("Bearer ")
        return Refuse(401, f"Incorrect API key provided: {shown[:3]}****{shown[-4:]}.", code="invalid_api_key")

    def unknown_model(self, model: str | None) -> Refuse | None:
        if model in self.models:
            return None
        return Refuse(404, f"The model `{model}` does not exist or you do not have access to it.", "model_not_found")

    def refused(self, record: RequestRecord, refusal: Refuse) -> Response:
        kind = {401: "invalid_request_error", 429: "requests"}.get(refusal.status, "invalid_request_error")
        kind = "server_error" if refusal.status >= 500 else kind
        error = {"message": refusal.message, "type": kind, "param": None, "code": refusal.code}
        more = {"retry-after": refusal.retry_after} if refusal.retry_after else {}
        return self.json(record, None, 0.0, {"error": error}, status=refusal.status, headers=more)

    def json(
        self,
        record: RequestRecord,
        fault: Fault | None,
        due: float,
        value: dict[str, Any],
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        body = [Piece(due, json.dumps(value).encode())]
        headers = request_id() | (headers or {})
        return self.paced(record, fault, body, media_type="application/json", status=status, headers=headers)


def request_id() -> dict[str, str]:
    return {"x-request-id": f"req_{secrets.token_hex(8)}"}
