"""Who may use the console: the admin token in a header, or a cookie that was given for it."""

from __future__ import annotations

import hashlib
import hmac
import time

from fastapi import Request, Response

from webhook_gateway.answers import Refusal
from webhook_gateway.settings import GatewaySettings
from webhook_gateway.signatures import same_secret

COOKIE = "console"
PATH = "/console"
SESSION_S = 12 * 3600
OWN_HEADER = "X-Console"
_SAFE = frozenset({"GET", "HEAD"})


class Access:
    """A session is its own proof: its end (epoch s) and an HMAC of that with the admin token, so that every gateway
    with the same token knows it, and a new token ends them all."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._token = settings.admin_token.get_secret_value() if settings.admin_token else None

    def check(self, request: Request) -> None:
        """Raises Refusal, unless the token or a session's cookie is there.

        A cookie is sent by whatever page makes the browser ask; one of our own pages also sends OWN_HEADER.
        """
        if "authorization" in request.headers:
            self.check_token(request)
            return
        if not self._is_session(request.cookies.get(COOKIE, ""), self._required()):
            raise _unauthorized("there is no session, or it has ended")
        if request.method not in _SAFE and request.headers.get(OWN_HEADER) != "1":
            raise Refusal(
                403, "forbidden", f"{request.method} needs more than the cookie", f"send the header {OWN_HEADER}: 1"
            )

    def check_token(self, request: Request) -> None:
        """Raises Refusal, unless the admin token is there."""
        token = self._required()
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not same_secret(given.strip(), token):
            raise _unauthorized("the admin token is missing or wrong")

    def begin(self, request: Request, response: Response) -> None:
        """Give the browser a session."""
        ends = str(int(time.time()) + SESSION_S)
        response.set_cookie(
            COOKIE,
            f"{ends}.{_proof(self._required(), ends)}",
            max_age=SESSION_S,
            path=PATH,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )

    def end(self, response: Response) -> None:
        response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")

    def _required(self) -> str:
        if self._token is None:
            raise Refusal(403, "forbidden", "the console is closed", "set ADMIN_TOKEN to open it")
        return self._token

    def _is_session(self, cookie: str, token: str) -> bool:
        ends, _, proof = cookie.partition(".")
        genuine = same_secret(proof, _proof(token, ends))
        return genuine and ends.isascii() and ends.isdigit() and int(ends) > time.time()


def _proof(token: str, ends: str) -> str:
    return hmac.new(token.encode(), f"console session until {ends}".encode(), hashlib.sha256).hexdigest()


def _unauthorized(error: str) -> Refusal:
    return Refusal(
        401,
        "unauthorized",
        error,
        "send Authorization: Bearer <ADMIN_TOKEN>; POST /console/api/session gives a cookie for it",
        {"WWW-Authenticate": "Bearer"},
    )
