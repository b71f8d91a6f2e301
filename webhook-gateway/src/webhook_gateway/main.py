"""The webhook-gateway's process: settings, socket, server, heartbeat, and a graceful end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog
import uvicorn

from callbus import process, registry, tracing
from callbus.broker import connect
from callbus.busclock import BusClock
from callbus.errors import BusUnavailable
from callbus.settings import fail, load
from callbus.telemetry import setup_logging
from webhook_gateway.app import create_app
from webhook_gateway.console.live import Live
from webhook_gateway.deadlines import DeadlineProtocol
from webhook_gateway.settings import GatewaySettings
from webhook_gateway.webhook_log import WebhookLog

SERVICE = "webhook-gateway"
SHUTDOWN_TIMEOUT_S = 10
# A V1 token carries the whole event, twice: in its own header and in the deprecated one.
MAX_HEADER_BYTES = 256 * 1024

log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """uvicorn, stopped by us: its own handling of SIGTERM ends the process with the signal, not with exit code 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main() -> None:
    """The console command."""
    settings = load(GatewaySettings, SERVICE)
    setup_logging(SERVICE, level=settings.log_level, format=settings.log_format, numbers=settings.log_numbers)
    listener = _listen(settings.gateway_host, settings.gateway_port)
    process.run(lambda: serve(settings, listener))


async def serve(settings: GatewaySettings, listener: socket.socket) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT; running requests are finished first."""
    stop = process.stop_signal()
    gateway_id = registry.new_service_id()
    host, port = listener.getsockname()[:2]
    async with connect(settings.redis_url) as broker:
        tracer = tracing.tracer(SERVICE, settings.otel_exporter_otlp_endpoint)
        app = create_app(settings, broker, gateway_id=gateway_id, tracer=tracer)
        live: Live = app.state.live
        webhooks: WebhookLog = app.state.webhooks
        server = _Server(
            uvicorn.Config(
                app,
                http=DeadlineProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
                timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
            )
        )
        if not settings.webhook_keys:
            log.warning(
                "RINGOVER_WEBHOOK_INSECURE: ANYONE CAN POST EVENTS HERE; set RINGOVER_WEBHOOK_SECRET before going live"
            )
        log.info("listening", host=host, port=port, gateway=gateway_id)
        # In a group, so that a background task that fails ends the process instead of failing unseen.
        async with asyncio.TaskGroup() as tasks:
            background: tuple[asyncio.Task[None], ...] = (
                tasks.create_task(registry.keep_beating(broker, "gateway", gateway_id, lambda: {"port": port})),
                tasks.create_task(live.run()),
                tasks.create_task(webhooks.run()),
                tasks.create_task(_stop_when(stop, server, live)),
            )
            if tracer:
                tracer.clock = BusClock()
                background = (*background, tasks.create_task(tracer.clock.run(broker)))
            await server.serve(sockets=[listener])
            for task in background:
                task.cancel()
        with suppress(BusUnavailable):
            await webhooks.write()
            await registry.leave(broker, "gateway", gateway_id)
        if tracer:
            await tracer.aclose()
    log.info("stopped")


async def _stop_when(stop: asyncio.Event, server: uvicorn.Server, live: Live) -> None:
    await stop.wait()
    live.close()
    log.info("stopping: running requests are finished first")
    server.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, bound before anything else starts, so that a port that is taken is one clear line."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        fail(SERVICE, f"can't listen on {host} port {port}: {error}; set GATEWAY_HOST and GATEWAY_PORT to what is free")
