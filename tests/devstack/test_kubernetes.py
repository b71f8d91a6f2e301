"""deploy/kubernetes: what it says of the services is what they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_worker.settings import WorkerSettings
from callbus import keys
from streamer.settings import StreamerSettings
from webhook_gateway.settings import GatewaySettings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
SERVICES = ("webhook-gateway", "streamer", "ai-worker", "ai-jobs")
KNOWN = {
    line.lstrip("#").partition("=")[0]
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    if "=" in line
}


def objects() -> list[dict[str, Any]]:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    return [
        found
        for name in kustomization["resources"]
        for found in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))
    ]


def named(kind: str, name: str) -> dict[str, Any]:
    [found] = [found for found in objects() if found["kind"] == kind and found["metadata"]["name"] == name]
    return found


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = named("StatefulSet" if name == "redis" else "Deployment", name)["spec"]["template"]["spec"]
    return spec


def test_every_file_is_part_of_it() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert files == set(kustomization["resources"])
    assert {image["name"] for image in kustomization["images"]} == {
        container["image"] for name in SERVICES for container in pod(name)["containers"]
    }


def test_every_setting_exists() -> None:
    settings = set(named("ConfigMap", "voicebot")["data"])
    secrets = {
        line.partition("=")[0]
        for line in (FOLDER / "secrets.env.example").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    own = {env["name"] for name in SERVICES for env in pod(name)["containers"][0].get("env", ())}
    assert settings | secrets | own <= KNOWN


@pytest.mark.parametrize("name", [*SERVICES, "redis"])
def test_pods_are_locked_down(name: str) -> None:
    spec = pod(name)
    [container] = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert not spec["automountServiceAccountToken"]
    locked = container["securityContext"]
    assert locked["readOnlyRootFilesystem"]
    assert not locked["allowPrivilegeEscalation"]
    assert locked["capabilities"] == {"drop": ["ALL"]}
    assert "readinessProbe" in container


def test_there_is_time_to_drain() -> None:
    settings = named("ConfigMap", "voicebot")["data"]
    assert pod("streamer")["terminationGracePeriodSeconds"] > float(settings["STREAMER_DRAIN_TIMEOUT"])
    assert pod("ai-worker")["terminationGracePeriodSeconds"] > float(settings["WORKER_DRAIN_TIMEOUT"])


def test_workers_are_added_for_calls_that_wait() -> None:
    triggers = named("ScaledObject", "ai-worker")["spec"]["triggers"]
    waiting = next(trigger["metadata"] for trigger in triggers if trigger["type"] == "redis-streams")
    assert (waiting["stream"], waiting["consumerGroup"]) == (keys.WAITING, keys.WORKERS_GROUP)


@pytest.mark.parametrize(
    ("name", "settings", "field"),
    [
        ("ai-worker", WorkerSettings, "worker_capacity"),
        ("streamer", StreamerSettings, "streamer_max_calls"),
    ],
)
def test_there_are_more_before_those_that_run_are_full(name: str, settings: Any, field: str) -> None:
    triggers = named("ScaledObject", name)["spec"]["triggers"]
    threshold = next(float(t["metadata"]["threshold"]) for t in triggers if t["type"] == "prometheus")
    assert 0.5 < threshold / settings.model_fields[field].default < 0.8


def test_only_what_ringover_calls_is_open_to_the_world() -> None:
    [rule] = named("Ingress", "voicebot")["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/api/v1/webhooks/ringover", "/ws"]
    assert GatewaySettings.model_fields["gateway_port"].default == 8000
