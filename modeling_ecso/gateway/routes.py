"""The small routes; those that answer have a module of their own, `answer_route`.

A route is a function of the gateway's context and a request. It raises `RequestError` where there
is no answer. To add one, write it here and list it in `app.ROUTES`.
"""

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..endpoint.reason import Reason
from .context import GatewayContext
from .errors import RequestError, status_of
from .openapi import openapi_document


_STARTED = int(time.time())


async def list_models(context: GatewayContext, request: Request) -> Response:
    """`GET /v1/models`: the one model there is."""
    context.keys.check(request.headers.get("authorization"))
    return JSONResponse({"object": "list", "data": [_model(context)]})


async def show_model(context: GatewayContext, request: Request) -> Response:
    """`GET /v1/models/NAME`: the same, where that is its name."""
    context.keys.check(request.headers.get("authorization"))
    if request.path_params["name"] != context.config.served_name:
        served = repr(context.config.served_name)
        raise RequestError("model_not_found", f"this server has {served}", "model")
    return JSONResponse(_model(context))


async def show_metrics(context: GatewayContext, request: Request) -> Response:
    """`GET /metrics`: all counters, for Prometheus."""
    context.keys.check(request.headers.get("authorization"))
    page = context.metrics.page()
    return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")


async def show_ready(context: GatewayContext, request: Request) -> Response:
    """`GET /health`: whether the model server can answer."""
    problem = await context.health.problem()
    if problem is None:
        return JSONResponse({"status": "ok"})
    body = {"status": problem, "ecso": {"reason": Reason.MODEL_SERVER.value}}
    return JSONResponse(body, status_code=status_of("model_server_not_ready"))


async def show_alive(context: GatewayContext, request: Request) -> Response:
    """`GET /health/live`: whether the gateway runs."""
    return JSONResponse({"status": "ok"})


async def show_openapi(context: GatewayContext, request: Request) -> Response:
    """`GET /openapi.json`: what all routes take and give."""
    context.keys.check(request.headers.get("authorization"))
    return JSONResponse(openapi_document())


def _model(context: GatewayContext) -> dict[str, str | int]:
    name = context.config.served_name
    return {"id": name, "object": "model", "created": _STARTED, "owned_by": "ecso"}
