"""What a gateway is told when it starts: the model, the protocol, and the limits of requests."""

from dataclasses import dataclass, field

from ..endpoint.step_calls import StepFields
from ..settings_ecso import ECSOConfig


MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and how many may run.

    Args:
        body_bytes: Size of a request's body.
        text_chars: Characters of all texts of a conversation.
        tokens: The most tokens that a request may want of an answer. A request that says none gets
            what the model server gives.
        image_bytes: Size of one image, decoded from base64.
        image_pixels: Width times height of one image.
        images: Images in one conversation.
        choices: Answers to one conversation.
        windows: Windows of an answer that are judged; a longer answer is refused.
        parallel_calls: Calls to the model server at a time, for one request.
        concurrent_requests: Requests that may be in work; further ones are told to come back.
        arriving_bytes: Size of all bodies that are not there yet, together; where they are more,
            the one that has been arriving longest is given up.
        body_timeout_s: Time for a body to arrive, in seconds.
        body_idle_s: Time without a byte of it, in seconds.
    """

    body_bytes: int = 20 * MEGABYTE
    text_chars: int = 200_000
    tokens: int = 16_384
    image_bytes: int = 10 * MEGABYTE
    image_pixels: int = 50_000_000
    images: int = 8
    choices: int = 8
    windows: int = 128
    parallel_calls: int = 8
    concurrent_requests: int = 128
    arriving_bytes: int = 256 * MEGABYTE
    body_timeout_s: float = 30.0
    body_idle_s: float = 5.0


@dataclass(frozen=True)
class GatewayConfig:
    """How a gateway serves.

    Args:
        served_name: The model's name towards clients.
        ecso: Prompts and policies of the protocol.
        limits: What one request may ask for.
        cors_origins: Web pages that may ask from a browser, as ``https://NAME``; ``*``: any.
        image_hosts: Hosts that images are fetched from, ``name`` or ``name:port``; none: data
            URIs only.
        step_fields: Further fields of the requests of a step; they stand above all others.
        trusts_system: Whether system messages come from the operator; see `Chat.of_messages`.
        shows_trace: Whether answers carry the trace under ``ecso``; their reason stays.
        observes: Whether drafts are let through, whatever is found; then nothing is protected.
        keep_alive_s: Seconds between the comments that keep a waiting stream open.
    """

    served_name: str
    ecso: ECSOConfig
    limits: Limits = field(default_factory=Limits)
    cors_origins: tuple[str, ...] = ()
    image_hosts: tuple[str, ...] = ()
    step_fields: StepFields = field(default_factory=dict)
    trusts_system: bool = False
    shows_trace: bool = True
    observes: bool = False
    keep_alive_s: float = 10.0
