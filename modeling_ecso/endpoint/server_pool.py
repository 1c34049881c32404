"""Several model servers that hold the same model: each answer is asked of the least busy one.

Covered: all steps of an answer meet the same server, whose prefix cache they share; a server that
fails is passed by for a while, and the answer is begun anew at another; what failed names it;
servers that differ in how verdicts are read are refused.
Not covered: servers of different models; how many answers are asked for at a time.
"""

import asyncio
import contextlib
import importlib.util
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from ..errors_ecso import ECSOInputError, ECSOStepError
from .model_server import Fault, ModelServer, ModelServerError, ServerTraits
from .run import EndpointRun
from .server_url import UPSTREAM_KEY_VARIABLE, read_server_url


Result = TypeVar("Result")
# How long a server that failed is asked nothing while another one can be.
_REST_S = 30.0
# Nobody waits for one of these answers, and a busy server takes its time; to be there takes none.
_TIMEOUT_S = 600.0
_CONNECT_TIMEOUT_S = 10.0
# How long a run waits at its start to hear what a server does.
_CHECK_S = 30.0
_NEEDED = ("openai", "httpx2")


class PooledServer(ModelServer, Protocol):
    """A model server with connections to close."""

    async def close(self) -> None:
        """Close them."""


class _Member:
    """A server of a pool, and what is known of it."""

    def __init__(self, server: PooledServer, name: str):
        self.server = server
        self.name = name
        self.in_work = 0
        self.traits: ServerTraits | None = None
        self._rests_until = 0.0
        self._has_failed = False

    def priority(self) -> tuple[bool, int]:
        # After its rest, one answer tries whether it is well again.
        is_out = self._rests_until > time.monotonic() or (self._has_failed and self.in_work > 0)
        return is_out, self.in_work

    async def answered(self, ask: Callable[[PooledServer], Awaitable[Result]]) -> Result:
        self.in_work += 1
        failed: ModelServerError | None = None
        try:
            result = await ask(self.server)
            self._has_failed = False
            return result
        except ModelServerError as error:
            failed = error
        finally:
            self.in_work -= 1
        if not failed.is_about_prompt:
            self._has_failed = True
            self._rests_until = time.monotonic() + _REST_S
        raise ModelServerError(failed.fault, failed.status, self.name)


class ServerPool:
    """The model servers of one event loop. Use as a context, which closes their clients.

    Args:
        servers: Their clients, by what to call them; one or more.
    """

    def __init__(self, servers: Mapping[str, PooledServer]):
        """Keep them; nothing is sent yet."""
        self._members = [_Member(server, name) for name, server in servers.items()]

    @property
    def size(self) -> int:
        """How many servers there are."""
        return len(self._members)

    async def answered(self, ask: Callable[[PooledServer], Awaitable[Result]]) -> Result:
        """Return what is asked, of the server with the least in work.

        Args:
            ask: Asks one server, from the beginning; is called again with another if that fails.

        Raises:
            ModelServerError: All failed, or one cannot take what was asked; its name stands first.
            ECSOInputError: The server does other things than another.
            Whatever else ``ask`` raises.
        """

        async def ask_one_alike(server: PooledServer) -> Result:
            await self._check(member)
            return await ask(server)

        untried = list(self._members)
        while True:
            member = min(untried, key=_Member.priority)
            untried.remove(member)
            try:
                return await member.answered(ask_one_alike)
            except ModelServerError as error:
                if error.is_about_prompt or not untried:
                    raise

    async def check_alike(self) -> None:
        """Refuse servers that differ; those that fail or are late are checked when they answer.

        Raises:
            ECSOInputError: Two differ, so that verdicts would be read in two ways.
        """

        async def check(member: _Member) -> None:
            async def ask(server: PooledServer) -> None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_CHECK_S):
                        return await self._check(member)
                raise ModelServerError(Fault.TIMEOUT)

            with contextlib.suppress(ModelServerError):
                await member.answered(ask)

        async with asyncio.TaskGroup() as group:
            for member in self._members:
                group.create_task(check(member))

    async def _check(self, member: _Member) -> None:
        """Compare a server with those known so far; one alone need not be known."""
        if len(self._members) == 1:
            return
        member.traits = await member.server.traits()
        for other in self._members:
            if other.traits is not None and (found := _difference(member, other)):
                raise ECSOInputError(
                    f"{found}; give --upstream servers of the same model that are started alike"
                )

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


def run_together(work: Coroutine[Any, Any, Result]) -> Result:
    """Return what work of many tasks comes to, in an event loop of its own.

    Raises:
        Exception: What ended it first, as it is and not in a group.
    """
    failed: Exception
    try:
        return asyncio.run(work)
    except* Exception as group:
        failed = group
    while isinstance(failed, ExceptionGroup):
        failed = failed.exceptions[0]
    raise failed


async def run_to_end(run: EndpointRun) -> None:
    """Run the protocol, so that a pool learns what a server did wrong in whichever step.

    Args:
        run: Its settings say that a failed step raises.

    Raises:
        ModelServerError: The server failed.
        ECSOStepError: A step after the draft failed, through no server.
    """
    failure: Exception | None = None
    try:
        async for _ in run:
            pass
    except ECSOStepError as error:
        failure = run.failure or error
    if failure is not None:  # raised out here, so that it has no context
        raise failure


def check_alike(urls: Sequence[str], model: str) -> None:
    """Refuse servers that differ, before anything is asked; arguments as for `pool_of`.

    Raises:
        ECSOInputError: Two differ, or as for `pool_of`.
    """
    connect = pool_of(urls, model)

    async def check() -> None:
        async with connect() as pool:
            await pool.check_alike()

    run_together(check())


def _difference(one: _Member, other: _Member) -> str | None:
    """Return what one server does and the other does not."""
    if one.traits is None or other.traits is None:
        return None
    for does, first, second in (
        ("thinks whatever it is told", one.traits.always_thinks, other.traits.always_thinks),
        ("thinks", bool(one.traits.thought_field), bool(other.traits.thought_field)),
        ("gives log-probabilities", one.traits.gives_logprobs, other.traits.gives_logprobs),
    ):
        if first != second:
            it, not_it = (one, other) if first else (other, one)
            return f"{it.name} {does}, {not_it.name} does not"
    return None


def pool_of(urls: Sequence[str], model: str) -> Callable[[], ServerPool]:
    """Return what opens the clients of servers, to be called in the event loop that uses them.

    The key is that of the variable `UPSTREAM_KEY_VARIABLE`.

    Args:
        urls: Where the servers' OpenAI routes are.
        model: The model's name there.

    Raises:
        ECSOInputError: A URL is none, or the client's library is not installed.
    """
    names = [_name_of(url) for url in urls]
    for module in _NEEDED:
        if importlib.util.find_spec(module) is None:
            raise ECSOInputError(
                f"--upstream needs {module}; install it with: pip install 'ecso-llava[serve]'"
            )
    from .openai_server import OpenAIServer

    key = os.environ.get(UPSTREAM_KEY_VARIABLE)

    def connect() -> ServerPool:
        clients = [
            OpenAIServer(
                url,
                model,
                api_key=key,
                timeout_s=_TIMEOUT_S,
                connect_timeout_s=_CONNECT_TIMEOUT_S,
                retries=2,
            )
            for url in urls
        ]
        return ServerPool(dict(zip(names, clients, strict=True)))

    return connect


def _name_of(url: str) -> str:
    """Return a URL as it may be shown: without a password or a query."""
    parts = read_server_url("--upstream", url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
