"""The job that delivers a call's record to the customer's webhook, and tries again until it is taken or dead."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from typing import Any

import structlog
from arq import Retry

from ai_worker.jobs import deliveries
from ai_worker.jobs.archive import record_body
from ai_worker.jobs.deliveries import Delivery
from ai_worker.jobs.desk import Desk
from ai_worker.jobs.locks import Busy, alone
from ai_worker.jobs.webhook import Answer, Webhook, post
from callbus import keys
from callbus.errors import BusUnavailable

MAX_TRIES = 1_000_000
"""arq's own limit: no try of ours ends there, the webhook's window does that."""
MARGIN_S = 15.0
_BUSY_PAUSE_S = 1.0
_TROUBLE_PAUSE_S = 10.0

log = structlog.get_logger()


def digest(body: bytes) -> str:
    """What names a record's content."""
    return hashlib.sha256(body).hexdigest()


def idempotency_key(call_id: str, content: str) -> str:
    """The same for every try to deliver the same content (`content` is its digest)."""
    return f"{call_id}-{content[:32]}"


async def deliver(ctx: dict[str, Any], call_id: str, content: str = "", again: str = "") -> None:
    """arq job: deliver the record whose digest is `content` ("": whatever it is now).

    The same `again` as before, or none, goes on where an earlier run ended; another one begins anew.
    """
    desk: Desk = ctx["desk"]
    if desk.webhook is None or desk.http is None:
        log.warning("not delivered: CALLS_WEBHOOK_URL is not set any more")
        return
    try:
        longest_s = desk.webhook.timeout_s + MARGIN_S
        # One at a time: an older content must not arrive after a newer one.
        async with alone(desk.broker, keys.clean_call_id(call_id), "delivering", longest_s=longest_s):
            await _deliver(desk, desk.webhook, call_id, content, again)
    except Busy as error:
        raise Retry(defer=_BUSY_PAUSE_S) from error
    except (OSError, BusUnavailable) as error:
        log.warning("not delivered yet", retry_in_s=_TROUBLE_PAUSE_S, reason=str(error) or type(error).__name__)
        raise Retry(defer=_TROUBLE_PAUSE_S) from error


async def _deliver(desk: Desk, webhook: Webhook, call_id: str, content: str, again: str) -> None:
    assert desk.http is not None
    body = await record_body(desk, call_id)
    if body is None:
        log.info("nothing to deliver: the record is gone")
        await deliveries.drop(desk.broker, call_id)
        return
    current = digest(body)
    if content and content != current:
        return  # whoever wrote the newer one has asked for its delivery
    known = await deliveries.known(desk.broker, call_id)
    anew = known is None or known.digest != current or (again and again != known.again)
    if known is None or anew:
        known = Delivery(current, again=again or (known.again if known else ""), first_at=time.time())
    elif known.state != "trying":
        return
    known = await deliveries.note(
        desk.broker, call_id, replace(known, tries=known.tries + 1, next_at=0.0, url=webhook.shown_url)
    )
    answer = await post(desk.http, webhook, body, idempotency_key=idempotency_key(call_id, current))
    known = replace(known, status=str(answer.status or ""), reason=answer.reason)
    if answer.verdict == "taken":
        await deliveries.note(desk.broker, call_id, replace(known, state="delivered"))
        desk.metrics.deliveries.labels("delivered").inc()
        log.info("record delivered", status=answer.status, tries=known.tries)
        return
    pause_s = _pause_s(webhook, known, answer)
    if pause_s is None:
        reason = f"{answer.reason}: {answer.words}" if answer.words else answer.reason
        await deliveries.note(desk.broker, call_id, replace(known, state="dead", reason=reason))
        desk.metrics.deliveries.labels("dead").inc()
        log.error("record not delivered: it is a dead letter now", tries=known.tries, reason=answer.reason)
        return
    await deliveries.note(desk.broker, call_id, replace(known, next_at=time.time() + pause_s))
    desk.metrics.deliveries.labels("retried").inc()
    log.warning("record not delivered yet", tries=known.tries, retry_in_s=round(pause_s, 1), reason=answer.reason)
    raise Retry(defer=pause_s)


def _pause_s(webhook: Webhook, delivery: Delivery, answer: Answer) -> float | None:
    """How long until the next try; None when there is none any more. The last try is at the window's end."""
    left_s = delivery.first_at + webhook.window_s - time.time()
    if answer.verdict == "refused" or left_s <= 0 or answer.retry_after_s > left_s:
        return None
    return max(answer.retry_after_s, min(left_s, webhook.pause_s(delivery.tries)), 0.01)
