"""What a gateway is told when it starts: the model, the protocol, and the limits of requests."""

from dataclasses import dataclass, field

from ..settings_ecso import ECSOConfig


MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and how many may run.

    Args:
        body_bytes: Size of a request's body.
        image_bytes: Size of one image, decoded from base64.
        image_pixels: Width times height of one image.
        images: Images in one conversation.
        choices: Answers to one conversation.
        concurrent_requests: Requests that may be in work; further ones are told to come back.
        body_timeout_s: Time for a body to arrive, in seconds.
    """

    body_bytes: int = 20 * MEGABYTE
    image_bytes: int = 10 * MEGABYTE
    image_pixels: int = 50_000_000
    images: int = 8
    choices: int = 8
    concurrent_requests: int = 128
    body_timeout_s: float = 30.0


@dataclass(frozen=True)
class GatewayConfig:
    """How a gateway serves.

    Args:
        served_name: The model's name towards clients.
        ecso: Prompts and policies of the protocol.
        limits: What one request may ask for.
        image_hosts: Hosts that images are fetched from, ``name`` or ``name:port``; none: data
            URIs only.
        trusts_system: Whether system messages come from the operator; see `Chat.of_messages`.
        shows_trace: Whether answers carry the trace under ``ecso``.
        keep_alive_s: Seconds between the comments that keep a waiting stream open.
    """

    served_name: str
    ecso: ECSOConfig
    limits: Limits = field(default_factory=Limits)
    image_hosts: tuple[str, ...] = ()
    trusts_system: bool = False
    shows_trace: bool = True
    keep_alive_s: float = 10.0
