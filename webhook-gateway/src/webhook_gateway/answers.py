"""The gateway's errors as HTTP answers: what was wrong, and what to do about it, as JSON."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from callbus.errors import BucketUnavailable, BusUnavailable

RETRY_AFTER_S = 5

log = structlog.get_logger(__name__)


class Refusal(Exception):
    """A request that ends with an error. `outcome` is its name in the metrics."""

    def __init__(self, status: int, outcome: str, error: str, hint: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(error)
        self.status, self.outcome, self.error, self.hint, self.headers = status, outcome, error, hint, headers

    def response(self) -> JSONResponse:
        return JSONResponse({"error": self.error, "hint": self.hint}, self.status, self.headers)


def unavailable(error: BusUnavailable) -> Refusal:
    """Redis is away: whoever asked may come again."""
    log.error("redis is away", reason=str(error))
    return Refusal(
        503,
        "unavailable",
        "Redis is away",
        "try again soon; if this stays, check REDIS_URL and that Redis runs",
        {"Retry-After": str(RETRY_AFTER_S)},
    )


def install(app: FastAPI) -> None:
    """Give every error of the application the same form."""

    @app.exception_handler(Refusal)
    async def _refused(_request: Request, refusal: Refusal) -> JSONResponse:
        return refusal.response()

    @app.exception_handler(BusUnavailable)
    async def _unavailable(_request: Request, error: BusUnavailable) -> JSONResponse:
        return unavailable(error).response()

    @app.exception_handler(BucketUnavailable)
    async def _no_bucket(_request: Request, error: BucketUnavailable) -> JSONResponse:
        log.warning("the bucket can't be used", reason=str(error))
        hint = "try again soon; if this stays, check CALLS_BUCKET, CALLS_BUCKET_ENDPOINT and the AWS_ settings"
        return Refusal(503, "unavailable", str(error), hint, {"Retry-After": str(RETRY_AFTER_S)}).response()

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        problems = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
        return Refusal(400, "bad_request", "; ".join(problems), "see /openapi.json for what is expected").response()

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        return Refusal(error.status_code, "http", str(error.detail), "see /openapi.json for what there is").response()

    @app.exception_handler(Exception)
    async def _failed(_request: Request, _error: Exception) -> JSONResponse:
        # Starlette raises the error again once this is sent, so the server logs it.
        return Refusal(
            500, "error", HTTPStatus.INTERNAL_SERVER_ERROR.phrase, "the gateway's log has the details; try again"
        ).response()
