"""Whether the model server can answer for its model, asked anew every few seconds."""

import asyncio
import time

from ..endpoint.model_server import ModelServerError
from ..endpoint.openai_server import OpenAIServer
from ..endpoint.shared_call import SharedCall


# Probes may come from many balancers; the model server is asked no more often than this.
_KEPT_S = 2.0
# An answer of one token that takes longer is waited for in the background.
_PATIENCE_S = 5.0
# Statuses by which a server says that it has no list of models.
_NO_LIST = (404, 405, 501)
_SAID: dict[int | None, str] = {
    401: "the model server refuses the gateway's key",
    403: "the model server refuses the gateway's key",
    404: "the model server does not have the model",
}


class Health:
    """What was last known of the model server.

    Args:
        server: The model server.
    """

    def __init__(self, server: OpenAIServer):
        """Nothing is known yet."""
        self._server = server
        self._problem: str | None = None
        self._was_listed = False
        self._known_until = float("-inf")
        self._asking = SharedCall(self._ask)

    async def problem(self) -> str | None:
        """Return why the model server cannot answer; None: it can."""
        if time.monotonic() > self._known_until:
            await self._asking.result()
        return self._problem

    async def _ask(self) -> None:
        self._problem = await self._found()
        self._known_until = time.monotonic() + _KEPT_S

    async def _found(self) -> str | None:
        try:
            names = await self._server.model_names()
        except ModelServerError as error:
            if error.status not in _NO_LIST:
                return _SAID.get(error.status, "the model server does not answer")
        else:
            # Some list nothing, or other names than they answer for; those are asked below.
            is_listed = self._server.model in names
            if self._was_listed and not is_listed:
                return _SAID[404]
            self._was_listed = is_listed
        try:
            # Found out once in a gateway's life, and long before a user waits for it.
            async with asyncio.timeout(_PATIENCE_S):
                await self._server.traits()
        except ModelServerError as error:
            return _SAID.get(error.status, "the model server does not answer for the model")
        except TimeoutError:
            return "the model server has not answered for the model yet"
        return None
