"""The console: calls as they happen and as they were, a telephone in the browser, the state of the system."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

from callbus.broker import Broker
from callbus.bucket import Bucket
from webhook_gateway.console.access import Access
from webhook_gateway.console.guard import Guard
from webhook_gateway.console.live import Live
from webhook_gateway.console.past import PastCalls
from webhook_gateway.console.routes import router
from webhook_gateway.console.softphone import Softphone
from webhook_gateway.console.system import System
from webhook_gateway.settings import GatewaySettings
from webhook_gateway.status import StatusBoard
from webhook_gateway.webhook_log import WebhookLog

_BUCKET_TIMEOUT_S = 10.0
_STATIC = Path(__file__).parent / "static"


def install(app: FastAPI, settings: GatewaySettings, broker: Broker, board: StatusBoard, webhooks: WebhookLog) -> None:
    """Put the console under `/console`. `app.state.live` is to be run by whoever serves the application."""
    live = Live(broker)
    phone = Softphone(settings, broker)
    app.include_router(
        router(
            broker,
            Access(settings),
            live,
            PastCalls(settings.calls_dir, Bucket.of(settings, timeout_s=_BUCKET_TIMEOUT_S)),
            phone,
            System(settings, broker, board, webhooks),
        )
    )
    app.mount("/console/static", StaticFiles(directory=_STATIC), name="console")
    app.add_middleware(Guard, phone=phone.source)
    app.state.live = live

    @app.get("/console", include_in_schema=False)
    @app.get("/console/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "index.html", media_type="text/html")
