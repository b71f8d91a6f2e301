"""`python -m callbus.health KIND`: whether a service of that kind runs on this host and is ready; for health checks.

For services that listen on no port: they are judged by their own heartbeat.
"""

from __future__ import annotations

import asyncio
import sys

from callbus import registry
from callbus.broker import connect
from callbus.errors import BusUnavailable
from callbus.settings import ServiceSettings, load


async def ready_here(redis_url: str, kind: str) -> bool:
    """Whether a service of this kind on this host beats and says that it is ready. Raises BusUnavailable."""
    here = _host(registry.new_service_id())
    async with connect(redis_url) as broker:
        beats = await registry.running(broker)
    return any(beat["kind"] == kind and _host(beat["id"]) == here and beat.get("ready", True) for beat in beats)


def _host(service_id: str) -> str:
    return service_id.rsplit("-", 2)[0]


def main() -> None:
    """Ends the process: 0 for ready, 1 for not."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m callbus.health KIND, such as worker or jobs")
    settings = load(ServiceSettings, "health")
    try:
        ready = asyncio.run(ready_here(settings.redis_url, sys.argv[1]))
    except BusUnavailable as error:
        sys.exit(str(error))
    if not ready:
        sys.exit(f"no {sys.argv[1]} on this host is ready")


if __name__ == "__main__":
    main()
