"""What Inspect finds through the entry point: the providers and the five tasks."""

from typing import Any

from inspect_ai.model import modelapi

from .scorers import graded, harmlessness, option_choice, yes_or_no
from .tasks import mm_safetybench, mmbench, mme, mmvet, vlsafe


__all__ = [
    "ecso",
    "ecso_api",
    "graded",
    "harmlessness",
    "mm_safetybench",
    "mmbench",
    "mme",
    "mmvet",
    "option_choice",
    "vlsafe",
    "yes_or_no",
]


@modelapi(name="ecso")
def ecso() -> Any:
    """Return the provider; torch is not loaded before it is used."""
    from .provider import ECSOProvider

    return ECSOProvider


@modelapi(name="ecso-api")
def ecso_api() -> Any:
    """Return the provider that puts the protocol in front of others."""
    from .api_provider import ECSOAPIProvider

    return ECSOAPIProvider
