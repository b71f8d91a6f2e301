"""The job that has a call summarised, and the record written again with the summary in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import structlog
from arq import Retry

from ai_worker.jobs.additions import stored_summary
from ai_worker.jobs.archive import find_record
from ai_worker.jobs.desk import WRITING, Desk
from ai_worker.jobs.locks import alone
from ai_worker.jobs.record import CallRecord
from ai_worker.jobs.settings import JobsSettings
from ai_worker.jobs.summary import LlmScribe, conversation_digest
from ai_worker.providers.attempts import Link
from ai_worker.providers.base import LanguageModel, ProviderError
from ai_worker.providers.chain import LlmChain
from ai_worker.providers.usage import Usage
from callbus import keys, transcript
from callbus.broker import xadd
from callbus.errors import BadMessage, BusUnavailable

MAX_TRIES = 5
_FIRST_PAUSE_S = 2.0
_LOCK_S = 10.0
_FIRST_TOKEN_S = 20.0
_MAX_TOKENS = 500

log = structlog.get_logger()


def scribe_of(settings: JobsSettings) -> LlmScribe | None:
    """The configured language models as one that writes summaries; None when there are only local ones."""
    if not settings.summary_providers:
        return None
    # A third of the process' time to start, which most don't need.
    from ai_worker.providers.openai_chat import OpenAiChat

    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
    links: list[Link[LanguageModel]] = [
        Link(
            kind,
            OpenAiChat(
                api_key=key,
                model=settings.openai_llm_model,
                base_url=settings.openai_base_url,
                max_tokens=_MAX_TOKENS,
                # Nobody waits on the line.
                first_token_timeout=_FIRST_TOKEN_S,
                between_tokens_timeout=_FIRST_TOKEN_S,
                keep_warm=False,
            ),
            model=settings.openai_llm_model,
        )
        for kind in settings.summary_providers
    ]
    return LlmScribe(LlmChain(links, deadline=_FIRST_TOKEN_S))


async def summarise(ctx: dict[str, Any], call_id: str) -> None:
    """arq job. What fails for good leaves the record without a summary."""
    desk: Desk = ctx["desk"]
    job_try: int = ctx["job_try"]
    if desk.scribe is None or desk.queue is None:
        return
    pause_s = _FIRST_PAUSE_S * 2 ** (job_try - 1)
    try:
        async with asyncio.timeout(desk.timeout_s):
            record = await find_record(desk, keys.clean_call_id(call_id))
            if record is None:
                return
            stored = await stored_summary(desk.broker, call_id)
            if stored is None or stored.of != conversation_digest(record):
                await _keep(desk, call_id, record)
            await desk.queue.record_again(call_id, f"summary-{conversation_digest(record)}")
    except (ProviderError, ValueError, OSError, BusUnavailable) as error:
        reason = str(error) or type(error).__name__
        if job_try >= MAX_TRIES or (isinstance(error, ProviderError) and not error.retryable):
            log.warning("the call stays without a summary", job_try=job_try, reason=reason)
            await _have_usage_recorded(desk, call_id)
            return
        if isinstance(error, ProviderError) and error.retry_after:
            pause_s = max(pause_s, min(error.retry_after, 600.0))
        log.info("no summary yet", job_try=job_try, retry_in_s=pause_s, reason=reason)
        raise Retry(defer=pause_s) from error


async def _keep(desk: Desk, call_id: str, record: CallRecord) -> None:
    assert desk.scribe is not None
    used: list[Usage] = []
    try:
        summary = await desk.scribe.write(record, used.append)
    finally:
        await _note(desk, call_id, used)
    async with alone(desk.broker, call_id, WRITING, longest_s=_LOCK_S, patience_s=_LOCK_S):
        # A call that was erased meanwhile stays erased.
        if await find_record(desk, call_id) is None:
            return
        await desk.broker.execute("SET", keys.summary(call_id), summary.model_dump_json(), "EX", keys.CALL_TTL_S)
    log.info("call summarised", labels=summary.labels)


async def _have_usage_recorded(desk: Desk, call_id: str) -> None:
    """What the tries used belongs into the record, though nothing came of them."""
    assert desk.queue is not None
    with suppress(BusUnavailable):  # it waits in the transcript for whatever writes the record next
        if any(_used_for_summary(fields) for _, fields in await desk.broker.range(keys.transcript(call_id))):
            await desk.queue.record_again(call_id, "no-summary", summarise=False)


def _used_for_summary(fields: Mapping[bytes, bytes]) -> bool:
    try:
        entry = transcript.decode(fields)
    except BadMessage:
        return False
    return isinstance(entry, transcript.Used) and entry.seam == "summary"


async def _note(desk: Desk, call_id: str, used: list[Usage]) -> None:
    now, stream = time.time(), keys.transcript(call_id)
    entries = [transcript.Used(now, 0, **{**asdict(usage), "seam": "summary"}) for usage in used]
    # A transcript that was erased, or is forgotten, does not come back.
    commands = [xadd(stream, transcript.encode(e), maxlen=keys.TRANSCRIPT_MAXLEN, create=False) for e in entries]
    if commands:
        await desk.broker.pipeline(commands)
