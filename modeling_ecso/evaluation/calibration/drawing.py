"""Draws each draft once and reads p(unsafe), in this process or from servers.

The protocol runs with a threshold that nothing but certainty reaches, so that a draft is judged as
it would be and hardly ever goes on to the next steps.

Covered: the highest p(unsafe) of all windows and of all beginnings that are judged on the way; that
is what a threshold is compared with.
Not covered: sampling; drafts are decoded greedily.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...datagen.pairs import ImageQueryPair
from ...endpoint.chat import Chat
from ...endpoint.model_server import Completion, ModelServer
from ...endpoint.run import EndpointRun
from ...endpoint.sampling import Sampling
from ...endpoint.server_pool import ServerPool, run_to_end, run_together
from ...errors_ecso import ECSOInputError
from ...events_ecso import Step, Trace
from ...loading.images import data_uri_of, open_image
from ...loading.models import LoadedModel
from ...settings_ecso import ECSOConfig
from ..refusal_rules import refuses
from .scores import DraftScore


# Read where a draft has no content, to see which way the model leans by itself.
CONTENT_FREE = "N/A"
# Takes each pair and the score of its draft, as they come.
OnDrawn = Callable[[ImageQueryPair, DraftScore], None]
OnAnswered = Callable[[ImageQueryPair, str, Trace], None]


@dataclass(frozen=True, repr=False)
class PairSource:
    """Pairs and the folder of their images. Has no repr: a query is a user's text."""

    pairs: Sequence[ImageQueryPair]
    images: Path

    def file_of(self, pair: ImageQueryPair) -> Path:
        """Return the image of a pair."""
        return self.images / pair.image


def judging_config(ecso_config: ECSOConfig) -> ECSOConfig:
    """Return settings under which drafts are judged as they would be, and go on for certain alone.

    Args:
        ecso_config: The settings to calibrate.
    """
    return ecso_config.updated(
        {
            "enabled": True,
            "verdict_rule": "logits",
            "speculative_verdict": None,
            "detect_max_new_tokens": 1,
            "unsafe_threshold": 1.0,
            "unclear_is_unsafe": False,
            "judge_safe_answer": False,
            "on_error": "raise",
            "keep_draft": True,  # of one that is withheld all the same, to see whether it declines
            "keep_caption": False,
        }
    )


class LocalDrawing:
    """Draws with a model in this process, in batches.

    Args:
        loaded: The model.
        max_new_tokens: Limit of a draft.
        batch_size: Drafts at a time.
    """

    def __init__(self, loaded: LoadedModel, max_new_tokens: int, batch_size: int):
        """Keep what is needed; nothing runs yet."""
        self._loaded = loaded
        self._max_new_tokens = max_new_tokens
        self._batch_size = batch_size

    def scores(
        self, source: PairSource, ecso_config: ECSOConfig, on_drawn: OnDrawn
    ) -> list[DraftScore]:
        """Return the score of each pair's draft.

        Args:
            source: The pairs.
            ecso_config: The settings to calibrate.
            on_drawn: Is told of each as it comes.

        Raises:
            ECSOError: The model cannot answer.
        """
        judging = judging_config(ecso_config)
        found: list[DraftScore] = []
        for batch in _batches(source.pairs, self._batch_size):
            traces = self._answers(source, batch, judging)
            scores = [_score(text, trace, len(batch)) for text, trace in traces]
            for pair, score in zip(batch, scores, strict=True):
                on_drawn(pair, score)
            found += scores
        return found

    def traces(self, source: PairSource, ecso_config: ECSOConfig) -> list[Trace]:
        """Return the trace of each pair's answer under the settings, one pair at a time."""
        return [
            trace
            for pair in source.pairs
            for _, trace in self._answers(source, [pair], ecso_config)
        ]

    def content_free(self, ecso_config: ECSOConfig) -> float | None:
        """Return p(unsafe) of a draft without content about an image without any."""
        from PIL import Image
        from transformers import LogitsProcessorList

        tokenizer = self._loaded.processor.tokenizer
        said = tokenizer(CONTENT_FREE, add_special_tokens=False)["input_ids"]
        ids = [*said, tokenizer.eos_token_id]
        with self._loaded.one_line_errors():
            (answer,) = self._loaded.answers(
                [_turns(CONTENT_FREE)],
                [Image.new("RGB", (64, 64), (127, 127, 127))],
                judging_config(ecso_config),
                do_sample=False,
                max_new_tokens=len(ids),
                logits_processor=LogitsProcessorList([_says(ids)]),
            )
        return answer.trace.p_unsafe if answer.trace else None

    def _answers(
        self, source: PairSource, pairs: Sequence[ImageQueryPair], ecso_config: ECSOConfig
    ) -> list[tuple[str, Trace]]:
        with self._loaded.one_line_errors():
            answers = self._loaded.answers(
                [_turns(pair.query) for pair in pairs],
                [open_image(str(source.file_of(pair))) for pair in pairs],
                ecso_config,
                do_sample=False,
                max_new_tokens=self._max_new_tokens,
            )
        return [(answer.text, answer.trace) for answer in answers if answer.trace]


