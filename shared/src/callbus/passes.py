"""A pass for one media connection: what a browser shows to the streamer in place of the streamer's token.

`pass1.{end}.{call id}.{proof}`: the end in whole epoch seconds, the proof an HMAC-SHA256 (hex) with the token as its
key. No clock and no I/O: whoever mints or checks brings the time.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256

PASS_S = 60
"""A pass is good for so long: enough for a browser to connect, too short to be passed on."""
_MARK = "pass1."
_FORM = re.compile(r"pass1\.([0-9]{1,12})\.([A-Za-z0-9._:@+=-]{1,128})\.([0-9a-f]{64})", re.ASCII)


class PassRefused(Exception):
    """A pass that lets nobody in; the text says why, and shows neither the token nor a right proof."""


def mint(token: str, call_id: str, *, now: float) -> str:
    """A pass for that call's media connection, good for PASS_S from `now` (epoch s)."""
    end = str(int(now) + PASS_S)
    return f"{_MARK}{end}.{call_id}.{_proof(token.encode(), end, call_id)}"


def is_pass(given: str) -> bool:
    """Whether this is meant as a pass, good or not."""
    return given.startswith(_MARK)


def check(token: bytes, given: str, call_id: str | None, *, now: float) -> None:
    """Raises PassRefused, unless `given` was minted with this token, for this call, and is good at `now` (epoch s)."""
    form = _FORM.fullmatch(given)
    if form is None:
        raise PassRefused("the pass can't be read: expected pass1.END.CALL_ID.PROOF, unchanged")
    end, named, proof = form.groups()
    # First, so that nothing is told of a pass that is not genuine.
    if not hmac.compare_digest(proof, _proof(token, end, named)):
        raise PassRefused("the pass is not ours: the gateway and the streamer need the same STREAMER_TOKEN")
    if named != call_id:
        raise PassRefused("the pass is for another call: the call's id must be in the path, as it was given")
    if now >= int(end):
        ago = f"{now - int(end):.0f} s ago"
        raise PassRefused(f"the pass ended {ago}: ask for a new one (or a clock is wrong, here or at the gateway)")


def _proof(token: bytes, end: str, call_id: str) -> str:
    return hmac.new(token, f"media pass\n{end}\n{call_id}".encode(), sha256).hexdigest()
