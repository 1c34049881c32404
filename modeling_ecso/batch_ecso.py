"""Generates from a batch of prompts: padding, pictures, the shared image prefix, token ids out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache, StoppingCriteria, StoppingCriteriaList
from transformers.utils import logging

from .conversation_ecso import ConversationReader
from .errors_ecso import ECSOInputError
from .prefix_cache_ecso import PrefixCache, shared_prefix
from .request_ecso import GenerationRequest


logger = logging.get_logger(__name__)

# Windows of long drafts can be many times the rows of the batch; this keeps memory in bounds.
SMALLEST_FULL_BATCH = 8

# Takes unfinished sequences, by index and new ids; returns the indices of those to stop.
StopRows = Callable[[dict[int, list[int]]], set[int]]


@dataclass(frozen=True, repr=False)
class StepPrompt:
    """One prompt of a step. Has no repr: it may quote an unsafe draft.

    Args:
        row: The row it belongs to.
        sees_images: Whether it sees the row's images.
        text: The user turn.
    """

    row: int
    sees_images: bool
    text: str


class _Settled(StoppingCriteria):
    """Ends each row as soon as the rest of its answer does not matter."""

    def __init__(self, reader: ConversationReader, is_settled: Callable[[str], bool]):
        self._reader = reader
        self._is_settled = is_settled
        self._prompt_length: int | None = None

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Return for each row whether it ends here, bool, (rows,)."""
        if self._prompt_length is None:  # called first when one token has been generated
            self._prompt_length = input_ids.shape[1] - 1
        new = input_ids[:, self._prompt_length :].tolist()
        ended = [self._is_settled(self._reader.answer_text(ids)) for ids in new]
        return torch.tensor(ended, device=input_ids.device)


