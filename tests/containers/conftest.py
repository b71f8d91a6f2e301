"""The images, built, and the system in containers, ready; or a skip that says why not."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.compose import DockerCompose

from devstack.ports import free_port
from support.stack_containers import Containers, engine_problem

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """Everything in docker-compose.yml, built and ready, with two workers, on free ports, in a project of its own."""
    if problem := engine_problem():
        message = f"no Docker engine is reachable, so the images and docker-compose.yml were not tested ({problem})"
        # .ci/run sets this when it has brought an engine up: then a skip would hide a failure.
        if os.environ.get("CONTAINERS_REQUIRED"):
            pytest.fail(message)
        pytest.skip(message)
    gateway_port, streamer_port = free_port(), free_port()
    settings = {
        "COMPOSE_PROJECT_NAME": f"callbus-test-{secrets.token_hex(3)}",
        "GATEWAY_PORT": str(gateway_port),
        "STREAMER_PORT": str(streamer_port),
        "BIND_ADDRESS": "127.0.0.1",
        **{
            name: secrets.token_hex(16)
            for name in ("RINGOVER_WEBHOOK_SECRET", "STREAMER_TOKEN", "ADMIN_TOKEN", "REDIS_PASSWORD")
        },
    }
    env_file = tmp_path_factory.mktemp("compose") / "env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    compose = DockerCompose(
        context=ROOT,
        compose_file_name=["docker-compose.yml", "tests/containers/compose.override.yaml"],
        env_file=str(env_file),
        build=True,
        wait=True,
    )
    try:
        with compose:
            yield Containers(
                compose,
                gateway_url=f"http://127.0.0.1:{gateway_port}",
                streamer_url=f"ws://127.0.0.1:{streamer_port}",
                webhook_secret=settings["RINGOVER_WEBHOOK_SECRET"],
                streamer_token=settings["STREAMER_TOKEN"],
                admin_token=settings["ADMIN_TOKEN"],
                env_file=env_file,
            )
    finally:
        # The images carry the project's name; their layers stay in the builder's cache.
        subprocess.run([*compose.docker_compose_command(), "down", "--rmi", "local"], cwd=ROOT, check=False)
