"""What goes with each token of a prompt: positions that a model counts in its own way, and more.

Some families place the tokens of an image in two dimensions, some are told token by token what is
image and what is text. For the caller's own prompts the model itself says which, once; in the
prompt of a step, images keep what they had, and text around them goes on by one.

    caller's prompt     text  image  text …      positions  0 1 2 | 3 3 4 4 | 5 6 7 …
    a step's prompt     text  image  other text             0 1 2 | 3 3 4 4 | 5 6 …

Covered: images that come to stand elsewhere, behind other text than before; padding anywhere.
Not covered: models that place text otherwise than one by one.
"""

from typing import Any, NamedTuple

import torch


class Piece(NamedTuple):
    """A part of a prompt.

    Args:
        length: Its number of tokens.
        start: Where it stands in the caller's prompt of the same row; None for new text.
        like: The place in that prompt of a token that new text is like; -1 for the last.
    """

    length: int
    start: int | None = None
    like: int = -1


class TokenTensors:
    """The tensors that go with each token of the caller's prompts.

    Args:
        positions: Long, (dimensions, batch, length), as the model counts them; None where it counts
            tokens one by one.
        tensors: By name, each (batch, length, …).
        kept: For each row the places of its tokens in the batch, padding left out; long.
    """

    def __init__(
        self,
        positions: torch.Tensor | None,
        tensors: dict[str, torch.Tensor],
        kept: list[torch.Tensor],
    ):
        """Keep them."""
        self._positions = positions
        self._tensors = tensors
        self._kept = kept

    def of_prompts(
        self, prompts: list[tuple[int, list[Piece]]], mask: torch.Tensor
    ) -> dict[str, Any]:
        """Return what goes with each token of other prompts, by the name `generate()` knows.

        Args:
            prompts: For each one the row it belongs to and what it is made of.
            mask: Long, (prompts, longest), nought where there is padding.
        """
        given: dict[str, Any] = {}
        is_token = mask.bool()
        if self._positions is not None:
            placed = mask.new_zeros(len(self._positions), *mask.shape)
            for place, (row, pieces) in enumerate(prompts):
                placed[:, place, is_token[place]] = self._positions_of(row, pieces)
            given["position_ids"] = placed
        for name, tensor in self._tensors.items():
            # Padding goes with what the end of a prompt goes with: text.
            filled = torch.stack([tensor[row, self._kept[row][-1]] for row, _ in prompts])
            filled = filled.unsqueeze(1).repeat(1, mask.shape[1], *[1] * (tensor.dim() - 2))
            for place, (row, pieces) in enumerate(prompts):
                filled[place, is_token[place]] = tensor[row, self._columns_of(row, pieces)]
            given[name] = filled
        return given

    def _columns_of(self, row: int, pieces: list[Piece]) -> torch.Tensor:
        """Return for each token the place in the batch it takes its values from, (tokens,)."""
        kept = self._kept[row]
        return torch.cat(
            [
                kept[like].expand(length) if start is None else kept[start : start + length]
                for length, start, like in pieces
            ]
        )

    def _positions_of(self, row: int, pieces: list[Piece]) -> torch.Tensor:
        """Return the positions of each token, (dimensions, tokens)."""
        assert self._positions is not None
        own = self._positions[:, row, self._kept[row]]  # (dimensions, tokens of the row)
        behind = own[:, -1:] + 1
        own = torch.cat([own, behind], dim=1)
        at, parts = own[:, :1], []
        for length, start, _ in pieces:
            if start is None:
                steps = torch.arange(length, device=own.device)
                parts.append(at + steps)
                at = at + length
            else:
                shift = at - own[:, start : start + 1]
                parts.append(own[:, start : start + length] + shift)
                at = own[:, start + length : start + length + 1] + shift
        return torch.cat(parts, dim=1)
