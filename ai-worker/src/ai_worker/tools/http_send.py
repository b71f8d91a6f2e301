"""Sends an HTTP tool's request, once and within its time, and turns any answer into a bounded text."""

from __future__ import annotations

import asyncio
import json
import unicodedata
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import httpx

from ai_worker.agent_tools import HttpTool
from ai_worker.tools.results import Kind, ToolResult

LARGEST_ANSWER = 256 * 1024
"""Bytes of an answer that are read; the rest is not waited for."""
MOST_REDIRECTS = 3
_LONGEST_REASON = 500
_CUT = " … (the answer goes on)"


class _Failed(Exception):
    def __init__(self, kind: Kind, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.status = status


async def send(http: httpx.AsyncClient, tool: HttpTool, request: httpx.Request, *, secret: str) -> ToolResult:
    """The answer, or what went wrong. `secret` is cut out of whatever the server says."""
    # Of what timed out on its way, only a reading request is known to have changed nothing.
    unknown = "" if tool.method == "GET" else " Whether it was done is not known."
    try:
        async with asyncio.timeout(tool.timeout_s):
            status, text = await _exchange(http, tool, request, secret)
        return ToolResult(tool.name, "ok", text, status)
    except _Failed as error:
        return ToolResult(tool.name, error.kind, error.text, error.status)
    except (TimeoutError, httpx.TimeoutException):
        text = f"{tool.name} did not answer within {tool.timeout_s:g} s.{unknown}"
        return ToolResult(tool.name, "timed_out", text)
    except httpx.ConnectError:
        return ToolResult(tool.name, "unreachable", f"{tool.name} can't be reached. Nothing was done.")
    except (httpx.HTTPError, httpx.InvalidURL):
        return ToolResult(tool.name, "unreachable", f"The connection to {tool.name} broke.{unknown}")


async def _exchange(http: httpx.AsyncClient, tool: HttpTool, request: httpx.Request, secret: str) -> tuple[int, str]:
    for _ in range(MOST_REDIRECTS + 1):
        response = await http.send(request, stream=True, auth=None, follow_redirects=False)
        try:
            if not response.has_redirect_location:
                return response.status_code, await _read(tool, response, secret)
        finally:
            await response.aclose()
        request = _redirected(tool, request, response)
    raise _Failed("redirected", f"{tool.name} sends every request elsewhere.", response.status_code)


def _redirected(tool: HttpTool, request: httpx.Request, response: httpx.Response) -> httpx.Request:
    target = request.url.join(response.headers["location"])
    same = (target.scheme, target.netloc) == (request.url.scheme, request.url.netloc) and not target.userinfo
    if not same or tool.method != "GET":
        raise _Failed("redirected", f"{tool.name} answered that it has moved. Nothing is known.", response.status_code)
    return httpx.Request("GET", target, headers=request.headers, extensions=dict(request.extensions))


async def _read(tool: HttpTool, response: httpx.Response, secret: str) -> str:
    status = response.status_code
    if status >= 500:
        raise _Failed("failed", f"{tool.name} failed on its side (status {status}).", status)
    kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
    textual = not kind or kind.startswith("text/") or kind.endswith(("json", "xml", "x-www-form-urlencoded"))
    if response.headers.get("content-encoding", "identity").lower() != "identity" or not textual:
        if response.is_success:
            raise _Failed("unreadable", f"{tool.name} answered with something that is no text.", status)
        raise _Failed("refused", f"{tool.name} refused the request (status {status}).", status)
    body = bytearray()
    # Declared an iterator, it is a generator: left before its end, it is closed here and not whenever.
    async with aclosing(cast(AsyncGenerator[bytes, None], response.aiter_raw())) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > LARGEST_ANSWER:
                break
    text = _text(bytes(body), response.charset_encoding)
    if len(secret) > 3:
        text = text.replace(secret, "[secret]")
    if not response.is_success:
        said = f" It said: {_bounded(text, _LONGEST_REASON)}" if text else ""
        raise _Failed("refused", f"{tool.name} refused the request (status {status}).{said}", status)
    return _bounded(text, tool.result_limit) or "Done; there is nothing to tell."


def _text(body: bytes, charset: str | None) -> str:
    try:
        text = body[:LARGEST_ANSWER].decode(charset or "utf-8", "replace")
    except LookupError:
        text = body[:LARGEST_ANSWER].decode("utf-8", "replace")
    try:
        # Spaces cost the model as much as words do.
        text = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        text = " ".join("".join(char for char in text if char.isspace() or not _is_control(char)).split())
    return "".join(char for char in text if not _is_control(char))


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs")


def _bounded(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - len(_CUT)] + _CUT
