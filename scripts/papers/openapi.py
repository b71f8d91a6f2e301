"""docs/openapi.json: the gateway's HTTP surface, as its FastAPI application describes it."""

from __future__ import annotations

import json

from callbus.broker import Broker
from webhook_gateway.app import create_app
from webhook_gateway.settings import GatewaySettings


def document() -> str:
    """The file's content."""
    # Validated, not made: what stands in this machine's environment must not stand in the paper.
    settings = GatewaySettings.model_validate({"ringover_webhook_secret": "of-no-use", "admin_token": "of-no-use"})
    app = create_app(settings, Broker(settings.redis_url), gateway_id="docs")
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"
