"""An HTTP tool's request: the file's template, with arguments that fill its holes and can't move its walls. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import httpx

from ai_worker.agent_templates import fill_plain, names_in
from ai_worker.agent_tools import SECRET, HttpTool
from ai_worker.tools.results import Unfit

_LONGEST_IN_URL = 500
_LONGEST_HEADER = 1000
_PRINTABLE = re.compile(r"[ -~]*")
_PIECES = re.compile(r"[/\\]")
_MISSING: Final = object()


def is_sendable(secret: str) -> bool:
    """Whether a header can hold it."""
    return bool(secret) and len(secret) <= _LONGEST_HEADER and _PRINTABLE.fullmatch(secret) is not None


def build(
    tool: HttpTool, arguments: Mapping[str, Any], call: Mapping[str, str], *, secret: str, key: str
) -> httpx.Request:
    """The request. `call` are the call's own values, `key` names this one call of the tool to the server.

    Raises Unfit.
    """
    values: dict[str, Any] = {**arguments, **{name: value for name, value in call.items() if value}}
    url = _url(tool, values)
    headers = {
        "Accept": "application/json, text/*;q=0.8",
        # What a server sends is bounded in bytes; a compressed kilobyte may be a gigabyte.
        "Accept-Encoding": "identity",
        "User-Agent": "ai-worker",
        "Idempotency-Key": key,
        **_headers(tool, values, secret),
    }
    content = None
    if tool.method not in ("GET", "DELETE"):
        in_url = names_in(tool.url)
        body = (
            {name: value for name, value in arguments.items() if name not in in_url}
            if tool.body is None
            else _filled(tool.body, values)
        )
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers["Content-Type"] = "application/json"
    timeout = httpx.Timeout(tool.timeout_s).as_dict()
    return httpx.Request(tool.method, url, headers=headers, content=content, extensions={"timeout": timeout})


def _url(tool: HttpTool, values: Mapping[str, Any]) -> httpx.URL:
    parts = urlsplit(tool.url)
    path = "/".join(_segment(segment, values) for segment in parts.path.split("/")) or "/"
    pairs: list[str] = []
    for written in parts.query.split("&") if parts.query else ():
        name = next(iter(names_in(written)), "")
        if not name:
            pairs.append(written)
        elif name in values:
            pairs += _pairs(written.partition("=")[0], name, values[name])
    if tool.method in ("GET", "DELETE"):
        used = names_in(tool.url) + tuple(name for value in tool.headers.values() for name in names_in(value))
        for name in tool.arguments:
            if name in values and name not in used:
                pairs += _pairs(name, name, values[name])
    target = f"{path}?{'&'.join(pairs)}" if pairs else path
    url = httpx.URL(f"{parts.scheme}://{parts.netloc}{target}")
    # What was said above, once more, as the client reads it.
    if (url.scheme, url.netloc) != (parts.scheme, httpx.URL(tool.url.split("{")[0]).netloc) or url.fragment:
        raise Unfit("the arguments would lead to another server")
    if unquote(url.raw_path.decode()) != unquote(target):
        raise Unfit("the arguments would lead to another place on the server")
    return url


def _segment(template: str, values: Mapping[str, Any]) -> str:
    names = names_in(template)
    if not names:
        return template
    for name in names:
        text = _text_in_url(name, values.get(name, ""))
        if not text.strip():
            raise Unfit(f"{name} is empty or not known, and it is needed")
        # Some servers take %2F apart, and some fold wide characters: `../admin` must not be in it for them either.
        folded = unicodedata.normalize("NFKC", text)
        if any(piece.strip() in (".", "..") for piece in _PIECES.split(folded)):
            raise Unfit(f"{name} is no path: . and .. can't be in it")
    return fill_plain(template, lambda name: quote(_text(values[name]), safe=""))


def _pairs(key: str, name: str, value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [f"{quote(key, safe='%')}={quote(_text_in_url(name, item), safe='')}" for item in items]


def _text_in_url(name: str, value: Any) -> str:
    text = _text(value)
    if len(text) > _LONGEST_IN_URL:
        raise Unfit(f"{name} is longer than {_LONGEST_IN_URL} characters")
    if any(unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") for char in text):
        raise Unfit(f"{name} contains control characters")
    return text


def _headers(tool: HttpTool, values: Mapping[str, Any], secret: str) -> dict[str, str]:
    filled: dict[str, str] = {}
    for header, template in tool.headers.items():
        text = fill_plain(template, lambda name: secret if name == SECRET else _text(values.get(name, "")))
        if not _PRINTABLE.fullmatch(text) or len(text) > _LONGEST_HEADER:
            raise Unfit(f"{' and '.join(names_in(template))}: only plain letters, digits and signs can be sent here")
        if text.strip():
            filled[header] = text.strip()
    if secret and not tool.shows_secret:
        filled["Authorization"] = f"Bearer {secret}"
    return filled


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    """A body's template with its values: a text that is one placeholder becomes the value itself, of whatever type."""
    if isinstance(template, dict):
        inner = {key: _filled(value, values) for key, value in template.items()}
        return {key: value for key, value in inner.items() if value is not _MISSING}
    if isinstance(template, list):
        return [value for value in (_filled(item, values) for item in template) if value is not _MISSING]
    if not isinstance(template, str):
        return template
    names = names_in(template)
    if len(names) == 1 and re.fullmatch(r"\{\w+\}", template):
        return values.get(names[0], _MISSING)
    return fill_plain(template, lambda name: _text(values.get(name, "")))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
