"""The gateway's web application: its table of routes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..endpoint.openai_server import OpenAIServer
from .answer_route import CHAT, RESPONSES, AnswerRoute
from .config import GatewayConfig
from .context import GatewayContext
from .errors import RequestError, as_request_error
from .health import Health
from .image_fetch import ImageFetcher
from .images import ImageGuard
from .keys import ApiKeys
from .limits import BodyReader, ConcurrencyLimit
from .routes import (
    list_models,
    show_alive,
    show_metrics,
    show_model,
    show_openapi,
    show_ready,
)


# What is asked with a body and answered by the model, each in the words of an API.
ANSWER_ROUTES = {"/v1/chat/completions": CHAT, "/v1/responses": RESPONSES}
# Everything that can be read.
ROUTES: dict[str, Callable[[GatewayContext, Request], Awaitable[Response]]] = {
    "/v1/models": list_models,
    "/v1/models/{name:path}": show_model,
    "/health": show_ready,
    "/health/live": show_alive,
    "/metrics": show_metrics,
    "/openapi.json": show_openapi,
}


def build_app(
    server: OpenAIServer,
    config: GatewayConfig,
    keys: ApiKeys | None = None,
    fetcher: ImageFetcher | None = None,
) -> Starlette:
    """Return the gateway. It keeps nothing between requests, so that many can stand side by side.

    Args:
        server: The model server that answers; closed with the application.
        config: How to serve.
        keys: Who may ask; None: everybody.
        fetcher: Fetches images; None: from the hosts of the config.
    """
    fetcher = fetcher or ImageFetcher(config.image_hosts)
    context = GatewayContext(
        server=server,
        config=config,
        keys=keys or ApiKeys(),
        images=ImageGuard(config.limits, fetcher),
        health=Health(server),
        bodies=BodyReader(config.limits),
        running=ConcurrencyLimit(config.limits.concurrent_requests),
    )

    context.metrics.observing.set(config.observes)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        first_look = asyncio.create_task(context.health.problem())
        yield
        first_look.cancel()
        await server.close()
        await fetcher.close()

    from_pages = Middleware(
        CORSMiddleware,
        allow_origins=config.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
    )
    return Starlette(
        middleware=[from_pages] if config.cors_origins else [],
        routes=[
            *(
                Route(path, AnswerRoute(context, api), methods=["POST"])
                for path, api in ANSWER_ROUTES.items()
            ),
            *(Route(path, partial(answer, context)) for path, answer in ROUTES.items()),
        ],
        exception_handlers={HTTPException: _show_http, RequestError: _show, Exception: _show},
        lifespan=lifespan,
    )


async def _show(request: Request, error: Exception) -> Response:
    told = as_request_error(error)
    return JSONResponse(told.body(), status_code=told.status, headers=told.headers)


async def _show_http(request: Request, error: Exception) -> Response:
    if getattr(error, "status_code", None) == 405:
        return await _show(
            request, RequestError("method_not_allowed", "this route does not take that method")
        )
    message = (
        "there is no such route; this server has /v1/chat/completions, /v1/responses and /v1/models"
    )
    return await _show(request, RequestError("no_such_route", message))
