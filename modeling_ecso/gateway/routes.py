"""The small routes; chat completions have a module of their own, `chat_route`.

A route is a function of the gateway's context and a request. It raises `RequestError` where there
is no answer. To add one, write it here and list it in `app.ROUTES`.
"""

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .context import GatewayContext


_STARTED = int(time.time())


async def list_models(context: GatewayContext, request: Request) -> Response:
    """`GET /v1/models`: the one model there is."""
    context.keys.check(request.headers.get("authorization"))
    return JSONResponse({"object": "list", "data": [_model(context)]})


async def show_metrics(context: GatewayContext, request: Request) -> Response:
    """`GET /metrics`: all counters, for Prometheus."""
    context.keys.check(request.headers.get("authorization"))
    page = context.metrics.page()
    return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")


async def show_ready(context: GatewayContext, request: Request) -> Response:
    """`GET /health`: whether the model server answers."""
    if await context.health.is_ready():
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "the model server does not answer"}, status_code=503)


async def show_alive(context: GatewayContext, request: Request) -> Response:
    """`GET /health/live`: whether the gateway runs."""
    return JSONResponse({"status": "ok"})


def _model(context: GatewayContext) -> dict[str, str | int]:
    name = context.config.served_name
    return {"id": name, "object": "model", "created": _STARTED, "owned_by": "ecso"}
