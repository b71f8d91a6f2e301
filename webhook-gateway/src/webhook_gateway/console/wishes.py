"""What an operator wants done in a call, put onto the call's in stream: the worker hears of it in its order."""

from __future__ import annotations

import re
import time

from callbus import calls, keys, media
from callbus.broker import Broker
from webhook_gateway.answers import Refusal
from webhook_gateway.console.call_view import state_of

LONGEST_TEXT = 1000
_SEPARATORS = re.compile(r"[\s./()-]+")
_NUMBER = re.compile(r"[0-9]{2,20}")


def number(given: str) -> str:
    """A number to transfer to, as it is dialled. Raises Refusal."""
    # The 0 in +33 (0)1 is not dialled, and nobody can tell whether it is in other brackets.
    bare = _SEPARATORS.sub("", given)
    digits = bare.removeprefix("+")
    if "(" in given or not _NUMBER.fullmatch(digits) or (bare.startswith("+") and digits.startswith("0")):
        raise Refusal(
            400,
            "bad_request",
            f"{given[:40]!r} can't be dialled",
            "2 to 20 digits, in international form (33184800000 or +33184800000) or an internal number",
        )
    return digits


def text(given: str) -> str:
    """A line to say. Raises Refusal."""
    line = " ".join("".join(char if char.isprintable() else " " for char in given).split())
    if not 0 < len(line) <= LONGEST_TEXT:
        raise Refusal(
            400,
            "bad_request",
            "there is nothing to say" if not line else "the text is too long",
            f"1 to {LONGEST_TEXT} characters",
        )
    return line


async def ask(broker: Broker, call_id: str, wish: media.Wish, argument: str = "") -> None:
    """Raises Refusal for a call that is unknown, over, or has no bot; BusUnavailable."""
    call = await calls.get(broker, call_id)
    if not call:
        raise Refusal(404, "not_found", "there is no such call", "GET /console/api/live tells the active ones")
    if state_of(call) == "ended":
        raise Refusal(409, "conflict", "the call is over", "nothing more can be done in it")
    event = media.encode(media.Operator(round(time.time(), 3), wish, argument))
    added = await broker.append(keys.media_in(call_id), event, maxlen=keys.MEDIA_IN_MAXLEN, create=False)
    if added is None:
        raise Refusal(409, "conflict", "the call has no media yet", "try again when it is connected")
