"""From the arguments of `ecso serve` to what the gateway is told when it starts."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ..errors_ecso import ECSOInputError


KEYS_VARIABLE = "ECSO_API_KEYS"
# Without these a step would ask or read something else.
_OWN_FIELDS = frozenset(
    {"messages", "model", "stream", "stream_options", "n", "logprobs", "top_logprobs", "tools"}
    | {"tool_choice", "response_format"}
)


def gateway_config(chosen: argparse.Namespace) -> Any:
    """Return how to serve, a `GatewayConfig`.

    Raises:
        ECSOInputError: Something in the arguments cannot be used.
    """
    from ..gateway.config import MEGABYTE, GatewayConfig, Limits

    for name, least, most in (
        ("max_concurrent", 1, 100_000),
        ("max_choices", 1, 128),
        ("max_tokens", 1, 10_000_000),
        ("max_windows", 1, 10_000),
        ("max_parallel", 1, 1000),
        ("max_text_chars", 1, 100_000_000),
        ("max_images", 1, 1000),
        ("max_body_mb", 0.001, 1000),
        ("max_image_mb", 0.001, 1000),
        ("max_megapixels", 0.001, 80),
        ("step_timeout", 0.001, 86_400),
        ("retries", 0, 10),
        ("grace", 0, 86_400),
        ("port", 0, 65_535),
    ):
        value = getattr(chosen, name)
        if not least <= value <= most:
            flag = "--" + name.replace("_", "-")
            raise ECSOInputError(f"{flag} is {value:g}; give a number from {least:g} to {most:g}")
    return GatewayConfig(
        served_name=chosen.served_name or chosen.model,
        ecso=_ecso_config(chosen),
        limits=Limits(
            body_bytes=int(chosen.max_body_mb * MEGABYTE),
            image_bytes=int(chosen.max_image_mb * MEGABYTE),
            image_pixels=int(chosen.max_megapixels * 1_000_000),
            images=chosen.max_images,
            choices=chosen.max_choices,
            tokens=chosen.max_tokens,
            windows=chosen.max_windows,
            parallel_calls=chosen.max_parallel,
            text_chars=chosen.max_text_chars,
            concurrent_requests=chosen.max_concurrent,
        ),
        cors_origins=tuple(map(_checked_origin, chosen.cors_origin)),
        image_hosts=tuple(chosen.allow_image_host),
        step_fields=dict(map(_step_fields, chosen.step_extra_body)),
        trusts_system=chosen.trust_system,
        shows_trace=not chosen.no_trace,
        observes=chosen.mode == "observe",
    )


def _ecso_config(chosen: argparse.Namespace) -> Any:
    from ..loading.ecso_config_file import read_ecso_config
    from ..settings_ecso import ECSOConfig

    ecso_config = ECSOConfig.from_preset(chosen.preset or "paper")
    if chosen.ecso_config is not None:
        ecso_config = ecso_config.updated(read_ecso_config(Path(chosen.ecso_config)))
    if not ecso_config.enabled:
        raise ECSOInputError(
            "ecso.enabled is false; a gateway that protects nothing is not started"
        )
    if ecso_config.keep_draft:
        raise ECSOInputError(
            "ecso.keep_draft is true; the gateway never shows drafts, leave it out"
        )
    return ecso_config


def _step_fields(said: str) -> tuple[Any, dict[str, Any]]:
    from ..events_ecso import Step

    name, _, text = said.partition("=")
    if name not in list(Step):
        steps = ", ".join(Step)
        raise ECSOInputError(f"--step-extra-body {name!r} is no step; write STEP=JSON: {steps}")
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise ECSOInputError(f"--step-extra-body {name}: no JSON object follows the =")
    for field in sorted(_OWN_FIELDS & set(fields)):
        raise ECSOInputError(f"--step-extra-body {name}: {field} is the gateway's; leave it out")
    return Step(name), fields


def api_keys(chosen: argparse.Namespace) -> list[str]:
    """Return the keys of those who may ask; empty: everybody may.

    Raises:
        ECSOInputError: The source of keys has none.
    """
    from ..gateway.keys import keys_in

    if chosen.api_keys is None:
        text, source = os.environ.get(KEYS_VARIABLE), f"${KEYS_VARIABLE}"
    else:
        source = chosen.api_keys
        try:
            text = Path(chosen.api_keys).read_text("utf-8-sig")
        except (OSError, ValueError):
            raise ECSOInputError(f"{source}: no such file, or it cannot be read") from None
    if text is None:
        return []
    keys = keys_in(text, source)
    if not keys:
        # Whoever names a source wants the gateway closed, not open.
        raise ECSOInputError(f"{source} holds no key; write one a line")
    return keys


def _checked_origin(origin: str) -> str:
    scheme, _, host = origin.partition("://")
    if origin != "*" and (scheme not in ("http", "https") or not host or "/" in host):
        raise ECSOInputError(
            f"--cors-origin {origin!r} is no origin; give one such as https://chat.example, or *"
        )
    return origin
