"""The system in containers, as the container tests see it; and whether a Docker engine can be reached at all."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from testcontainers.compose import DockerCompose


@dataclass(frozen=True, slots=True)
class Containers:
    """The running system and how to reach it."""

    compose: DockerCompose
    gateway_url: str
    streamer_url: str
    webhook_secret: str
    streamer_token: str
    admin_token: str
    env_file: Path
    """What an operator has in `.env`."""

    def run(self, service: str, *command: str) -> str:
        """What a command in a service's first container writes to stdout. Raises CalledProcessError."""
        out: str = self.compose.exec_in_container(list(command), service)[0]
        return out

    def logs(self, *services: str) -> str:
        """What the services have logged."""
        out: str = self.compose.get_logs(*services)[0]
        return out


def engine_problem() -> str | None:
    """Why no containers can be run; None when they can."""
    for command in (["docker", "info", "--format", "{{.ServerVersion}}"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{' '.join(command)}: {error}"
        if done.returncode != 0:
            return f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}"
    return None
