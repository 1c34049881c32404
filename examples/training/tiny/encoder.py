"""Turns examples into token ids, packed so that examples about one image share it."""

from dataclasses import dataclass, fields

import torch
from transformers import LlavaProcessor

from .examples_of_world import Example


IGNORED = -100

_PROMPT_MARK = "\ue100"
_SHARED, _PADDING = -1, -2


class Encoder:
    """Turns examples into token ids, framed as the processor frames them.

    Args:
        processor: The processor that the model will be used with.
        patches: Image tokens of one image.
    """

    def __init__(self, processor: LlavaProcessor, patches: int):
        """Render the two frames once; the template is the same for every prompt."""
        self._tokenizer = processor.tokenizer
        image_tokens = processor.image_token * patches
        self._frames = {
            shows: render(processor, _PROMPT_MARK, shows).replace(
                processor.image_token, image_tokens
            )
            for shows in (False, True)
        }
        before_question = self._tokenizer(self._frames[True].split(_PROMPT_MARK)[0]).input_ids
        self._length_with_image = before_question.index(processor.image_token_id) + patches

    def prompt_ids(self, example: Example) -> list[int]:
        """Return the ids of the prompt, image tokens included."""
        frame = self._frames[example.shows_image]
        return self._tokenizer(frame.replace(_PROMPT_MARK, example.prompt)).input_ids

    def answer_ids(self, example: Example) -> list[int]:
        """Return the ids that the model is to generate, end token included."""
        ids = self._tokenizer(f" {example.answer}", add_special_tokens=False).input_ids
        return [*ids, self._tokenizer.eos_token_id]

    def batch(self, rows: list[list[Example]]) -> "Batch":
        """Return rows of examples that share an image, padded on the right.

        Args:
            rows: In each row, examples about one image, or a single one without.
        """
        packed = [self._pack(row) for row in rows]
        longest = max(len(row) for row in packed)
        padding = (self._tokenizer.pad_token_id, IGNORED, 0, _PADDING)
        table = torch.tensor([row + [padding] * (longest - len(row)) for row in packed])
        return Batch(*table.unbind(-1))

    def _pack(self, examples: list[Example]) -> list[tuple[int, int, int, int]]:
        """Return id, label, position and part for each token of a row."""
        prompts = [self.prompt_ids(example) for example in examples]
        shared = self._length_with_image if examples[0].shows_image else 0
        row = [(token, IGNORED, place, _SHARED) for place, token in enumerate(prompts[0][:shared])]
        for part, (prompt, example) in enumerate(zip(prompts, examples, strict=True)):
            question, answer = prompt[shared:], self.answer_ids(example)
            labels = [IGNORED] * len(question) + answer
            for place, (token, label) in enumerate(zip(question + answer, labels, strict=True)):
                row.append((token, label, shared + place, part))
        return row


@dataclass
class Batch:
    """Rows of examples; all ``(rows, length)``.

    Args:
        ids: Token ids.
        labels: What each token is learned as, ``IGNORED`` outside of answers.
        positions: Place within the example, counted from the start of the row.
        parts: Number of the example in its row, ``_SHARED`` for the image before all of them.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    parts: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))

    def mask(self) -> torch.Tensor:
        """Return what each token sees: the image, and its own example up to itself.

        Returns:
            Boolean, ``(rows, 1, length, length)``.
        """
        seen = self.parts[:, None, :]
        length = self.ids.shape[1]
        earlier = torch.ones(length, length, dtype=torch.bool, device=self.ids.device).tril()
        return (earlier & ((seen == _SHARED) | (seen == self.parts[:, :, None])))[:, None]


def render(processor: LlavaProcessor, prompt: str, shows_image: bool) -> str:
    """Return a conversation of one user turn in the model's chat format."""
    content = [{"type": "image"}] * shows_image + [{"type": "text", "text": prompt}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