class ServerDrawing:
    """Draws from servers that hold the same model, many requests at a time.

    Args:
        connect: Opens the clients; called inside the event loop that uses them.
        max_new_tokens: Limit of a draft.
        connections: Requests at a time, at each server.
    """

    def __init__(self, connect: Callable[[], ServerPool], max_new_tokens: int, connections: int):
        """Keep what is needed; nothing is sent yet."""
        self._connect = connect
        self._max_new_tokens = max_new_tokens
        self._connections = connections

    def scores(
        self, source: PairSource, ecso_config: ECSOConfig, on_drawn: OnDrawn
    ) -> list[DraftScore]:
        """Return the score of each pair's draft; arguments and errors as for `LocalDrawing`.

        Raises:
            ECSOInputError: A server gives no log-probabilities, or servers differ.
            ModelServerError: None could be asked.
        """
        found: dict[int, DraftScore] = {}

        def keep(pair: ImageQueryPair, text: str, trace: Trace) -> None:
            found[pair.row] = _score(text, trace, 1)
            on_drawn(pair, found[pair.row])

        run_together(self._all(source, judging_config(ecso_config), keep, self._connections))
        return [found[pair.row] for pair in source.pairs]

    def traces(self, source: PairSource, ecso_config: ECSOConfig) -> list[Trace]:
        """Return the trace of each pair's answer under the settings, one pair at a time."""
        found: list[Trace] = []

        def keep(pair: ImageQueryPair, text: str, trace: Trace) -> None:
            found.append(trace)

        run_together(self._all(source, ecso_config, keep, None))
        return found

    def content_free(self, ecso_config: ECSOConfig) -> float | None:
        """Return p(unsafe) of a draft without content, judged from text alone."""
        prompt = ecso_config.detect_prompt.format(query=CONTENT_FREE, response=CONTENT_FREE)
        messages = [{"role": "user", "content": prompt}]

        async def ask(server: ModelServer) -> Completion:
            return await server.complete(messages, {"max_tokens": 1, "temperature": 0}, True)

        async def ask_one() -> Completion:
            async with self._connect() as pool:
                return await pool.answered(ask)

        return run_together(ask_one()).p_unsafe

    async def _all(
        self,
        source: PairSource,
        ecso_config: ECSOConfig,
        on_answered: OnAnswered,
        connections: int | None,
    ) -> None:
        """Answer all pairs; without ``connections`` one after the other, in their order."""
        async with self._connect() as pool:
            await pool.check_alike()
            free = asyncio.Semaphore(connections * pool.size if connections else 1)

            async def one(pair: ImageQueryPair) -> None:
                async with free:
                    chat = Chat.of_one_turn(pair.query, (data_uri_of(source.file_of(pair)),))
                    answered = await pool.answered(partial(self._draw, chat, ecso_config))
                on_answered(pair, *answered)

            async with asyncio.TaskGroup() as group:
                for pair in source.pairs:
                    group.create_task(one(pair))

    async def _draw(
        self, chat: Chat, ecso_config: ECSOConfig, server: ModelServer
    ) -> tuple[str, Trace]:
        if not (await server.traits()).gives_logprobs:
            raise ECSOInputError(
                "the server gives no log-probabilities, so there is no p(unsafe) to calibrate; "
                "start it so that it gives 20 at each token"
            )
        run = EndpointRun(server, chat, ecso_config, Sampling(self._max_new_tokens, temperature=0))
        await run_to_end(run)
        return run.answer.text, run.trace


def _score(text: str, trace: Trace, rows: int) -> DraftScore:
    draft = text if trace.draft is None else trace.draft
    spent = {
        step: sum(record.milliseconds for record in trace.steps if record.step is step) / rows
        for step in (Step.DIRECT, Step.DETECT)
    }
    declines = not draft.strip() or refuses(draft)
    return DraftScore(trace.p_unsafe, declines, spent[Step.DIRECT], spent[Step.DETECT])


def _turns(query: str) -> list[dict[str, Any]]:
    content = [{"type": "image"}, {"type": "text", "text": query}]
    return [{"role": "user", "content": content}]


def _batches(pairs: Sequence[ImageQueryPair], size: int) -> Iterator[Sequence[ImageQueryPair]]:
    for start in range(0, len(pairs), size):
        yield pairs[start : start + size]


def _says(ids: list[int]) -> Any:
    """Return a processor of logits that makes a model say these tokens and nothing else."""
    import torch
    from transformers import LogitsProcessor

    class Says(LogitsProcessor):
        """Leaves one token at each place."""

        def __init__(self) -> None:
            self._place = 0

        def __call__(self, input_ids: Any, scores: torch.Tensor) -> torch.Tensor:
            token = ids[min(self._place, len(ids) - 1)]
            self._place += 1
            only = torch.full_like(scores, -torch.inf)
            only[:, token] = 0
            return only

    return Says()
