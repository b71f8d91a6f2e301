"""What a person asks of ai-jobs on the command line: dead letters, replays, and forgetting somebody."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TextIO

from ai_worker.jobs import deliveries
from ai_worker.jobs.archive import record_body
from ai_worker.jobs.desk import Desk
from ai_worker.jobs.forget import Erased, forget
from ai_worker.jobs.queue import JobQueue
from ai_worker.jobs.settings import JobsSettings
from callbus.broker import Broker, connect
from callbus.bucket import Bucket
from callbus.errors import BadCallId, BucketUnavailable, BusUnavailable

_DAMAGE = 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line. Its `command` is None when the jobs are to be run."""
    top = argparse.ArgumentParser(prog="ai-jobs", description="Runs what comes after a call; or, with a command:")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("dead", help="list the records that CALLS_WEBHOOK_URL did not take, and has not taken since")
    replay = commands.add_parser("replay", help="have a call's record delivered again")
    which = replay.add_mutually_exclusive_group(required=True)
    which.add_argument("call_id", nargs="?", metavar="ID", help="the call")
    which.add_argument("--all", action="store_true", help="every dead letter")
    erase = commands.add_parser("forget", help="erase a person's calls: records, recordings, what Redis knows")
    erase.add_argument("--number", required=True, metavar="N", help="their number with its country code")
    return top.parse_args(arguments)


async def run(settings: JobsSettings, asked: argparse.Namespace) -> int:
    """The exit code."""
    try:
        if asked.command == "dead":
            return await _dead(settings)
        if asked.command == "replay":
            return await _replay(settings, asked.call_id)
        return await _forget(settings, asked.number)
    except BusUnavailable as error:
        _say(f"{error}; REDIS_URL names it", to=sys.stderr)
    except (BadCallId, ValueError, OSError) as error:
        _say(str(error), to=sys.stderr)
    return _DAMAGE


async def _dead(settings: JobsSettings) -> int:
    async with connect(settings.redis_url) as broker:
        letters = await deliveries.dead(broker)
    for letter in letters:
        delivery = letter.delivery
        line = [letter.call_id, _moment(letter.died_at), f"{delivery.tries} tries", delivery.reason]
        if not letter.is_dead:
            when = f"at {_moment(delivery.next_at)}" if delivery.next_at else "now"
            line.append(f"being tried again, next {when}")
        _say("  ".join(line))
    again = sum(1 for letter in letters if not letter.is_dead)
    said = f"{len(letters)} dead letters" + (f", {again} of them being tried again" if again else "")
    _say(said + ("; ai-jobs replay ID or --all sends them now" if letters else ""))
    return 0


async def _replay(settings: JobsSettings, call_id: str | None) -> int:
    if not settings.calls_webhook_url:
        raise ValueError("CALLS_WEBHOOK_URL is not set: nothing is delivered")
    async with _redis(settings) as (broker, queue):
        if call_id is None:
            _say(f"{len(await deliveries.replay_all(broker, queue))} records will be delivered again")
            return 0
        desk = Desk(broker, settings.calls_dir, settings.jobs_timeout_s, bucket=Bucket.of(settings))
        if await record_body(desk, call_id) is None:
            places = f"CALLS_DIR ({settings.calls_dir})" + (f" or {desk.bucket.url}" if desk.bucket else "")
            raise ValueError(f"there is no record of call {call_id} in {places}")
        asked = await deliveries.replay(queue, call_id)
        _say(
            f"the record of call {call_id} will be delivered again"
            + ("" if asked else ": that was asked already, so it is tried now")
        )
    return 0


async def _forget(settings: JobsSettings, number: str) -> int:
    erased, unreachable = Erased(), None
    async with connect(settings.redis_url) as broker:
        try:
            await forget(broker, settings.calls_dir, Bucket.of(settings), number, erased)
        except BucketUnavailable as error:
            unreachable = error
    _say(f"{len(erased.calls)} calls erased, {erased.messages} messages; searched: {', '.join(erased.searched)}")
    if erased.with_other_files:
        _say(f"files that are not a call's stay in the folders of: {', '.join(erased.with_other_files)}")
    if erased.running:
        _say(f"still running, so left: {', '.join(erased.running)}; ask again when they are over")
    if unreachable:
        _say(f"{unreachable}; not all is erased: ask again when it can be reached", to=sys.stderr)
    return _DAMAGE if erased.running or unreachable else 0


@asynccontextmanager
async def _redis(settings: JobsSettings) -> AsyncIterator[tuple[Broker, JobQueue]]:
    queue = JobQueue(settings.redis_url)
    try:
        async with connect(settings.redis_url) as broker:
            yield broker, queue
    finally:
        await queue.aclose()


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _say(line: str, *, to: TextIO | None = None) -> None:
    (to or sys.stdout).write(f"{line}\n")
