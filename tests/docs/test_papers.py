"""What the papers say is so: links lead somewhere, and quoted log lines, settings and metrics exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.papers import ROOT, anchors, links, papers, prose

SOURCES = ("shared", "webhook-gateway", "streamer", "ai-worker")


def code() -> str:
    files = (path for folder in SOURCES for path in (ROOT / folder / "src").rglob("*.py"))
    # A sentence that goes on in the next line's literal is one sentence.
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text(encoding="utf-8") for path in files))


def named(paper: Path) -> str:
    return str(paper.relative_to(ROOT))


@pytest.mark.parametrize("paper", papers(), ids=named)
def test_links_lead_somewhere(paper: Path) -> None:
    for link in links(paper):
        name, _, anchor = link.partition("#")
        target = (paper.parent / name).resolve() if name else paper
        assert target.exists(), link
        assert ROOT in (target, *target.parents), f"{link} leads out of the repository"
        if anchor:
            assert anchor in anchors(target), link


def test_links_are_found() -> None:
    assert "agents.md" in links(ROOT / "docs" / "getting-started.md")
    assert sum(len(links(paper)) for paper in papers()) > 60


def log_lines() -> list[tuple[str, str]]:
    """Service and log line of the tables `| service | log line | …`."""
    return [
        (service.strip(), line)
        for paper in papers()
        for table in re.findall(r"^\| service \| log line \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", prose(paper), re.MULTILINE)
        for service, line in re.findall(r"^\|([^|]+)\| `([^`]+)` \|", table, re.MULTILINE)
    ]


def test_log_lines_are_what_the_services_say() -> None:
    found = log_lines()
    assert len(found) > 15
    for service, line in found:
        folder = "ai-worker" if service == "ai-jobs" else service
        files = (ROOT / folder / "src").rglob("*.py")
        said = re.compile(r"log\.\w+\(\s*f?" + re.escape(f'"{line}"'))
        assert any(said.search(file.read_text(encoding="utf-8")) for file in files), f"{service} never logs {line!r}"


def test_reasons_for_a_refused_webhook_are_the_gateways_own() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    [table] = re.findall(r"^\| reason \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    reasons = [reason for row in table.splitlines() for reason in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert len(reasons) >= 6
    source = code()
    assert [reason for reason in reasons if reason not in source] == []


def test_settings_and_metrics_that_are_named_exist() -> None:
    known = set(re.findall(r"^#([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    variables = known | {
        "PYTEST_ARGS",
        "CALL_ARGS",
        "BENCH",
        "CHAOS",
        "WORKERS",
        "TEST_JOBS",
        "PWD",
        "CALL_ID",
        "ORDERS_KEY",
    }
    words = re.compile(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=[^`]*)?`")
    for paper in papers():
        unknown = set(words.findall(prose(paper))) - variables
        assert not unknown, f"{named(paper)}: {unknown}"
    source = code()
    metrics = re.compile(r"`((?:streamer|ringover_gateway|ringover_worker|ringover_jobs)_[a-z_]+?)(?:_total)?`")
    asked = {name for paper in papers() for name in metrics.findall(prose(paper))}
    assert len(asked) > 6
    for name in asked:
        assert name in source or name.removeprefix("streamer_") in source, name


def test_the_specifications_three_troubles_have_their_headings() -> None:
    found = anchors(ROOT / "docs" / "operations.md")
    assert {"streamer-wont-start", "webhook-events-not-received", "audio-processing-issues"} <= found
