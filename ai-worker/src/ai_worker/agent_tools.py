"""Tools that an agent's file allows its language model: built-in ones by name, HTTP requests in full."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator

from ai_worker import agent_templates
from ai_worker.agent_fields import Misplaced, Name, Text
from ai_worker.agent_schema import check_schema
from ai_worker.agent_templates import CALL_FIELDS, Spoken, names_in

BuiltIn = Literal["transfer", "press_digits", "play_audio", "hang_up", "take_message"]
BUILT_INS: Final[tuple[str, ...]] = get_args(BuiltIn)
SECRET: Final = "secret"

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONNECTION_HEADERS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade", "te", "trailer"}
    | {"accept-encoding", "idempotency-key", "expect"}
)
_URL_TEXT = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%{}]+")

PlayHost = Annotated[
    str, StringConstraints(to_lower=True, max_length=253, pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$")
]
"""A host whose files may be played, without a scheme or a port."""


class HttpTool(BaseModel):
    """A request to one host. Its arguments are the model's, and so the caller's: they fill holes, and move nothing.

    `{name}` in `url` (path and query), `headers` and `body` is an argument, or a field of the call. Arguments that the
    URL does not name go into the query (GET, DELETE) or, unless there is a `body`, into a JSON body.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    description: Text
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    headers: dict[str, str] = Field(default_factory=dict)
    body: dict[str, Any] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 5.0
    secret_env: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")] | None = None
    filler: Spoken | None = None
    result_limit: Annotated[int, Field(ge=100, le=20_000)] = 2000

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.name in BUILT_INS:
            raise Misplaced(("name",), f"{self.name!r} is a built-in tool; give this one another name")
        check_schema(self.parameters, ("parameters",))
        for name in self.arguments:
            if name in (*CALL_FIELDS, SECRET):
                raise Misplaced(("parameters", "properties", name), f"{name!r} is a name of ours; use another one")
        self._check_url()
        self._check_headers()
        if self.body is not None:
            if self.method in ("GET", "DELETE"):
                raise Misplaced(("body",), f"a {self.method} request has no body")
            self._check_body(self.body, ("body",))
        return self

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return tuple(self.parameters.get("properties", {}))

    @property
    def names(self) -> tuple[str, ...]:
        """What may stand in braces, but for the secret."""
        return (*self.arguments, *CALL_FIELDS)

    @property
    def shows_secret(self) -> bool:
        """Whether a header says where the secret goes; else it goes into `Authorization: Bearer …`."""
        return any(SECRET in names_in(value) for value in self.headers.values())

    def _check_url(self) -> None:
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname or "", parts.port
        except ValueError as error:
            raise Misplaced(("url",), f"not a URL: {error}") from error
        if parts.scheme not in ("https", "http") or not host or not _URL_TEXT.fullmatch(self.url):
            raise Misplaced(("url",), "expected https://host/path, with other characters as %XX")
        if "{" in parts.netloc or "}" in parts.netloc or "@" in parts.netloc:
            raise Misplaced(("url",), "the host is fixed: no placeholder, user or password in it")
        if parts.scheme == "http" and host not in _LOCAL_HOSTS:
            raise Misplaced(("url",), "only this machine (localhost) may be asked over http; use https")
        if parts.fragment or "#" in self.url:
            raise Misplaced(("url",), "a fragment (#) is never sent")
        if any(segment in (".", "..") for segment in parts.path.split("/")):
            raise Misplaced(("url",), "a path that leads back (. or ..) is confusing; write where it ends")
        if "{{" in self.url or "}}" in self.url:
            raise Misplaced(("url",), "a brace that is meant is written %7B or %7D")
        _check_template(self.url, self.names, ("url",))
        required = self.parameters.get("required", ())
        for name in names_in(parts.path):
            if name in self.arguments and name not in required:
                raise Misplaced(("url",), f"{{{name}}} is a part of the path, so it must be in `required`")
            if name in self.arguments and self.parameters["properties"][name]["type"] in ("object", "array"):
                raise Misplaced(("url",), f"{{{name}}} is a part of the path, so it can't be an object or an array")
        for pair in parts.query.split("&") if parts.query else ():
            key, _, value = pair.partition("=")
            if "{" in key or not (re.fullmatch(r"\{\w+\}", value) or "{" not in value):
                raise Misplaced(("url",), f"{pair!r}: in a query, a placeholder is a whole value: key={{name}}")

    def _check_headers(self) -> None:
        for header, value in self.headers.items():
            if not _HEADER.fullmatch(header) or header.lower() in _CONNECTION_HEADERS:
                raise Misplaced(("headers", header), "is no header that a tool may set")
            if not value.isascii() or not value.isprintable():
                raise Misplaced(("headers", header), "expected printable ASCII")
            _check_template(value, (*self.names, SECRET), ("headers", header))
            if SECRET in names_in(value) and self.secret_env is None:
                raise Misplaced(("headers", header), "{secret} needs `secret_env`, the name of its variable")

        own = {header.lower() for header in self.headers}
        if self.secret_env and "authorization" in own and not self.shows_secret:
            raise Misplaced(("secret_env",), "is not used: say where, with {secret} in a header")

    def _check_body(self, value: object, loc: tuple[str | int, ...]) -> None:
        if isinstance(value, str):
            _check_template(value, self.names, loc)
        elif isinstance(value, dict):
            for key, inner in value.items():
                self._check_body(inner, (*loc, key))
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self._check_body(inner, (*loc, index))


def _check_template(text: str, known: tuple[str, ...], loc: tuple[str | int, ...]) -> None:
    try:
        agent_templates.check(text, known)
    except Misplaced as error:
        raise Misplaced(loc, str(error), within=error.within) from error


def _kind(written: object) -> str:
    return "<built-in>" if isinstance(written, str) else "<http>"


Tool = Annotated[
    Annotated[BuiltIn, Tag("<built-in>")] | Annotated[HttpTool, Tag("<http>")],
    Discriminator(_kind),
]
