"""What Inspect finds through the entry point: providers, tasks and scorers."""

from typing import Any

from inspect_ai.model import modelapi

from .benchmarks import all_benchmarks
from .scorers import registered_scorer
from .tasks import TASKS


__all__ = ["SCORERS", "TASKS", "ecso", "ecso_api", "ecso_server"]

SCORERS = {
    scoring.name: registered_scorer(scoring.name, scoring.metric)
    for scoring in (benchmark.scoring for benchmark in all_benchmarks())
}


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


@modelapi(name="ecso-server")
def ecso_server() -> Any:
    """Return the provider that puts the protocol in front of model servers."""
    from .server_provider import ECSOServerProvider

    return ECSOServerProvider
