"""Runs the steps on the model: a batch of prompts in, replies out. Decides nothing."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig

from .conversation_ecso import Conversation, ConversationReader
from .errors_ecso import ECSOInputError
from .protocol_ecso import ImageAsk, Reply, TextAsk
from .request_ecso import GenerationRequest
from .settings_ecso import ECSOConfig
from .trace_ecso import Step
from .verdict_ecso import probability_unsafe


# Windows of long drafts can be many times the rows of the batch; this keeps memory in bounds.
SMALLEST_FULL_BATCH = 8


@dataclass(repr=False)
class Answer:
    """Token ids that may become the answer. Has no repr: it may be an unsafe draft.

    Args:
        ids: Ids after the prompt, up to and including the end token, without padding.
        output: The output of the `generate()` call they come from.
        index: Their row in that output.
    """

    ids: list[int]
    output: Any
    index: int


class StepRunner:
    """Runs asks of one `generate()` call.

    Args:
        generate: The unprotected `generate()` of the model.
        model: The model, for its configuration.
        reader: Reads and writes prompts.
        request: What the caller asked for.
        settings: The protocol's settings.
    """

    def __init__(
        self,
        generate: Callable[..., Any],
        model: Any,
        reader: ConversationReader,
        request: GenerationRequest,
        settings: ECSOConfig,
    ):
        """Read the conversations of all rows."""
        self._generate = generate
        self._reader = reader
        self._request = request
        self._settings = settings
        text_config = model.config.get_text_config()
        self._longest_prompt = getattr(text_config, "max_position_embeddings", None)
        self._step_defaults = model.generation_config._get_default_generation_params()
        self._yes_ids, self._no_ids = reader.word_ids("yes"), reader.word_ids("no")
        if settings.verdict == "logits" and not (self._yes_ids and self._no_ids):
            raise ECSOInputError(
                "ecso.verdict 'logits' needs a tokenizer in which yes and no are single tokens; "
                "use 'normalized'"
            )
        self.conversations: list[Conversation] = [
            reader.read(row.ids, row.image_token_counts) for row in request.rows
        ]

    def answer_directly(self, streamer: Any = None) -> tuple[Any, list[Answer], list[Reply]]:
        """Run the direct step, exactly as the parent class would.

        Returns:
            The parent's output, and for each of its sequences the answer and the reply in it.
        """
        started = time.perf_counter()
        output = self._generate(**self._request.arguments, streamer=streamer)
        sequences = output if isinstance(output, torch.Tensor) else output.sequences
        answers = [
            Answer(ids, output, index)
            for index, ids in enumerate(self._answer_ids(sequences, self._request.prompt_length))
        ]
        elapsed = _milliseconds_since(started)
        replies = [
            Reply((self._reader.answer_text(answer.ids),), len(answer.ids), elapsed)
            for answer in answers
        ]
        return output, answers, replies

    def ask(self, asks: list[tuple[int, TextAsk | ImageAsk]]) -> list[Reply]:
        """Run a detect or caption step for several rows at once.

        Equal prompts to the same row are asked once, since these steps are deterministic.

        Args:
            asks: Row index and ask, all of one step.

        Returns:
            One reply for each ask, in order.
        """
        started = time.perf_counter()
        keys = [
            (row, isinstance(ask, ImageAsk), prompt) for row, ask in asks for prompt in ask.prompts
        ]
        unique = list(dict.fromkeys(keys))
        settings = self._step_settings(asks[0][1])
        size = max(len(self._request.rows), SMALLEST_FULL_BATCH)
        results: dict[Any, tuple[list[int], float | None]] = {}
        for start in range(0, len(unique), size):
            chunk = unique[start : start + size]
            output, answers = self._run(chunk, settings, {})
            chances = self._chances_unsafe(output) if output.logits else [None] * len(chunk)
            results.update(zip(chunk, zip(answers, chances, strict=True), strict=True))
        elapsed = _milliseconds_since(started)
        in_order = iter(keys)
        replies = []
        for _, ask in asks:
            found = [results[next(in_order)] for _ in ask.prompts]
            replies.append(
                Reply(
                    texts=tuple(self._reader.answer_text(ids) for ids, _ in found),
                    tokens=sum(len(ids) for ids, _ in found),
                    milliseconds=elapsed,
                    p_unsafe=tuple(chance for _, chance in found),
                )
            )
        return replies

    def answer_safely(
        self, asks: list[tuple[int, TextAsk | ImageAsk]]
    ) -> tuple[list[Answer], list[Reply]]:
        """Run the safe step with the caller's own generation settings.

        Several answers to one row (beams, samples) are generated together, so that they differ.

        Args:
            asks: Row index and ask; a row stands here once for each answer that is wanted.
        """
        started = time.perf_counter()
        keys = [(row, isinstance(ask, ImageAsk), ask.prompts[0]) for row, ask in asks]
        unique = list(dict.fromkeys(keys))
        each = max(keys.count(key) for key in unique)
        limit = min(self._request.new_tokens, asks[0][1].max_new_tokens or self._request.new_tokens)
        settings = self._request.answer_settings(limit, each)
        output, ids = self._run(unique, settings, self._request.call_arguments)
        taken = dict.fromkeys(unique, 0)
        answers = []
        for key in keys:
            index = unique.index(key) * each + taken[key]
            taken[key] += 1
            answers.append(Answer(ids[index], output, index))
        elapsed = _milliseconds_since(started)
        replies = [
            Reply((self._reader.answer_text(answer.ids),), len(answer.ids), elapsed)
            for answer in answers
        ]
        return answers, replies

    def refusal(self) -> list[int]:
        """Return the configured refusal as ids, ended like an answer and no longer than one."""
        ids = self._reader.answer_ids(self._settings.refusal) + self._end_ids()[:1]
        return ids[: self._request.new_tokens]

    def _run(
        self, keys: list[tuple[int, bool, str]], settings: Any, call_arguments: dict[str, Any]
    ) -> tuple[Any, list[list[int]]]:
        """Generate from one prompt for each key: row, whether it sees the images, text."""
        request = self._request
        prompts, images = [], []
        for row, with_images, text in keys:
            prompt = self._reader.write(self.conversations[row], text, with_images)
            if self._longest_prompt and len(prompt) >= self._longest_prompt:
                raise ECSOInputError(
                    f"a step's prompt has {len(prompt)} tokens, the model reads up to "
                    f"{self._longest_prompt}"
                )
            prompts.append(prompt)
            if with_images and request.rows[row].pixel_values is not None:
                images.append(request.rows[row].pixel_values)
        input_ids, attention_mask = self._left_padded(prompts)
        output = self._generate(
            input_ids=input_ids,
            attention_mask=attention_mask,
            generation_config=settings,
            **({"pixel_values": torch.cat(images)} if images else {}),
            **request.model_arguments,
            **call_arguments,
        )
        return output, self._answer_ids(output.sequences, input_ids.shape[1])

    def _left_padded(self, prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and mask, long, (prompts, longest prompt)."""
        longest = max(map(len, prompts))
        device = self._request.input_ids.device
        pad = self._pad_id()
        ids = [[pad] * (longest - len(prompt)) + prompt for prompt in prompts]
        mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)

    def _step_settings(self, ask: TextAsk | ImageAsk) -> GenerationConfig:
        """Return plain greedy decoding, whatever the caller or the model prefer for answers."""
        merged = self._request.settings
        settings = GenerationConfig(**self._step_defaults)
        settings.update(
            max_length=None,
            max_new_tokens=ask.max_new_tokens,
            pad_token_id=self._pad_id(),
            eos_token_id=merged.eos_token_id,
            bos_token_id=merged.bos_token_id,
            return_dict_in_generate=True,
            output_logits=ask.step is Step.DETECT,
        )
        return settings

    def _chances_unsafe(self, output: Any) -> list[float | None]:
        """Return p(unsafe) for each row, from the first new token."""
        chances = output.logits[0].float().softmax(-1)  # (rows, vocabulary)
        yes = chances[:, self._yes_ids].sum(-1).tolist()
        no = chances[:, self._no_ids].sum(-1).tolist()
        return [probability_unsafe(*masses) for masses in zip(yes, no, strict=True)]

    def _answer_ids(self, sequences: torch.Tensor, prompt_length: int) -> list[list[int]]:
        """Return what was generated, row by row, up to and including the end token."""
        ends, pad = set(self._end_ids()), self._pad_id()
        answers = []
        for row in sequences[:, prompt_length:].tolist():
            end = next((at for at, token in enumerate(row) if token in ends), None)
            if end is not None:
                row = row[: end + 1]
            while end is None and row and row[-1] == pad:
                row.pop()
            answers.append(row)
        return answers

    def _end_ids(self) -> list[int]:
        ends = self._request.settings.eos_token_id
        if ends is None:
            return []
        return list(ends) if isinstance(ends, list | tuple) else [ends]

    def _pad_id(self) -> int:
        pad = self._request.settings.pad_token_id
        return pad if pad is not None else next(iter(self._end_ids()), 0)

    @property
    def pad_id(self) -> int:
        """The id that fills rows shorter than the longest."""
        return self._pad_id()


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
