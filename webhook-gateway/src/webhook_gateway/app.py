"""The gateway's HTTP surface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from callbus import keys
from callbus.broker import Broker
from callbus.errors import BadCallId
from webhook_gateway import answers, calls_view, console
from webhook_gateway.answers import Refusal
from webhook_gateway.intake import Intake
from webhook_gateway.metrics import Metrics
from webhook_gateway.settings import ENDPOINT, GatewaySettings
from webhook_gateway.signatures import same_secret
from webhook_gateway.status import StatusBoard
from webhook_gateway.webhook_log import WebhookLog

if TYPE_CHECKING:
    from callbus.otlp import Tracer

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`duplicate`: published before; `stale`: older than 23 hours, and not published; `checked`: "
        'asked by `{"check": "signature"}`, the signature holds'
    },
    202: {"description": "Published"},
    400: {"description": "Can't be read; `error` says why"},
    401: {"description": "The signature is missing or wrong"},
    413: {"description": "Larger than 64 KiB"},
    415: {"description": "Not JSON"},
    503: {"description": "Redis is away; try again after `Retry-After` seconds"},
}


def create_app(settings: GatewaySettings, broker: Broker, *, gateway_id: str, tracer: Tracer | None = None) -> FastAPI:
    """The application. It owns nothing: `broker` is opened and closed by the caller, who runs `app.state.live` and
    `app.state.webhooks`."""
    app = FastAPI(
        title="webhook-gateway",
        description="Receives Ringover's signed webhooks, publishes call lifecycle events, shows the state of it all.",
        # These pages load scripts of a third party, which would run where the console's session is.
        docs_url=None,
        redoc_url=None,
    )
    answers.install(app)
    metrics = Metrics()
    webhooks = app.state.webhooks = WebhookLog(broker)
    intake = Intake(settings, broker, metrics, webhooks, tracer)
    board = StatusBoard(settings, broker, gateway_id)
    console.install(app, settings, broker, board, webhooks)

    @app.post(ENDPOINT, status_code=202, responses=_ANSWERS, tags=["webhooks"])
    async def webhook(request: Request) -> Response:
        """One event of Ringover's, in either form, signed in any of the three schemes."""
        return await intake.answer(request, None)

    @app.post(ENDPOINT + "/{path_secret}", status_code=202, responses=_ANSWERS, tags=["webhooks"])
    async def webhook_by_path(request: Request, path_secret: str) -> Response:
        """The same, and `ivr_response_code` events, which Ringover doesn't sign."""
        return await intake.answer(request, path_secret)

    @app.get("/health", tags=["operation"])
    async def health() -> dict[str, str]:
        """The process is alive."""
        return {"status": "alive"}

    @app.get("/ready", tags=["operation"], responses={503: _ANSWERS[503]})
    async def ready() -> dict[str, str]:
        """Redis is reachable: webhooks can be taken."""
        await broker.ping()
        return {"status": "ready"}

    @app.get("/metrics", tags=["operation"], response_class=Response)
    async def metrics_page() -> Response:
        """Prometheus' text format."""
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/api/v1/status", tags=["status"])
    async def status() -> JSONResponse:
        """Streamers, workers, active calls, providers, Redis. Redis being away is an answer, not an error."""
        return JSONResponse(await board.show())

    admin = Depends(_admin(settings))

    @app.get("/api/v1/calls", tags=["calls"], dependencies=[admin])
    async def list_calls(
        limit: Annotated[int, Query(ge=1, le=500)] = 50, state: calls_view.StateFilter | None = None
    ) -> JSONResponse:
        """The newest calls."""
        return JSONResponse({"calls": await calls_view.listing(broker, limit=limit, state=state)})

    @app.get("/api/v1/calls/{call_id}", tags=["calls"], dependencies=[admin])
    async def show_call(
        call_id: str, after: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}-[0-9]{1,18}$")] = None
    ) -> JSONResponse:
        """One call and its transcript; with `after`, the id of an entry, only what came after that one."""
        try:
            call = await calls_view.detail(broker, keys.clean_call_id(call_id), after=after)
        except BadCallId as error:
            raise Refusal(400, "bad_request", str(error), "GET /api/v1/calls lists the calls") from error
        if call is None:
            raise Refusal(
                404, "not_found", "there is no such call", "GET /api/v1/calls lists them; one is kept for 24 hours"
            )
        return JSONResponse(call)

    return app


def _admin(settings: GatewaySettings) -> Any:
    token = settings.admin_token.get_secret_value() if settings.admin_token else None

    def check(authorization: Annotated[str, Header()] = "") -> None:
        if token is None:
            raise Refusal(403, "forbidden", "this is closed", "set ADMIN_TOKEN to open it")
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer" or not same_secret(given.strip(), token):
            raise Refusal(
                401,
                "unauthorized",
                "the admin token is missing or wrong",
                "send Authorization: Bearer <ADMIN_TOKEN>",
                {"WWW-Authenticate": "Bearer"},
            )

    return check
