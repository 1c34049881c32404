"""From prompts of the steps to model inputs: padding, images, and what is in a cache already."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.utils import logging

from .call_ecso import Call
from .errors_ecso import ECSOInputError
from .prefix_cache_ecso import PrefixCache, shared_prefix


logger = logging.get_logger(__name__)

# Windows of long drafts can be many times the rows of the batch; this keeps memory in bounds.
SMALLEST_FULL_BATCH = 8


@dataclass(frozen=True, repr=False)
class StepPrompt:
    """One prompt of a step. Has no repr: it may quote an unsafe draft.

    Args:
        row: The row it belongs to.
        sees_images: Whether it sees the row's images.
        text: The user turn.
        draft: Index of the draft that the turn follows in its own conversation; None: the turn
            stands alone.
    """

    row: int
    sees_images: bool
    text: str
    draft: int | None = None


class StepInputs:
    """Makes the inputs of `generate()` for the prompts of one protected call.

    Args:
        call: What was asked for.
    """

    def __init__(self, call: Call):
        """Prepare; nothing is kept yet."""
        self._call = call
        self._text_config = call.model.config.get_text_config(decoder=True)
        self._longest_prompt = getattr(self._text_config, "max_position_embeddings", None)
        self._cache: Any = None  # a PrefixCache, where one is kept
        self._drafts: Any = None  # ids by sequence, once they are written
        self._draft_lengths: list[int] = []

    def direct_cache(self) -> DynamicCache | None:
        """Return an empty cache for the direct step to fill; None where none is to be kept."""
        call, request = self._call, self._call.request
        if not call.ecso_config.share_image_prefix:
            return None
        if not request.keeps_a_plain_cache:
            logger.debug("ECSO: this way of decoding shares no image prefix; same answer, slower")
            return None
        prefixes = [
            shared_prefix(
                row.ids,
                call.reader.write(row.conversation, "", True),
                call.model.config.image_token_id,
            )
            for row in request.rows
        ]
        if not any(prefixes) and call.ecso_config.follow_up_prompt is None:
            return None  # no later step begins with what the direct step has read
        cache = DynamicCache(config=self._text_config)
        padding = [row.padding or 0 for row in request.rows]
        self._cache = PrefixCache(cache, prefixes, padding, request.sequences_per_row)
        return cache

    def take_drafts(self, drafts: list[list[int]]) -> None:
        """Note what the direct step wrote, by sequence: ids without padding."""
        rows, end_ids = self._call.request.rows, self._call.request.end_ids
        self._drafts = [draft[:-1] if draft and draft[-1] in end_ids else draft for draft in drafts]
        if self._cache is not None and not self._cache.is_usable:
            self._cache = None
        if self._cache is None:
            return
        # Of each draft; never the last token.
        in_cache = self._cache.length - self._call.request.input_ids.shape[1]
        copies = len(drafts) // len(rows)
        self._draft_lengths = [
            len(rows[index // copies].ids) + min(len(draft), in_cache)
            for index, draft in enumerate(self._drafts)
        ]

    def batches(
        self, prompts: list[StepPrompt]
    ) -> Iterator[tuple[list[StepPrompt], dict[str, Any]]]:
        """Yield prompts batch by batch with their inputs, the cheapest way each allows.

        The inputs hold ``past_key_values``, good for this batch alone, where some of a prompt need
        not be read again.

        Args:
            prompts: What to run, each prompt once.

        Raises:
            ECSOInputError: A prompt is longer than the model reads.
        """
        size = max(len(self._call.request.rows), SMALLEST_FULL_BATCH)
        ways: dict[Callable[..., dict[str, Any]], list[StepPrompt]] = {}
        for prompt in prompts:
            ways.setdefault(self._way_of(prompt), []).append(prompt)
        for inputs_of, group in ways.items():
            for start in range(0, len(group), size):
                batch = group[start : start + size]
                yield batch, inputs_of(batch)

    def whole(self, prompts: list[StepPrompt]) -> dict[str, Any]:
        """Return inputs that begin at the beginning, with pixels.

        Raises:
            ECSOInputError: A prompt is longer than the model reads.
        """
        input_ids, attention_mask = self._left_padded([self._token_ids(p) for p in prompts])
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        rows = [self._call.request.rows[prompt.row] for prompt in prompts if prompt.sees_images]
        pixels = [row.pixel_values for row in rows if row.pixel_values is not None]
        if pixels:
            inputs["pixel_values"] = torch.cat(pixels)
        return inputs

    def _way_of(self, prompt: StepPrompt) -> Callable[[list[StepPrompt]], dict[str, Any]]:
        cache = self._cache
        if cache is None:
            return self.whole
        is_written = self._drafts is not None  # from then on it is known to be usable
        if not is_written and not cache.is_usable:
            return self.whole
        if prompt.draft is not None:
            # Of beams, the one that won need not lie where it is in the output.
            return self._after_draft if self._call.request.writes_token_by_token else self.whole
        if prompt.sees_images and cache.prefixes[prompt.row]:
            return self._after_prefix
        return self.whole

    def _after_draft(self, prompts: list[StepPrompt]) -> dict[str, Any]:
        self._cache.keep_drafts(self._draft_lengths)
        drafts = [prompt.draft for prompt in prompts if prompt.draft is not None]
        lengths = [self._draft_lengths[draft] for draft in drafts]
        return self._after(self._cache.for_sequences(drafts, lengths), lengths, prompts)

    def _after_prefix(self, prompts: list[StepPrompt]) -> dict[str, Any]:
        rows = [prompt.row for prompt in prompts]
        lengths = [len(self._cache.prefixes[row]) for row in rows]
        cache = self._cache.for_rows(rows, is_written=self._drafts is not None)
        return self._after(cache, lengths, prompts)

    def _after(
        self, cache: DynamicCache, lengths: list[int], prompts: list[StepPrompt]
    ) -> dict[str, Any]:
        """Return inputs that go on from a cache which holds the first ``lengths`` tokens."""
        ids = [self._token_ids(prompt) for prompt in prompts]
        heads = [whole[:length] for whole, length in zip(ids, lengths, strict=True)]
        tails = [whole[length:] for whole, length in zip(ids, lengths, strict=True)]
        head_ids, head_mask = self._left_padded(heads)
        tail_ids, tail_mask = self._left_padded(tails)
        return {
            "input_ids": torch.cat([head_ids, tail_ids], dim=1),
            "attention_mask": torch.cat([head_mask, tail_mask], dim=1),
            "past_key_values": cache,
        }

    def _token_ids(self, prompt: StepPrompt) -> list[int]:
        row, reader = self._call.request.rows[prompt.row], self._call.reader
        if prompt.draft is None:
            ids = reader.write(row.conversation, prompt.text, prompt.sees_images)
        else:
            question = reader.follow_up_ids(prompt.text)
            ids = [*row.ids, *self._drafts[prompt.draft], *question]
        if self._longest_prompt and len(ids) >= self._longest_prompt:
            raise ECSOInputError(
                f"a step's prompt has {len(ids)} tokens, the model reads {self._longest_prompt}"
            )
        return ids

    def _left_padded(self, ids: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and mask, long, (prompts, longest of them)."""
        longest = max(map(len, ids))
        device = self._call.request.input_ids.device
        pad = self._call.request.pad_id
        padded = [[pad] * (longest - len(row)) + row for row in ids]
        mask = [[0] * (longest - len(row)) + [1] * len(row) for row in ids]
        return torch.tensor(padded, device=device), torch.tensor(mask, device=device)
