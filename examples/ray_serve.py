"""The gateway as a Ray Serve deployment: as many replicas of it as a Ray cluster has room for.

pip install "ray[serve]" ".[serve]"   # in a clone
serve run ray_serve:gateway upstream=http://127.0.0.1:8000/v1 model=NAME replicas=2
"""

import os
from argparse import Namespace

from ray import serve

from modeling_ecso import ECSOConfig
from modeling_ecso.cli.serve_options import api_keys
from modeling_ecso.endpoint.openai_server import OpenAIServer
from modeling_ecso.gateway.app import build_app
from modeling_ecso.gateway.config import GatewayConfig
from modeling_ecso.gateway.keys import ApiKeys


def gateway(arguments: dict[str, str]) -> serve.Application:
    """Return the application that `serve run` and a Serve config file name.

    Args:
        arguments: ``upstream`` and ``model``; perhaps ``preset`` and ``replicas``.
    """
    upstream, model = arguments["upstream"], arguments["model"]
    config = GatewayConfig(model, ECSOConfig.from_preset(arguments.get("preset", "paper")))

    def app():
        # In each replica, since connections cannot be sent there.
        server = OpenAIServer(upstream, model, api_key=os.environ.get("ECSO_UPSTREAM_KEY"))
        return build_app(server, config, ApiKeys(api_keys(Namespace(api_keys=None))))

    deployment = serve.deployment(
        serve.ingress(app)(),
        name="ecso-gateway",
        num_replicas=int(arguments.get("replicas", 1)),
        # Ray's default is 5. What is beyond the gateway's own limit is told to come back.
        max_ongoing_requests=2 * config.limits.concurrent_requests,
        # What runs is finished first.
        graceful_shutdown_timeout_s=60,
    )
    return deployment.bind()
