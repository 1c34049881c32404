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
from ..endpoint.server_pool import ServerPool, run_to_end, run_together
from ..errors_ecso import ECSOInputError, ECSOStepError
from ..events_ecso import Trace
from ..loading.images import data_uri_of, open_image
from ..loading.models import LoadedModel, ModelAnswer
from ..settings_ecso import ECSOConfig
from .pairs import ImageQueryPair


# Takes pairs that are done, each with its answer and trace.
OnAnswered = Callable[[list[tuple[ImageQueryPair, str, Trace | None]]], None]
# So many failures in a row, and no fewer than there are requests at a time, end a run: they are the
# servers' and no pair's.
_MOST_IN_A_ROW = 16
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
    ) -> str | None:
        """Answer all pairs, and tell of each as soon as it is done; raises ECSOError.

        Returns:
            Why pairs are left that may be asked again, if any are.
        """


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
        """Refuse a query that spells out a token of an image or a video; raises ECSOInputError."""
        if found := self._loaded.spelled_token(pair.query):
            raise ECSOInputError(
                f"the query spells out {found}; leave it out, the image goes in front by itself"
            )

    def answer_all(
        self, pairs: Sequence[ImageQueryPair], images: Path, on_answered: OnAnswered
    ) -> str | None:
        """Answer all pairs; see `Answering`. None is left."""
        for start in range(0, len(pairs), self._batch_size):
            batch = pairs[start : start + self._batch_size]
            answers = self._answer(batch, images)
            on_answered(
                [
                    (pair, answer.text, answer.trace)
                    for pair, answer in zip(batch, answers, strict=True)
                ]
            )
        return None

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
        ecso_config: The settings; `FIXED_ECSO_CONFIG` on top, but that a step that fails raises.
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
        self._ecso_config = ecso_config.updated({**FIXED_ECSO_CONFIG, "on_error": "raise"})
        self._sampling = Sampling(max_new_tokens, temperature=0)
        self._connections = connections

    def check(self, pair: ImageQueryPair) -> None:
        """Refuse nothing: over an API a text cannot stand for an image."""

    def answer_all(
        self, pairs: Sequence[ImageQueryPair], images: Path, on_answered: OnAnswered
    ) -> str | None:
        """Answer all pairs; see `Answering`. Those are left that no server answered.

        Raises:
            ModelServerError: No server answers any more. What was answered has been told.
        """
        last = run_together(self._answer_all(pairs, images, on_answered))
        return str(last) if last else None

    async def _answer_all(
        self, pairs: Sequence[ImageQueryPair], images: Path, on_answered: OnAnswered
    ) -> ModelServerError | None:
        waiting = iter(pairs)
        async with self._connect() as pool, asyncio.TaskGroup() as group:
            await pool.check_alike()
            connections = pool.size * self._connections
            failures = _Failures(min(len(pairs), max(connections, _MOST_IN_A_ROW)))

            async def work() -> None:
                for pair in waiting:
                    chat = Chat.of_one_turn(pair.query, (data_uri_of(images / pair.image),))
                    try:
                        answer = await pool.answered(partial(self._answer, chat))
                    except ModelServerError as error:
                        failures.add(error)
                        continue
                    failures.in_a_row = 0
                    on_answered([(pair, *answer)])

            for _ in range(connections):
                group.create_task(work())
        return failures.last

    async def _answer(self, chat: Chat, server: ModelServer) -> tuple[str, Trace]:
        run = EndpointRun(server, chat, self._ecso_config, self._sampling)
        try:
            await run_to_end(run)
        except ECSOStepError:
            return "", run.trace  # through no server: it would be so again
        return run.answer.text, run.trace


class _Failures:
    """Pairs that no server answered; too many in a row end the run."""

    def __init__(self, most_in_a_row: int):
        self._most_in_a_row = most_in_a_row
        self.in_a_row = 0
        self.last: ModelServerError | None = None

    def add(self, error: ModelServerError) -> None:
        """Count one; raises it where there have been too many."""
        self.last = error
        self.in_a_row += not error.is_about_prompt
        if self.in_a_row >= self._most_in_a_row and not error.is_about_prompt:
            raise error


def _turns(pair: ImageQueryPair) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": pair.query}]}]
