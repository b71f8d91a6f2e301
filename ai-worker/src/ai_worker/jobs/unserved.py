"""Calls that no worker ever took: the streamer played and transferred what is configured, or the caller left before."""

from __future__ import annotations

from collections.abc import Mapping

OUTCOME = "no_worker"
REASON = "no worker took the call"


def was_unserved(call: Mapping[str, str]) -> bool:
    """Whether a call's hash tells of media that is over and was nobody's.

    A call without media is none of ours: it only rang, or people spoke to each other.
    """
    over = call.get("media") == "ended" or call.get("state") == "ended"
    return over and "media_at" in call and "claimed_at" not in call
