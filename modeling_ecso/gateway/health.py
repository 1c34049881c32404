"""Whether the model server answers, asked anew every few seconds."""

import time

from ..endpoint.model_server import ModelServerError
from ..endpoint.openai_server import OpenAIServer


# Probes may come from many balancers; the model server is asked no more often than this.
_KEPT_S = 2.0
# Statuses by which a server or what stands before it says that it is not there yet.
_NOT_THERE = (502, 503, 504)


class Health:
    """What was last known of the model server.

    Args:
        server: The model server.
    """

    def __init__(self, server: OpenAIServer):
        """Nothing is known yet."""
        self._server = server
        self._is_ready = False
        self._asked_at = float("-inf")

    async def is_ready(self) -> bool:
        """Return whether the model server answers."""
        if time.monotonic() - self._asked_at > _KEPT_S:
            try:
                await self._server.model_names()
                self._is_ready = True
            except ModelServerError as error:
                # A server without that route is there as well.
                self._is_ready = error.status is not None and error.status not in _NOT_THERE
            self._asked_at = time.monotonic()
        return self._is_ready
