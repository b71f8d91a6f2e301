"""A process that is killed between two steps of a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callbus.bucket import Bucket


class Killed(BaseException):
    """The process is gone."""


class Fate:
    """Kills before the effect number `at` on files or the bucket; -1: never."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.done = -1, 0
        for owner, name in ((Bucket, "put"), (Path, "unlink"), (Path, "rmdir"), (Path, "replace"), (Path, "mkdir")):
            monkeypatch.setattr(owner, name, self._watched(getattr(owner, name)))

    def _watched(self, effect: Any) -> Any:
        def watched(*args: Any, **how: Any) -> Any:
            if self.done == self.at:
                raise Killed
            self.done += 1
            return effect(*args, **how)

        return watched

    def strikes(self, at: int) -> None:
        self.at, self.done = at, 0
