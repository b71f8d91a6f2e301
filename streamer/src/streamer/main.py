"""The console command `streamer`."""

from __future__ import annotations

from callbus import tracing
from callbus.broker import connect
from callbus.process import run, stop_signal
from callbus.settings import fail, load
from callbus.telemetry import setup_logging
from streamer.service import Streamer
from streamer.settings import StreamerSettings


async def serve(settings: StreamerSettings) -> None:
    """Run one streamer until SIGTERM and the end of its last call."""
    stop = stop_signal()
    tracer = tracing.tracer("streamer", settings.otel_exporter_otlp_endpoint)
    try:
        async with connect(settings.redis_url) as broker:
            await Streamer(settings, broker, tracer).run(stop)
    finally:
        if tracer:
            await tracer.aclose()


def main() -> None:
    """Read the settings and serve; a wrong setting or a port in use ends it with one line."""
    settings = load(StreamerSettings, "streamer")
    setup_logging("streamer", level=settings.log_level, format=settings.log_format, numbers=settings.log_numbers)
    try:
        run(lambda: serve(settings))
    except OSError as error:
        fail(
            "streamer",
            f"can't listen on {settings.streamer_host}:{settings.streamer_port}: {error}; "
            "set STREAMER_HOST and STREAMER_PORT to an address that is free",
        )
