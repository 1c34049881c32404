"""Everything a route of the gateway works with, in one object."""

from dataclasses import dataclass, field

from ..endpoint.openai_server import OpenAIServer
from .config import GatewayConfig
from .health import Health
from .images import ImageGuard
from .keys import ApiKeys
from .limits import BodyReader, ConcurrencyLimit
from .metrics import Metrics


@dataclass(frozen=True)
class GatewayContext:
    """What all requests to one gateway share; none of it is about a single request.

    Args:
        server: The model server that answers.
        config: How to serve.
        keys: Who may ask.
        images: Checks images.
        health: Whether the model server answers.
        bodies: Reads the bodies of requests.
        running: The requests that may be in work.
        metrics: Counts what happens.
    """

    server: OpenAIServer
    config: GatewayConfig
    keys: ApiKeys
    images: ImageGuard
    health: Health
    bodies: BodyReader
    running: ConcurrencyLimit
    metrics: Metrics = field(default_factory=Metrics)
