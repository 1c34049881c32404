"""Who answers the pairs: a model in this process, or model servers with many requests at once."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ..endpoint.chat import Chat
from ..endpoint.model_server import ModelServer, ModelServerError
from ..endpoint.run import EndpointRun
from ..endpoint.sampling import Sampling
from ..endpoint.server_pool import ServerPool
from ..errors_ecso import ECSOInputError
from ..events_ecso import Trace
from ..loading.images import data_uri_of, open_image
from ..loading.models import LoadedModel, ModelAnswer
from ..settings_ecso import ECSOConfig
from .pairs import ImageQueryPair


# Takes pairs that are done, each with its answer and trace.
OnAnswered = Callable[[list[tuple[ImageQueryPair, str, Trace | None]]], None]
# Whatever the preset: the safe answer is judged, the image stays out of it, and nothing that was
# withheld is kept.
FIXED_ECSO_CONFIG = {
    "enabled": True,
    "judge_safe_answer": True,
    "image_in_safe_step": False,
    "on_error": "refuse",
    "keep_draft": False,
    "keep_caption": False,
}


class Answering(Protocol):
    """Answers pairs under protection."""

    name: str

    def check(self, pair: ImageQueryPair) -> None:
        """Refuse a pair that cannot be asked; raises ECSOInputError."""

    def answer_all(
        self, pairs: Sequence[ImageQueryPair], images: Path, on_answered: OnAnswered
    ) -> None:
        """Answer all pairs, and tell of each as soon as it is done; raises ECSOError."""


class LocalAnswering:
    """A model in this process, batch by batch.

    Args:
        loaded: The model.
        changes: Settings on top of the stored ones.
        max_new_tokens: Token limit of an answer.
        batch_size: Pairs in a batch.
    """

    def __init__(
        self, loaded: LoadedModel, changes: dict[str, Any], max_new_tokens: int, batch_size: int
    ):
        """Keep what is needed."""
        self.name = loaded.name
        self._loaded = loaded
        self._changes = changes
        self._max_new_tokens = max_new_tokens
        self._batch_size = batch_size

    def check(self, pair: ImageQueryPair) -> None:
        """Refuse a query that spells out the image token; raises ECSOInputError."""
        if self._loaded.spells_image_token(pair.query):
            raise ECSOInputError(
                "the query spells out the model's image token; leave it out, the image goes in "
                "front by itself"
            )

    def answer_all(
        self, pairs: Sequence[ImageQueryPair], images: Path, on_answered: OnAnswered
    ) -> None:
        """Answer all pairs; see `Answering`."""
        for start in range(0, len(pairs), self._batch_size):
            batch = pairs[start : start + self._batch_size]
            answers = self._answer(batch, images)
            on_answered(
                [
                    (pair, answer.text, answer.trace)
                    for pair, answer in zip(batch, answers, strict=True)
                ]
            )

    def _answer(self, pairs: Sequence[ImageQueryPair], images: Path) -> list[ModelAnswer]:
        opened = [open_image(str(images / pair.image)) for pair in pairs]
        with self._loaded.one_line_errors():
            return self._loaded.answers(
                [_turns(pair) for pair in pairs],
                opened,
                ecso={**self._changes, **FIXED_ECSO_CONFIG},
                do_sample=False,
                max_new_tokens=self._max_new_tokens,
            )


class ServerAnswering:
    """Model servers that hold the same model, with many requests at a time.

    Args:
        name: The model's name there.
        connect: Opens the clients; called inside the event loop that uses them.
        ecso_config: The settings; `FIXED_ECSO_CONFIG` on top.
        max_new_tokens: Token limit of an answer.
        connections: Requests at a time at each server.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], ServerPool],
        ecso_config: ECSOConfig,
        max_new_tokens: int,
        connections: int,
    ):
        """Keep what is needed; nothing is sent yet."""
        self.name = name
        self._connect = connect
        self._ecso_config = ecso_config.updated(FIXED_ECSO_CONFIG)
        self._sampling = Sampling(max_new_tokens, temperature=0)
        self._connections = connections

    def check(self, pair: ImageQueryPair) -> None:
        """Refuse nothing: over an API a text cannot stand for an image."""

    def answer_all(
        self, pairs: Sequence[ImageQueryPair], images: Path, on_answered: OnAnswered
    ) -> None:
        """Answer all pairs; see `Answering`.

        Raises:
            ModelServerError: A server could not be asked. What was answered has been told.
        """
        failed: BaseException | None = None
        try:
            asyncio.run(self._answer_all(pairs, images, on_answered))
        except* ModelServerError as group:
            failed = group
        while isinstance(failed, BaseExceptionGroup):  # the first is all that can be told
            failed = failed.exceptions[0]
        if failed is not None:
            raise failed

    async def _answer_all(
        self, pairs: Sequence[ImageQueryPair], images: Path, on_answered: OnAnswered
    ) -> None:
        waiting = iter(pairs)
        async with self._connect() as pool, asyncio.TaskGroup() as group:

            async def work() -> None:
                for pair in waiting:
                    chat = Chat.of_one_turn(pair.query, (data_uri_of(images / pair.image),))
                    run = await pool.answered(partial(self._run_of, chat))
                    on_answered([(pair, run.answer.text, run.trace)])

            for _ in range(pool.size * self._connections):
                group.create_task(work())

    async def _run_of(self, chat: Chat, server: ModelServer) -> EndpointRun:
        run = EndpointRun(server, chat, self._ecso_config, self._sampling)
        async for _ in run:
            pass
        return run


def _turns(pair: ImageQueryPair) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": pair.query}]}]
