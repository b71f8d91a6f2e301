"""A provider's last error is for who holds the admin's token, and for nobody else."""

from __future__ import annotations

import httpx

from callbus import registry
from callbus.broker import Broker
from support.console import look

ERROR = "HTTP 429, rate_limit: slow down, org-abc"
STATE = {
    "stt": {"openai-stt": {"state": "open", "out_for_s": 9.5, "last_error": ERROR, "last_error_at": 1000.5}},
    "tts": {"local-tts": {"state": "closed", "out_for_s": 0.0, "last_error": None, "last_error_at": None}},
}


async def test_the_console_shows_what_the_public_status_does_not(client: httpx.AsyncClient, broker: Broker) -> None:
    await registry.beat(broker, "worker", "w1", {"calls": 0, "providers": {}, "provider_state": STATE})
    await registry.beat(broker, "worker", "w2", {"calls": 0, "providers": {}})
    await registry.beat(broker, "streamer", "s1", {"provider_state": STATE})
    system = await look(client, "/system")
    of = {"provider": "openai-stt", "seam": "stt", "worker": "w1"}
    assert system["providers"] == [
        {**of, "state": "open", "last_error": ERROR, "last_error_at": 1000.5},
        {
            "provider": "local-tts",
            "seam": "tts",
            "worker": "w1",
            "state": "closed",
            "last_error": None,
            "last_error_at": None,
        },
    ]
    answer = await client.get("/api/v1/status")
    assert answer.json()["workers"][0]["provider_state"]["stt"] == {"openai-stt": {"state": "open", "out_for_s": 9.5}}
    assert "slow down" not in answer.text
    assert "last_error" not in answer.text
