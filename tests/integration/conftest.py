"""The caller's voice, loaded once for all whole calls."""

from __future__ import annotations

import pytest

from ringover_sim.speech import LocalVoice, Voice


@pytest.fixture(scope="session")
def voice() -> Voice:
    return LocalVoice()
