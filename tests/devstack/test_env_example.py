""".env.example explains every setting of every service, with its default; scripts/make-env.sh fills in the secrets."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import SecretStr, TypeAdapter

from callbus.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_ONLY = {"REDIS_PASSWORD", "BIND_ADDRESS", "WORKERS"}
MADE_UP = {"RINGOVER_WEBHOOK_SECRET", "ADMIN_TOKEN", "STREAMER_TOKEN", "REDIS_PASSWORD"}
_SETTING = re.compile(r"#([A-Z][A-Z0-9_]*)=(.*)")


def documented() -> dict[str, str]:
    """The settings in the file with the values they have there."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return {found[1]: found[2] for line in lines if (found := _SETTING.fullmatch(line))}


def fields() -> dict[str, list[tuple[str, Any, Any]]]:
    """Every setting of every service: by its name in the environment the class, type and default of each use."""
    for source in ROOT.glob("*/src"):
        for file in source.rglob("*.py"):
            if file.name.endswith("settings.py"):
                importlib.import_module(".".join(file.relative_to(source).with_suffix("").parts))
    found: dict[str, list[tuple[str, Any, Any]]] = {}
    classes: list[type[ServiceSettings]] = [ServiceSettings]
    while classes:
        settings = classes.pop()
        if settings.__module__.startswith("test"):
            continue
        classes += settings.__subclasses__()
        for name, field in settings.model_fields.items():
            assert field.annotation is not None
            use = (settings.__name__, TypeAdapter(field.annotation), field.get_default())
            found.setdefault(name.upper(), []).append(use)
    return found


def test_the_services_are_found() -> None:
    classes = {name for uses in fields().values() for name, _, _ in uses}
    assert {"GatewaySettings", "StreamerSettings", "WorkerSettings", "JobsSettings"} <= classes


def test_every_setting_is_there_and_nothing_else() -> None:
    assert set(documented()) == set(fields()) | COMPOSE_ONLY


def test_every_default_is_the_real_one() -> None:
    values = documented()
    wrong = []
    for name, uses in fields().items():
        for owner, annotation, default in uses:
            given = values[name]
            if default is None or isinstance(default, SecretStr):
                right = given == ""
            else:
                right = annotation.validate_python(given) == annotation.validate_python(str(default))
            if not right:
                wrong.append(f"{owner} has {name}={default!r}, .env.example says {given!r}")
    assert wrong == []


def test_every_setting_stands_below_an_explanation() -> None:
    paragraphs = (ROOT / ".env.example").read_text().split("\n\n")
    for paragraph in paragraphs:
        if _SETTING.search(paragraph):
            assert paragraph.startswith("# "), paragraph


def test_an_env_file_is_made_once_with_secrets_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "make-env.sh", tmp_path / "scripts")
    shutil.copy(ROOT / ".env.example", tmp_path)
    made = tmp_path / ".env"
    for _ in range(2):
        subprocess.run([tmp_path / "scripts" / "make-env.sh"], check=True, capture_output=True)
        first = dotenv_values(made)
    assert first == dotenv_values(made)
    assert set(first) == MADE_UP
    assert len(set(first.values())) == len(MADE_UP)
    assert all(value and re.fullmatch(r"[0-9a-f]{48}", value) for value in first.values())
    assert made.stat().st_mode & 0o077 == 0, "others may read it"
