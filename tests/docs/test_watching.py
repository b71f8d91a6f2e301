"""Dashboard and alerts ask only for metrics that the services export, and Prometheus takes the files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from callbus.broker import Broker
from devstack.ports import free_port
from support.gateway_process import environment, gateway
from support.papers import anchors
from support.streamer_process import streamer
from support.waiting import until

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
OF_PROMETHEUS = {"up"}
WORKER = Path(sys.executable).parent / "ai-worker"
JOBS = WORKER.with_name("ai-jobs")
PROMTOOL = shutil.which("promtool")
_WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LANGUAGE = set(
    "sum by le rate increase delta histogram_quantile count vector or unless and on without "
    "outcome stage way resource event scheme instance job task seam provider model unit max".split()
)


def dashboard() -> list[str]:
    panels = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def asked(expression: str) -> set[str]:
    """The metrics in a PromQL expression."""
    without = re.sub(r'\[[^]]*\]|"[^"]*"', "", expression)
    return {word for word in _WORD.findall(without) if word not in _LANGUAGE}


def sampled(exposition: str) -> set[str]:
    names = set(re.findall(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{| )", exposition, re.MULTILINE))
    # A counter with labels has no sample until something is counted; its type is told.
    for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", exposition, re.MULTILINE):
        names |= {f"{name}_bucket"} if kind == "histogram" else {name}
    return names


@contextmanager
def running(command: Path, directory: Path, port: int, **settings: str) -> Iterator[str]:
    """A service that serves its metrics on `port`: their address."""
    directory.mkdir()
    with (directory / "stderr.log").open("wb") as log:
        process = subprocess.Popen([command], cwd=directory, env=environment(**settings), stderr=log)
    try:
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        process.terminate()
        process.wait(30)


def worker(directory: Path, redis_url: str, port: int) -> AbstractContextManager[str]:
    """An ai-worker whose providers are all away: its metrics' address."""
    settings = {
        "REDIS_URL": redis_url,
        "WORKER_METRICS_PORT": str(port),
        "AGENTS_DIR": str(ROOT / "agents"),
        "OPENAI_API_KEY": "of-no-use",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        **{f"{seam}_PROVIDERS": "openai" for seam in ("STT", "LLM", "TTS")},
    }
    return running(WORKER, directory, port, **settings)


def jobs(directory: Path, redis_url: str, port: int) -> AbstractContextManager[str]:
    """An ai-jobs: its metrics' address."""
    settings = {"REDIS_URL": redis_url, "CALLS_DIR": str(directory / "calls"), "JOBS_PORT": str(port)}
    return running(JOBS, directory, port, **settings)


async def page(url: str, holds: str = "") -> str:
    """A metrics page, once it can be had and holds a name."""

    async def ask() -> str:
        with suppress(httpx.TransportError):
            text = (await client.get(url)).text
            return text if holds in text else ""
        return ""

    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        text: str = await until(ask, timeout=30, every=0.1, what=url)
        return text


async def exported(directory: Path, redis_url: str) -> set[str]:
    """Every metric that the services' processes serve."""
    with (
        gateway(directory / "gateway", REDIS_URL=redis_url, RINGOVER_WEBHOOK_SECRET="of-the-tests") as hooks,
        streamer(directory / "streamer", redis_url) as media,
        worker(directory / "worker", redis_url, free_port()) as worker_url,
        jobs(directory / "jobs", redis_url, free_port()) as jobs_url,
    ):
        pages = [await page(f"{hooks.url}/metrics"), (await media.get("/metrics"))[1]]
        pages.append(await page(worker_url, "ringover_worker_calls_held"))
        pages.append(await page(jobs_url, "ringover_jobs_runs_total"))
    return {name for text in pages for name in sampled(text)}


async def test_every_metric_that_is_asked_for_exists(tmp_path: Path, redis_url: str, broker: Broker) -> None:
    wanted = {name for expression in (*dashboard(), *(rule["expr"] for rule in rules())) for name in asked(expression)}
    assert len(wanted) > 30
    assert wanted - OF_PROMETHEUS - await exported(tmp_path, redis_url) == set()


def test_what_is_asked_of_an_expression() -> None:
    expression = 'sum by (le, stage) (rate(a_b_bucket{outcome="x y"}[$__rate_interval])) > 0.5 unless vector(1)'
    assert asked(expression) == {"a_b_bucket"}


def test_every_alert_leads_to_a_heading_that_finds_the_cause() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule
        name, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert anchor in anchors(ROOT / name), rule["alert"]


def test_panels_have_a_place_of_their_own() -> None:
    panels = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not taken & cells, panel["title"]
        taken |= cells


def test_what_is_scraped_is_a_service_of_docker_compose() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    for job in yaml.safe_load((FOLDER / "prometheus.yaml").read_text(encoding="utf-8"))["scrape_configs"]:
        [found] = job["dns_sd_configs"]
        assert found["names"] == [job["job_name"]]
        assert job["job_name"] in services


@pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed (Debian: the package prometheus)")
@pytest.mark.parametrize(
    "command",
    [["check", "rules", "alerts.yaml"], ["check", "config", "prometheus.yaml"], ["test", "rules", "alerts_test.yaml"]],
)
def test_promtool_takes_the_files(command: list[str]) -> None:
    assert PROMTOOL
    done = subprocess.run([PROMTOOL, *command], cwd=FOLDER, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
