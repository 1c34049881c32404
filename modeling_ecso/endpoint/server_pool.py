"""Several model servers that hold the same model: each answer is asked of the least busy one.

Covered: all steps of an answer meet the same server, whose prefix cache they share; a server that
cannot be reached is passed by for a while, and what it was asked is asked of another.
Not covered: servers that differ; how many answers are asked for at a time.
"""

import importlib.util
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from ..errors_ecso import ECSOInputError
from .model_server import Fault, ModelServer, ModelServerError
from .server_url import UPSTREAM_KEY_VARIABLE, read_server_url


Result = TypeVar("Result")
# How long a server that could not be reached is asked nothing while another one can be.
_REST_S = 30.0
# Nobody waits for one of these answers, and a busy server takes its time.
_TIMEOUT_S = 600.0
_NEEDED = ("openai", "httpx2")


class PooledServer(ModelServer, Protocol):
    """A model server with connections to close."""

    async def close(self) -> None:
        """Close them."""


class _Member:
    """A server of a pool, and what is known of it."""

    def __init__(self, server: PooledServer):
        self.server = server
        self.in_work = 0
        self.rests_until = 0.0

    def priority(self) -> tuple[bool, int]:
        return self.rests_until > time.monotonic(), self.in_work


class ServerPool:
    """The model servers of one event loop. Use as a context, which closes their clients.

    Args:
        servers: Their clients, one or more.
    """

    def __init__(self, servers: Sequence[PooledServer]):
        """Keep them; nothing is sent yet."""
        self._members = [_Member(server) for server in servers]

    @property
    def size(self) -> int:
        """How many servers there are."""
        return len(self._members)

    async def answered(self, ask: Callable[[PooledServer], Awaitable[Result]]) -> Result:
        """Return what is asked, of the server with the least in work.

        Args:
            ask: Asks one server; is called again with another where that cannot be reached.

        Raises:
            ModelServerError: None can be reached, or one did something else wrong.
            Whatever else ``ask`` raises.
        """
        untried = list(self._members)
        while True:
            member = min(untried, key=_Member.priority)
            untried.remove(member)
            member.in_work += 1
            try:
                return await ask(member.server)
            except ModelServerError as error:
                if error.fault is not Fault.UNREACHABLE or not untried:
                    raise
                member.rests_until = time.monotonic() + _REST_S
            finally:
                member.in_work -= 1

    async def close(self) -> None:
        """Close all connections."""
        for member in self._members:
            await member.server.close()

    async def __aenter__(self) -> "ServerPool":
        """Use the servers."""
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Close all connections."""
        await self.close()


def pool_of(urls: Sequence[str], model: str) -> Callable[[], ServerPool]:
    """Return what opens the clients of servers, to be called in the event loop that uses them.

    The key is that of the variable `UPSTREAM_KEY_VARIABLE`.

    Args:
        urls: Where the servers' OpenAI routes are.
        model: The model's name there.

    Raises:
        ECSOInputError: A URL is none, or the client's library is not installed.
    """
    for url in urls:
        read_server_url("--upstream", url)
    for module in _NEEDED:
        if importlib.util.find_spec(module) is None:
            raise ECSOInputError(
                f"--upstream needs {module}; install it with: pip install 'ecso-llava[serve]'"
            )
    from .openai_server import OpenAIServer

    key = os.environ.get(UPSTREAM_KEY_VARIABLE)

    def connect() -> ServerPool:
        return ServerPool(
            [OpenAIServer(url, model, api_key=key, timeout_s=_TIMEOUT_S, retries=2) for url in urls]
        )

    return connect
