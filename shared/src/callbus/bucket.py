"""The bucket of the calls' files, S3 or what speaks like it: `<prefix>/<call id>/call.json` and `call.wav`.

Needs the package `obstore`, which only the services that use a bucket have.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, Self

from obstore.exceptions import BaseError
from obstore.store import S3Store

from callbus import keys
from callbus.bucket_settings import BucketSettings
from callbus.errors import BadCallId, BucketUnavailable

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import S3Config

RECORD, RECORDING = "call.json", "call.wav"
CONTENT_TYPES = {RECORD: "application/json", RECORDING: "audio/wav"}

_CONNECT_S = 5
_TRIES_AGAIN = 2
_PARTS_AT_ONCE = 2
"""Pieces of a large file that are on their way at a time, 5 MiB each."""
_DIGEST = "sha256"
_PAGE = 1000
_NO_BUCKET = "NoSuchBucket"
_CODE = re.compile(r"<Code>(\w+)</Code>")


@dataclass(frozen=True, slots=True)
class Stored:
    """What the bucket says of a file: `version` changes with its content, `modified` is epoch s, `size` bytes."""

    version: str
    modified: float
    size: int


class Bucket:
    """Every method raises BucketUnavailable. One request takes `timeout_s` at most, and is tried three times."""

    def __init__(self, settings: BucketSettings, url: str, *, timeout_s: float = 30.0) -> None:
        name, _, prefix = url.removeprefix("s3://").partition("/")
        config: S3Config = {"disable_bulk_delete": True}  # not every S3-compatible server has it
        if settings.calls_bucket_endpoint:
            config["endpoint"] = settings.calls_bucket_endpoint
        if settings.aws_access_key_id and settings.aws_secret_access_key:
            config["access_key_id"] = settings.aws_access_key_id.get_secret_value()
            config["secret_access_key"] = settings.aws_secret_access_key.get_secret_value()
        if settings.aws_region:
            config["region"] = settings.aws_region
        self._store = S3Store(
            name,
            prefix=prefix.strip("/") or None,
            config=config,
            client_options={
                "allow_http": True,  # for a server on the same machine; Amazon's addresses are https
                "connect_timeout": timedelta(seconds=min(_CONNECT_S, timeout_s)),
                "timeout": timedelta(seconds=timeout_s),
            },
            retry_config={
                "max_retries": _TRIES_AGAIN,
                "retry_timeout": timedelta(seconds=timeout_s),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=2),
                    "base": 2,
                },
            },
        )
        self.url = url
        self._failed_at = float("-inf")

    @classmethod
    def of(cls, settings: BucketSettings, *, timeout_s: float = 30.0) -> Self | None:
        """The configured bucket; None when there is none."""
        return cls(settings, settings.calls_bucket, timeout_s=timeout_s) if settings.calls_bucket else None

    def failed_within(self, seconds: float) -> bool:
        """Whether the bucket could not be reached so lately."""
        return time.monotonic() - self._failed_at < seconds

    async def get(self, call_id: str, name: str, *, most_bytes: int | None = None) -> bytes | None:
        """A whole file; None when there is none, or it is larger than `most_bytes`."""
        with suppress(_NotThere), self._errors():
            got = await self._store.get_async(_path(call_id, name))
            if most_bytes is None or got.meta["size"] <= most_bytes:
                return bytes(await got.bytes_async())
        return None

    async def piece(
        self, call_id: str, name: str, start: int, end: int, *, version: str | None = None
    ) -> tuple[bytes, Stored] | None:
        """The bytes from `start` up to `end` (or the file's end), and what the file is; None when there is none.

        Of a file that is not `version` any more, it raises.
        """
        with suppress(_NotThere), self._errors():
            got = await self._store.get_async(_path(call_id, name), options={"range": (start, end)})
            stored = _stored(got.meta)
            if version is not None and stored.version != version:
                raise BucketUnavailable(f"{name} has changed while it was read")
            return bytes(await got.bytes_async()), stored
        return None

    async def digest(self, call_id: str, name: str) -> str | None:
        """The SHA-256 (hex) that `put` left with a file; None when there is no such file (or none of `put`'s)."""
        with suppress(_NotThere), self._errors():
            got = await self._store.get_async(_path(call_id, name), options={"head": True})
            return got.attributes.get(_DIGEST)
        return None

    async def put(self, call_id: str, name: str, file: BinaryIO, *, digest: str) -> None:
        """Store a file, whole or not at all, in the place of an earlier one. `digest` is its SHA-256, in hex."""
        with self._errors():
            attributes = {"Content-Type": CONTENT_TYPES[name], _DIGEST: digest}
            await self._store.put_async(
                _path(call_id, name), file, attributes=attributes, max_concurrency=_PARTS_AT_ONCE
            )

    async def delete(self, call_id: str) -> None:
        """Delete a call's files, the record last: while it is there, the call can be found."""
        for name in (RECORDING, RECORD):
            with suppress(_NotThere), self._errors():
                await self._store.delete_async(_path(call_id, name))

    async def listing(self) -> dict[str, dict[str, Stored]]:
        """What is there of each call, by call id and name; one request for each 500 calls."""
        found: dict[str, dict[str, Stored]] = {}
        with self._errors():
            async for page in self._store.list(chunk_size=_PAGE):
                for meta in page:
                    call_id, _, name = meta["path"].partition("/")
                    if name in CONTENT_TYPES and _is_clean(call_id):
                        found.setdefault(call_id, {})[name] = _stored(meta)
        return found

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if _NO_BUCKET not in str(error):
                raise _NotThere from error
            raise self._unavailable(_NO_BUCKET) from error
        except BaseError as error:
            raise self._unavailable(str(error)) from error

    def _unavailable(self, words: str) -> BucketUnavailable:
        self._failed_at = time.monotonic()
        code = _CODE.search(words)
        lines = words.splitlines() or [""]
        reason = code[1] if code else lines[0].rpartition(" - ")[2][:200]
        return BucketUnavailable(f"the bucket {self.url} can't be used: {reason}")


class _NotThere(FileNotFoundError):
    """There is no such file in the bucket."""


def _path(call_id: str, name: str) -> str:
    return f"{keys.clean_call_id(call_id)}/{name}"


def _is_clean(call_id: str) -> bool:
    try:
        return keys.clean_call_id(call_id) == call_id
    except BadCallId:
        return False


def _stored(meta: ObjectMeta) -> Stored:
    version = (meta["e_tag"] or f"{meta['last_modified'].timestamp()}-{meta['size']}").strip('"')
    return Stored(version, meta["last_modified"].timestamp(), meta["size"])
