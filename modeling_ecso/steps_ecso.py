"""Answers what the protocol asks, for many rows at once. Decides nothing, batches everything."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from .batch_ecso import BatchRunner
from .conversation_ecso import Conversation, ConversationReader
from .errors_ecso import ECSOInputError
from .events_ecso import FollowUpAsk, ImageAsk, PromptAsk, Step, StepReply
from .inputs_ecso import StepPrompt
from .request_ecso import GenerationRequest, ids_in
from .settings_ecso import ECSOConfig
from .step_settings_ecso import CompleteSettings
from .verdict_ecso import is_settled, probability_unsafe


@dataclass(repr=False)
class GeneratedAnswer:
    """Token ids that may become the answer. Has no repr: it may be an unsafe draft.

    Args:
        ids: Ids after the prompt, the end token among them, without padding.
        output: The output of the `generate()` call they come from.
        index: Their row in that output.
    """

    ids: list[int]
    output: Any
    index: int


class StepRunner:
    """Runs the steps of one `generate()` call.

    Args:
        batches: Runs batches of prompts on the model.
        model: The model, for its generation settings.
        reader: Reads and writes prompts.
        request: What the caller asked for.
        settings: The protocol's settings.

    Raises:
        ECSOInputError: The verdict is to be read from logits and the tokenizer cannot give it.
    """

    def __init__(
        self,
        batches: BatchRunner,
        model: Any,
        reader: ConversationReader,
        request: GenerationRequest,
        settings: ECSOConfig,
    ):
        """Look up the tokens that say yes and no."""
        self._batches = batches
        self._reader = reader
        self._request = request
        self._settings = settings
        self._plain_settings = model.generation_config._get_default_generation_params()
        # A caller who ends answers elsewhere, or nowhere, has not asked that of the steps between.
        self._end_ids = ids_in(model.generation_config.eos_token_id) or request.end_ids
        self._yes_ids, self._no_ids = reader.word_ids("yes"), reader.word_ids("no")
        if settings.verdict_rule == "logits" and not (self._yes_ids and self._no_ids):
            raise ECSOInputError(
                "ecso.verdict_rule 'logits' needs a tokenizer in which yes and no are single "
                "tokens; use 'normalized'"
            )

    def forget(self) -> None:
        """Let go of the drafts and of what the model has computed for them."""
        self._batches.forget()

    @property
    def conversations(self) -> list[Conversation]:
        """The conversations of the batch, row by row."""
        return self._batches.conversations

    def answer_directly(
        self, streamer: Any, stop_after: Callable[[dict[int, str]], set[int]]
    ) -> tuple[Any, list[GeneratedAnswer], list[StepReply]]:
        """Run the direct step, exactly as the parent class would.

        Args:
            streamer: Where the tokens go as they come; None for nowhere.
            stop_after: Asked at the checkpoints of the settings with what is written so far, by
                sequence; returns the sequences to abandon. Not asked where there are beams.

        Returns:
            The parent's output, and for each of its sequences the answer and the reply in it.
        """
        started = time.perf_counter()
        judging = 0.0

        def stop_rows(unfinished: dict[int, list[int]]) -> set[int]:
            nonlocal judging
            began = time.perf_counter()
            written = {index: self._reader.answer_text(ids) for index, ids in unfinished.items()}
            stopped = stop_after(written)
            judging += time.perf_counter() - began
            return stopped

        checkpoints = []
        if self._request.writes_token_by_token:
            limit = self._request.new_tokens
            checkpoints = [at for at in self._settings.draft_checkpoints if at < limit]
        output, ids = self._batches.run_direct(streamer, checkpoints, stop_rows)
        answers = [GeneratedAnswer(new, output, index) for index, new in enumerate(ids)]
        return output, answers, self._replies(answers, started + judging)

    def ask(self, asks: list[tuple[int, PromptAsk]]) -> list[StepReply]:
        """Run a detect or caption step for several rows at once.

        Equal prompts to the same row are asked once, since these steps are deterministic.

        Args:
            asks: Index of the answer and ask, all of one step.

        Returns:
            One reply for each ask, in order.
        """
        started = time.perf_counter()
        wanted = [self._prompts(index, ask) for index, ask in asks]
        unique = list(dict.fromkeys(prompt for prompts in wanted for prompt in prompts))
        ask = asks[0][1]
        replies = None
        if ask.step is Step.DETECT and self._settings.verdict_rule != "logits":
            enough = partial(is_settled, rule=self._settings.verdict_rule)
            replies = self._batches.reply_reader(
                enough, self._settings.guessed_verdict, self._end_ids
            )
        found = {
            prompt: (ids, self._chance_unsafe(logits))
            for prompt, ids, logits in self._batches.run_all(unique, self._greedy(ask), replies)
        }
        elapsed = _milliseconds_since(started)
        return [
            StepReply(
                texts=tuple(self._reader.answer_text(found[prompt][0]) for prompt in prompts),
                tokens=sum(len(found[prompt][0]) for prompt in prompts),
                milliseconds=elapsed,
                p_unsafe=tuple(found[prompt][1] for prompt in prompts),
            )
            for prompts in wanted
        ]

    def answer_safely(
        self, asks: list[tuple[int, PromptAsk]]
    ) -> tuple[list[GeneratedAnswer], list[StepReply]]:
        """Run the safe step with the caller's own generation settings.

        Several answers to one row (beams, samples) are generated together, so that they differ.

        Args:
            asks: Index of the answer and ask.
        """
        started = time.perf_counter()
        wanted = [prompt for index, ask in asks for prompt in self._prompts(index, ask)]
        unique = list(dict.fromkeys(wanted))
        each = max(wanted.count(prompt) for prompt in unique)
        limit = min(self._request.new_tokens, asks[0][1].max_new_tokens or self._request.new_tokens)
        settings = self._request.answer_settings(limit, each)
        output, ids = self._batches.run(unique, settings, self._request.call_arguments)
        next_of = {prompt: place * each for place, prompt in enumerate(unique)}
        answers = []
        for prompt in wanted:
            answers.append(GeneratedAnswer(ids[next_of[prompt]], output, next_of[prompt]))
            next_of[prompt] += 1
        return answers, self._replies(answers, started)

    def refusal(self) -> list[int]:
        """Return the configured refusal as ids, ended like an answer and no longer than one."""
        ids = self._reader.answer_ids(self._settings.refusal) + self._request.end_ids[:1]
        return ids[: self._request.new_tokens]

    def _prompts(self, index: int, ask: PromptAsk) -> list[StepPrompt]:
        """Return what an ask about an answer comes to."""
        row = index // (self._request.settings.num_return_sequences or 1)
        follows = isinstance(ask, FollowUpAsk)
        sees_images = follows or isinstance(ask, ImageAsk)
        draft = index if follows else None
        return [StepPrompt(row, sees_images, text, draft) for text in ask.prompts]

    def _replies(self, answers: list[GeneratedAnswer], started: float) -> list[StepReply]:
        elapsed = _milliseconds_since(started)
        return [
            StepReply((self._reader.answer_text(answer.ids),), len(answer.ids), elapsed)
            for answer in answers
        ]

    def _greedy(self, ask: PromptAsk) -> CompleteSettings:
        """Return plain greedy decoding, whatever the caller or the model prefer for answers."""
        settings = CompleteSettings(**self._plain_settings)
        settings.update(
            max_length=None,
            max_new_tokens=ask.max_new_tokens,
            pad_token_id=self._request.pad_id,
            eos_token_id=self._end_ids or None,
            bos_token_id=self._request.settings.bos_token_id,
            return_dict_in_generate=True,
            output_logits=ask.step is Step.DETECT,
        )
        return settings

    def _chance_unsafe(self, logits: torch.Tensor | None) -> float | None:
        """Return p(unsafe) from the logits of the first new token, (vocabulary,)."""
        if logits is None:
            return None
        chances = logits.float().softmax(-1)
        yes, no = chances[self._yes_ids].sum(), chances[self._no_ids].sum()
        return probability_unsafe(yes.item(), no.item())


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