class _Checkpoints(StoppingCriteria):
    """Asks, after given numbers of tokens, which sequences need not be written any further."""

    def __init__(
        self, batches: "BatchRunner", prompt_length: int, at: list[int], stop_rows: StopRows
    ):
        self._batches = batches
        self._prompt_length = prompt_length
        self._at = at
        self._stop_rows = stop_rows
        self._stopped: set[int] = set()
        self._ended: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Return for each sequence whether it ends here, bool, (sequences,)."""
        if input_ids.shape[1] - self._prompt_length in self._at:
            ends = set(self._batches.end_ids)
            new = input_ids[:, self._prompt_length :].tolist()
            unfinished = {
                index: ids
                for index, ids in enumerate(new)
                if index not in self._stopped and not ends & set(ids)
            }
            if unfinished:
                self._stopped |= self._stop_rows(unfinished)
                self._ended = None
        if self._ended is None:  # made anew only after a checkpoint: this runs for every token
            ended = [index in self._stopped for index in range(len(input_ids))]
            self._ended = torch.tensor(ended, device=input_ids.device)
        return self._ended


class BatchRunner:
    """Runs prompts of one `generate()` call on the model.

    Args:
        generate: The unprotected `generate()` of the model.
        model: The model, for its configuration.
        reader: Reads and writes prompts.
        request: What the caller asked for.
        share_prefix: Whether the images are prefilled once for several steps.
    """

    def __init__(
        self,
        generate: Callable[..., Any],
        model: Any,
        reader: ConversationReader,
        request: GenerationRequest,
        share_prefix: bool,
    ):
        """Read the conversations of all rows."""
        self._generate = generate
        self._reader = reader
        self._request = request
        self._share_prefix = share_prefix
        self._text_config = model.config.get_text_config(decoder=True)
        self._longest_prompt = getattr(self._text_config, "max_position_embeddings", None)
        self._image_token_id = model.config.image_token_id
        self._prefix_cache: PrefixCache | None = None
        self.conversations = [reader.read(row.ids, row.image_token_counts) for row in request.rows]

    def run_direct(
        self, streamer: Any, checkpoints: list[int], stop_rows: StopRows
    ) -> tuple[Any, list[list[int]]]:
        """Run the caller's own prompts; return the parent's output and the new ids by sequence.

        Args:
            streamer: Where the tokens go as they come; None for nowhere.
            checkpoints: Numbers of new tokens after which to ask ``stop_rows``.
            stop_rows: Given the sequences that are not at their end, by index and new ids, returns
                the indices of those that need not be written any further.
        """
        request = self._request
        arguments = dict(request.arguments)
        prefixes = self._prefixes()
        if any(prefixes):
            cache = arguments["past_key_values"] = DynamicCache(config=self._text_config)
            padding = [row.padding for row in request.rows]
            self._prefix_cache = PrefixCache(cache, prefixes, padding, request.copies)
        if checkpoints:
            watch = _Checkpoints(self, request.prompt_length, checkpoints, stop_rows)
            own = arguments.get("stopping_criteria") or []
            arguments["stopping_criteria"] = StoppingCriteriaList([*own, watch])
        output = self._generate(**arguments, streamer=streamer)
        sequences = output
        if not isinstance(output, torch.Tensor):
            sequences = output.sequences
            # No protected call takes it back, and it is about to be cut up.
            output.past_key_values = None
        if self._prefix_cache is not None and self._prefix_cache.is_usable:
            self._prefix_cache.compact()
        return output, self.answer_ids(sequences, request.prompt_length)

    def run_all(
        self,
        prompts: list[StepPrompt],
        settings: Any,
        is_settled: Callable[[str], bool] | None = None,
    ) -> Iterator[tuple[StepPrompt, list[int], torch.Tensor | None]]:
        """Run any number of prompts, in batches, the cheapest way each allows.

        Args:
            prompts: What to run, each prompt once.
            settings: Generation settings with ``return_dict_in_generate``.
            is_settled: Tells of the beginning of an answer whether the rest is not needed.

        Yields:
            Prompt, new ids, and the logits of the first one, (vocabulary,), if asked for.
        """
        size = max(len(self._request.rows), SMALLEST_FULL_BATCH)
        cheap = [prompt for prompt in prompts if self._has_prefix(prompt)]
        plain = [prompt for prompt in prompts if not self._has_prefix(prompt)]
        for group in (cheap, plain):
            for start in range(0, len(group), size):
                batch = group[start : start + size]
                stop = None
                if is_settled is not None:
                    stop = {"stopping_criteria": [_Settled(self._reader, is_settled)]}
                output, answers = self.run(batch, settings, stop, use_prefix=group is cheap)
                logits = output.logits[0] if output.logits else [None] * len(batch)
                yield from zip(batch, answers, logits, strict=True)

    def run(
        self,
        prompts: list[StepPrompt],
        settings: Any,
        call_arguments: dict[str, Any] | None = None,
        use_prefix: bool = False,
    ) -> tuple[Any, list[list[int]]]:
        """Run prompts as one batch; return the output and the new ids by sequence.

        Args:
            prompts: What to run.
            settings: Generation settings with ``return_dict_in_generate``.
            call_arguments: Further arguments of `generate()`.
            use_prefix: Continue from the shared prefixes, which all prompts must have.

        Raises:
            ECSOInputError: A prompt is longer than the model reads.
        """
        ids = [self._token_ids(prompt) for prompt in prompts]
        inputs = self._after_prefix(prompts, ids) if use_prefix else self._whole(prompts, ids)
        output = self._generate(
            **inputs,
            generation_config=settings,
            **self._request.model_arguments,
            **(call_arguments or {}),
        )
        return output, self.answer_ids(output.sequences, inputs["input_ids"].shape[1])

    def answer_ids(self, sequences: torch.Tensor, prompt_length: int) -> list[list[int]]:
        """Return what was generated, by sequence, up to and including the end token.

        Args:
            sequences: Long, (sequences, prompt + answer).
            prompt_length: Length of the padded prompts, in tokens.
        """
        ends = set(self.end_ids)
        answers = []
        for row in sequences[:, prompt_length:].tolist():
            end = next((at for at, token in enumerate(row) if token in ends), None)
            if end is not None:
                row = row[: end + 1]
            while end is None and row and row[-1] == self.pad_id:
                row.pop()
            answers.append(row)
        return answers

    @property
    def end_ids(self) -> list[int]:
        """The ids that end an answer."""
        ends = self._request.settings.eos_token_id
        if ends is None:
            return []
        return list(ends) if isinstance(ends, list | tuple) else [ends]

    @property
    def pad_id(self) -> int:
        """The id that fills rows shorter than the longest."""
        pad = self._request.settings.pad_token_id
        return pad if pad is not None else next(iter(self.end_ids), 0)

    def _prefixes(self) -> list[list[int]]:
        """Return what direct, detect and caption have in common, by row; nothing if not shared."""
        request = self._request
        if not self._share_prefix:
            return []
        if not request.keeps_a_plain_cache:
            logger.debug("ECSO: this way of decoding shares no image prefix; same answer, slower")
            return []
        return [
            shared_prefix(row.ids, self._reader.write(said, "", True), self._image_token_id)
            if row.image_token_counts
            else []
            for row, said in zip(request.rows, self.conversations, strict=True)
        ]

    def _has_prefix(self, prompt: StepPrompt) -> bool:
        cache = self._prefix_cache
        if cache is None or not prompt.sees_images:
            return False
        return bool(cache.prefixes[prompt.row]) and cache.is_usable

    def _token_ids(self, prompt: StepPrompt) -> list[int]:
        said = self.conversations[prompt.row]
        ids = self._reader.write(said, prompt.text, prompt.sees_images)
        if self._longest_prompt and len(ids) >= self._longest_prompt:
            raise ECSOInputError(
                f"a step's prompt has {len(ids)} tokens, the model reads {self._longest_prompt}"
            )
        return ids

    def _whole(self, prompts: list[StepPrompt], ids: list[list[int]]) -> dict[str, Any]:
        input_ids, attention_mask = self._left_padded(ids)
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        rows = [self._request.rows[prompt.row] for prompt in prompts if prompt.sees_images]
        pixels = [row.pixel_values for row in rows if row.pixel_values is not None]
        if pixels:
            inputs["pixel_values"] = torch.cat(pixels)
        return inputs

    def _after_prefix(self, prompts: list[StepPrompt], ids: list[list[int]]) -> dict[str, Any]:
        cache = self._prefix_cache
        rows = [prompt.row for prompt in prompts]
        heads = [cache.prefixes[row] for row in rows]
        tails = [whole[len(head) :] for whole, head in zip(ids, heads, strict=True)]
        head_ids, head_mask = self._left_padded(heads, cache.length)
        tail_ids, tail_mask = self._left_padded(tails)
        return {
            "input_ids": torch.cat([head_ids, tail_ids], dim=1),
            "attention_mask": torch.cat([head_mask, tail_mask], dim=1),
            "past_key_values": cache.for_rows(rows),
        }

    def _left_padded(
        self, ids: list[list[int]], length: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and mask, long, (prompts, longest of them or ``length``)."""
        longest = length or max(map(len, ids))
        device = self._request.input_ids.device
        padded = [[self.pad_id] * (longest - len(row)) + row for row in ids]
        mask = [[0] * (longest - len(row)) + [1] * len(row) for row in ids]
        return torch.tensor(padded, device=device), torch.tensor(mask, device=device)
