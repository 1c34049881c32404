"""From prompts of the steps to model inputs: padding, images, and what is in a cache already."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from transformers import DynamicCache
from transformers.utils import logging

from .call_ecso import Call
from .errors_ecso import ECSOInputError
from .prefix_cache_ecso import CacheKind, PrefixCache, shared_prefix
from .prefix_first_ecso import prefixes_first
from .requirements_ecso import CACHE_ARGUMENT
from .sharing_ecso import MAY_SHARE
from .step_batch_ecso import StepBatch, StepPrompt
from .token_tensors_ecso import Piece


logger = logging.get_logger(__name__)

# Windows of long drafts can be many times the rows of the batch; this keeps memory in bounds.
SMALLEST_FULL_BATCH = 8


# Makes a batch of prompts, the cheapest way they allow.
_Way = Callable[[list[StepPrompt]], StepBatch]


class StepInputs:
    """Makes the inputs of `generate()` for the prompts of one protected call.

    Args:
        call: What was asked for.
    """

    def __init__(self, call: Call):
        """Prepare; nothing is kept yet."""
        self._call = call
        text_config = call.model.config.get_text_config(decoder=True)
        self._longest_prompt = getattr(text_config, "max_position_embeddings", None)
        self._cache_kind = CacheKind.of(text_config)
        self._cache: Any = None  # a PrefixCache, where one is kept
        self._first: Any = None  # a PrefixFirst
        self._prefixes: list[list[int]] = [[] for _ in call.request.rows]
        self._drafts: Any = None  # ids by sequence, once they are written
        self._draft_lengths: list[int] = []

    def direct_arguments(self) -> dict[str, Any]:
        """Return the caller's arguments, with a cache where later steps go on from it."""
        call, request = self._call, self._call.request
        arguments = dict(request.arguments)
        shares = call.ecso_config.share_image_prefix and MAY_SHARE.get(call.model) is not False
        if shares and not request.keeps_a_plain_cache:
            logger.debug("ECSO: this way of decoding shares no image prefix; same answer, slower")
            shares = False
        if not shares:
            return arguments
        self._prefixes = [
            shared_prefix(row.ids, call.reader.write(said, "", True).ids, said.images)
            for row in request.rows
            for said in [row.conversation]
        ]
        if not any(self._prefixes) and call.ecso_config.follow_up_prompt is None:
            return arguments  # no later step begins with what the direct step has read
        if not self._cache_kind.can_be_cut:
            found = prefixes_first(call, self._prefixes, arguments, self._beginnings)
            self._first, arguments = found
            return arguments
        # Without a configuration, so that no layer forgets what lies outside its window.
        arguments[CACHE_ARGUMENT] = DynamicCache()
        padding = [row.padding or 0 for row in request.rows]
        self._cache = PrefixCache(
            arguments[CACHE_ARGUMENT], self._prefixes, padding, request.sequences_per_row
        )
        return arguments

    def _beginnings(self, lengths: dict[int, int]) -> dict[str, Any]:
        """Return arguments of `generate()` for beginnings of rows with the images of these rows."""
        parts = [self._own(row, length) for row, length in lengths.items()]
        return {**self._padded(parts), **self._features_of(list(lengths))}

    def take_drafts(self, drafts: list[list[int]]) -> None:
        """Note what the direct step wrote, by sequence: ids without padding."""
        rows, end_ids = self._call.request.rows, self._call.request.end_ids
        self._drafts = [draft[:-1] if draft and draft[-1] in end_ids else draft for draft in drafts]
        if self._cache is None or not self._cache.is_usable:
            self._cache = None
            return
        # Of each draft; never the last token.
        in_cache = self._cache.length - self._call.request.input_ids.shape[1]
        copies = len(drafts) // len(rows)
        self._draft_lengths = [
            len(rows[index // copies].ids) + min(len(draft), in_cache)
            for index, draft in enumerate(self._drafts)
        ]

    def batches(self, prompts: list[StepPrompt]) -> Iterator[StepBatch]:
        """Yield prompts batch by batch with their inputs, the cheapest way each allows.

        Args:
            prompts: What to run, each prompt once.

        Raises:
            ECSOInputError: A prompt is longer than the model reads.
        """
        size = max(len(self._call.request.rows), SMALLEST_FULL_BATCH)
        groups: dict[tuple[_Way, int], list[StepPrompt]] = {}
        for prompt in prompts:
            way = self._way_of(prompt)
            groups.setdefault((way, self._rest_that_counts(way, prompt)), []).append(prompt)
        for (way, _), group in groups.items():
            if way == self._in_place:
                yield from self._all_in_place(group)
                continue
            for start in range(0, len(group), size):
                yield way(group[start : start + size])

    def alternatives(self, prompt: StepPrompt) -> tuple[StepBatch, StepBatch] | None:
        """Return a prompt that goes on from a prefix and the same from its beginning.

        None where it would be run from its beginning anyway.
        """
        way, whole = self._way_of(prompt), self._whole_way_of(prompt)
        return None if way == whole else (way([prompt]), whole([prompt]))

    def share_no_more(self) -> None:
        """Run every prompt from its beginning from now on."""
        self._cache = self._first = None

    def _rest_that_counts(self, way: _Way, prompt: StepPrompt) -> int:
        """Return how much of a prompt is not in a cache, where that must be alike in a batch."""
        kind = self._cache_kind
        if way == self._whole_way_of(prompt) or (kind.can_be_cut and kind.window is None):
            return 0
        length = len(self._made_of(prompt)[0])
        longest = max(len(row.ids) for row in self._call.request.rows)
        # Padding lies in the middle of a batch, and a window would count it.
        if kind.can_be_cut and kind.window and 2 * max(length, longest) < kind.window:
            return 0
        return length - self._head_of(prompt)

    def _head_of(self, prompt: StepPrompt) -> int:
        """Return how many tokens of a prompt a cache holds."""
        if prompt.draft is not None:
            return self._draft_lengths[prompt.draft]
        return len(self._prefixes[prompt.row])

    def whole_batches(self, prompts: list[StepPrompt]) -> list[StepBatch]:
        """Return prompts with inputs that begin at the beginning, in as few batches as can be.

        Args:
            prompts: What to run, each prompt once.

        Raises:
            ECSOInputError: A prompt is longer than the model reads.
        """
        as_given = [prompt for prompt in prompts if self._needs_place(prompt)]
        others = [prompt for prompt in prompts if not self._needs_place(prompt)]
        return [*([self._whole(others)] if others else []), *self._all_in_place(as_given)]

    def _needs_place(self, prompt: StepPrompt) -> bool:
        """Return whether a prompt shows images that the model takes as the caller gave them."""
        request = self._call.request
        return bool(
            request.image_tensors and prompt.sees_images and request.rows[prompt.row].image_tokens
        )

    def _whole_way_of(self, prompt: StepPrompt) -> _Way:
        return self._in_place if self._needs_place(prompt) else self._whole

    def _way_of(self, prompt: StepPrompt) -> _Way:
        whole = self._whole_way_of(prompt)
        has_prefix = bool(prompt.sees_images and self._prefixes[prompt.row])
        if self._first is not None:
            return self._after_first if has_prefix and prompt.draft is None else whole
        cache = self._cache
        if cache is None:
            return whole
        is_written = self._drafts is not None  # from then on it is known to be usable
        if not is_written and not cache.is_usable:
            return whole
        if prompt.draft is not None:
            # Of beams, the one that won need not lie where it is in the output.
            return self._after_draft if self._call.request.writes_token_by_token else whole
        return self._after_prefix if has_prefix else whole

    def _whole(self, prompts: list[StepPrompt]) -> StepBatch:
        """Return prompts that begin at the beginning, with the features of their images."""
        inputs = self._padded([(p.row, *self._made_of(p)) for p in prompts])
        inputs |= self._features_of([prompt.row for prompt in prompts if prompt.sees_images])
        return self._batch(prompts, inputs)

    def _features_of(self, rows: list[int]) -> dict[str, Any]:
        features = self._call.request.features
        return features.of_rows(rows) if features else {}

    def _all_in_place(self, prompts: list[StepPrompt]) -> Iterator[StepBatch]:
        """Yield prompts in place, those of one row one after the other."""
        waiting = list(prompts)
        while waiting:
            first = {prompt.row: prompt for prompt in reversed(waiting)}
            yield self._in_place(list(first.values()))
            waiting = [prompt for prompt in waiting if prompt is not first[prompt.row]]

    def _in_place(self, prompts: list[StepPrompt]) -> StepBatch:
        """Return the caller's batch with some of its prompts replaced, and its images as given."""
        request = self._call.request
        rows = list(range(len(request.rows)))
        parts = {row: self._own(row) for row in rows}
        parts |= {prompt.row: (prompt.row, *self._made_of(prompt)) for prompt in prompts}
        inputs = {**self._padded(list(parts.values())), **request.image_tensors}
        return StepBatch(prompts, inputs, rows, [prompt.row for prompt in prompts])

    def _after_draft(self, prompts: list[StepPrompt]) -> StepBatch:
        self._cache.keep_drafts(self._draft_lengths)
        drafts = [prompt.draft for prompt in prompts if prompt.draft is not None]
        lengths = [self._draft_lengths[draft] for draft in drafts]
        return self._after(self._cache.for_sequences(drafts, lengths), prompts)

    def _after_prefix(self, prompts: list[StepPrompt]) -> StepBatch:
        rows = [prompt.row for prompt in prompts]
        cache = self._cache.for_rows(rows, is_written=self._drafts is not None)
        return self._after(cache, prompts)

    def _after_first(self, prompts: list[StepPrompt]) -> StepBatch:
        first = self._first
        return self._after(first.for_rows([prompt.row for prompt in prompts]), prompts, first.width)

    def _after(self, cache: Any, prompts: list[StepPrompt], width: int = 0) -> StepBatch:
        """Return prompts that go on from a cache, whose rows are that wide or as the longest."""
        parts = [(prompt.row, *self._made_of(prompt)) for prompt in prompts]
        inputs = self._padded(parts, [self._head_of(prompt) for prompt in prompts], width)
        return self._batch(prompts, {**inputs, CACHE_ARGUMENT: cache})

    def _batch(self, prompts: list[StepPrompt], inputs: dict[str, Any]) -> StepBatch:
        rows = [prompt.row for prompt in prompts]
        return StepBatch(prompts, inputs, rows, list(range(len(prompts))))

    def _own(self, row: int, length: int | None = None) -> tuple[int, list[int], list[Piece]]:
        """Return the beginning of a row's own prompt: row, ids, and what they are made of."""
        ids = self._call.request.rows[row].ids[:length]
        return row, ids, [Piece(len(ids), 0)]

    def _made_of(self, prompt: StepPrompt) -> tuple[list[int], list[Piece]]:
        """Return a prompt's ids and what they are made of."""
        row, reader = self._call.request.rows[prompt.row], self._call.reader
        if prompt.draft is None:
            ids, starts = reader.write(row.conversation, prompt.text, prompt.sees_images)
            pieces, at = [], 0
            for block, start in zip(row.conversation.images, starts, strict=False):
                # What stands in front of an image is like what stood there: it may not see it.
                before = Piece(start - at, like=block.start - 1)
                pieces += [before, Piece(len(block.ids), block.start)]
                at = start + len(block.ids)
        else:
            question = reader.follow_up_ids(prompt.text)
            ids = [*row.ids, *self._drafts[prompt.draft], *question]
            pieces, at = [Piece(len(row.ids), 0)], len(row.ids)
        if self._longest_prompt and len(ids) >= self._longest_prompt:
            raise ECSOInputError(
                f"a step's prompt has {len(ids)} tokens, the model reads {self._longest_prompt}"
            )
        return ids, [*pieces, Piece(len(ids) - at)]

    def _padded(
        self,
        parts: list[tuple[int, list[int], list[Piece]]],
        heads: list[int] | None = None,
        width: int = 0,
    ) -> dict[str, Any]:
        """Return ids, mask and what goes with each token, (prompts, longest).

        Args:
            parts: For each prompt its row, its ids, and what they are made of.
            heads: How many ids of each prompt a cache holds, which are padded by themselves.
            width: How wide these are padded at least.
        """
        ids = [ids for _, ids, _ in parts]
        heads = heads or [0] * len(parts)
        before = self._left_padded(
            [each[:head] for each, head in zip(ids, heads, strict=True)], width
        )
        behind = self._left_padded([each[head:] for each, head in zip(ids, heads, strict=True)])
        input_ids, mask = (torch.cat(halves, dim=1) for halves in zip(before, behind, strict=True))
        given = {"input_ids": input_ids, "attention_mask": mask}
        tensors = self._call.request.token_tensors
        if tensors is not None:
            given |= tensors.of_prompts([(row, made_of) for row, _, made_of in parts], mask)
        return given

    def _left_padded(
        self, ids: list[list[int]], width: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and mask, long, (prompts, longest of them or the width)."""
        longest = max(width, *map(len, ids))
        pad, device = self._call.request.pad_id, self._call.request.input_ids.device
        padded = [[pad] * (longest - len(row)) + row for row in ids]
        mask = [[0] * (longest - len(row)) + [1] * len(row) for row in ids]
        both = torch.tensor([padded, mask], dtype=torch.long, device=device)
        return both[0], both[1]
