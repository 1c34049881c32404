"""The gateway's web application: its routes and their doors."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..endpoint.model_server import ModelServerError
from ..endpoint.openai_server import OpenAIServer
from .chat_route import ChatRoute
from .image_fetch import ImageFetcher
from .image_guard import ImageGuard
from .keys import ApiKeys
from .metrics import Metrics
from .problems import RequestError
from .settings import GatewayConfig


# Probes may come from many balancers; the model server is asked no more often than this.
_HEALTH_KEPT_S = 2.0
# Statuses by which a server or what stands before it says that it is not there yet.
_NOT_THERE = (502, 503, 504)


def build_app(
    upstream: OpenAIServer,
    settings: GatewayConfig,
    keys: ApiKeys | None = None,
    fetcher: ImageFetcher | None = None,
) -> Starlette:
    """Return the gateway. It keeps nothing between requests, so that many can stand side by side.

    Args:
        upstream: The server that answers; closed with the application.
        settings: How to serve.
        keys: Who may ask; None: everybody.
        fetcher: Fetches images; None: from the hosts of the settings.
    """
    keys = keys or ApiKeys()
    fetcher = fetcher or ImageFetcher(settings.image_hosts)
    metrics = Metrics()
    health = _Health(upstream)
    started = int(time.time())

    async def models(request: Request) -> Response:
        keys.check(request.headers.get("authorization"))
        model = {"id": settings.served_name, "object": "model", "created": started}
        return JSONResponse({"object": "list", "data": [{**model, "owned_by": "ecso"}]})

    async def show_metrics(request: Request) -> Response:
        keys.check(request.headers.get("authorization"))
        return Response(metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def ready(request: Request) -> Response:
        is_ready = await health.is_ready()
        status = "ok" if is_ready else "the model server does not answer"
        return JSONResponse({"status": status}, status_code=200 if is_ready else 503)

    async def alive(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await upstream.close()
        await fetcher.close()

    chat = ChatRoute(upstream, settings, keys, ImageGuard(settings.limits, fetcher), metrics)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/models", models),
            Route("/health", ready),
            Route("/health/live", alive),
            Route("/metrics", show_metrics),
        ],
        exception_handlers={HTTPException: _show_http, RequestError: _show},
        lifespan=lifespan,
    )


class _Health:
    """Whether the model server answers, asked anew every few seconds."""

    def __init__(self, upstream: OpenAIServer):
        self._upstream = upstream
        self._is_ready = False
        self._asked_at = float("-inf")

    async def is_ready(self) -> bool:
        if time.monotonic() - self._asked_at > _HEALTH_KEPT_S:
            try:
                await self._upstream.model_names()
                self._is_ready = True
            except ModelServerError as error:
                # A server without that route is there as well.
                self._is_ready = error.status is not None and error.status not in _NOT_THERE
            self._asked_at = time.monotonic()
        return self._is_ready


async def _show(request: Request, problem: RequestError) -> Response:
    return JSONResponse(problem.body(), status_code=problem.status, headers=problem.headers)


async def _show_http(request: Request, error: HTTPException) -> Response:
    said = {
        404: "there is no such route; this server has /v1/chat/completions and /v1/models",
        405: "this route does not take that method",
    }
    message = said.get(error.status_code, "the request cannot be answered")
    problem = RequestError(error.status_code, message, "no_such_route", headers=error.headers)
    return await _show(request, problem)
