"""The state of the system, and what a new installation still lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callbus import keys, registry
from callbus.broker import Broker
from callbus.errors import BusUnavailable
from webhook_gateway.console import agents, softphone
from webhook_gateway.settings import ENDPOINT, GatewaySettings
from webhook_gateway.status import StatusBoard
from webhook_gateway.webhook_log import WebhookLog

_LOOK_BACK = 2000
"""Lifecycle events that are looked through for proof that something works."""


class System:
    """Answers `GET /console/api/system`."""

    def __init__(self, settings: GatewaySettings, broker: Broker, board: StatusBoard, webhooks: WebhookLog) -> None:
        self._settings = settings
        self._broker = broker
        self._board = board
        self._webhooks = webhooks

    async def show(self) -> dict[str, Any]:
        """See the console's contract. Redis being away is an answer, not an error."""
        status = await self._board.show()
        try:
            services = await registry.running(self._broker)
            proofs = await self._proofs()
        except BusUnavailable:
            services, proofs = [], set()
        return {
            "status": status,
            "providers": _provider_states(services),
            "webhooks": await self._webhooks.show(),
            "checklist": self._checklist(status, services, proofs),
        }

    async def _proofs(self) -> set[str]:
        """What has happened lately: `webhook`, `media`."""
        entries = await self._broker.execute("XREVRANGE", keys.EVENTS, "+", "-", "COUNT", _LOOK_BACK)
        proofs = set()
        for _, fields in entries:
            if fields.get(b"source") == b"gateway":
                proofs.add("webhook")
            browsers = fields.get(b"call_id", b"").startswith(softphone.PREFIX.encode())
            if (fields.get(b"resource"), fields.get(b"event")) == (b"media", b"connected") and not browsers:
                proofs.add("media")
        return proofs

    def _checklist(
        self, status: Mapping[str, Any], services: list[dict[str, Any]], proofs: set[str]
    ) -> list[dict[str, Any]]:
        settings = self._settings
        signed = bool(settings.webhook_keys)
        url = settings.public_endpoint or f"https://<your host>{ENDPOINT}"
        working = [worker for worker in status["workers"] if not worker.get("draining")]
        found = agents.of(services)
        streamers = [service for service in services if service.get("kind") == "streamer"]
        bare = [str(streamer.get("id")) for streamer in streamers if not streamer.get("fallback")]
        return [
            _item("Redis reachable", status["redis"]["reachable"], "start Redis, and set REDIS_URL"),
            _item(
                "Webhook secret set",
                signed,
                "set RINGOVER_WEBHOOK_SECRET to the key in Ringover's dashboard: Developer, Webhooks",
            ),
            _item(
                "Webhook signed and received",
                signed and "webhook" in proofs,
                f"in Ringover's dashboard, send calls' events to {url}, then call your number; "
                "what is refused stands below, with the reason",
            ),
            _item("Streamer running", bool(status["streamers"]), "start one with `streamer`"),
            _item(
                "Media connected once",
                "media" in proofs,
                "give Ringover the streamer's WebSocket URL (wss://<your host>/ws), then call your number",
            ),
            _item("Worker running", bool(working), "start one with `ai-worker`"),
            *self._providers(working),
            _item(
                "Public URL set",
                settings.public_endpoint is not None,
                "set WEBHOOK_PUBLIC_URL to the URL that Ringover posts to: behind a proxy its V3 signature can't be "
                "checked without it",
            ),
            _item(
                "Fallback set",
                bool(streamers) and not bare,
                "set FALLBACK_TRANSFER_NUMBER, for the caller whom no worker can serve"
                + (f": it is not known to {', '.join(sorted(bare))}" if bare else ""),
            ),
            _item(
                "An agent for the called numbers",
                bool(found),
                "no running worker tells of any: put a .yaml file for each bot into AGENTS_DIR",
            ),
        ]

    def _providers(self, workers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        keys_of = {
            "openai": ("OpenAI key set", self._settings.openai_api_key, "OPENAI_API_KEY"),
            "elevenlabs": ("ElevenLabs key set", self._settings.elevenlabs_api_key, "ELEVENLABS_API_KEY"),
        }
        used = {str(name) for worker in workers for name in (worker.get("providers") or {}).values()}
        items = [
            _item(label, key is not None, f"a worker uses it: set {setting}")
            for name, (label, key, setting) in keys_of.items()
            if any(name in names for names in used)
        ]
        hint = "only the local models work: set OPENAI_API_KEY and ELEVENLABS_API_KEY for better ones"
        return items or [{"item": "Provider keys set (if any are needed)", "ok": True, "hint": hint}]


def _provider_states(services: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each worker's providers by seam, in the order in which they are asked, with the last error of each."""
    return [
        {
            "seam": seam,
            "provider": provider,
            "state": known.get("state"),
            "last_error": known.get("last_error"),
            "last_error_at": known.get("last_error_at"),
            "worker": worker.get("id"),
        }
        for worker in services
        if worker.get("kind") == "worker"
        for seam, providers in (worker.get("provider_state") or {}).items()
        for provider, known in providers.items()
    ]


def _item(item: str, ok: bool, hint: str) -> dict[str, Any]:
    return {"item": item, "ok": ok, "hint": "" if ok else hint}
