"""What a step asks of the model, and how that is run together."""

from dataclasses import dataclass
from typing import Any


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


@dataclass(frozen=True, repr=False)
class StepBatch:
    """Prompts of a step that are run together. Has no repr: they may quote an unsafe draft.

    Args:
        prompts: What was to be run.
        inputs: Arguments of `generate()`; ``CACHE_ARGUMENT`` among them, good for this batch
            alone, where some of a prompt need not be read again.
        rows: For each row of the inputs the caller's row it belongs to.
        places: For each prompt its row of the inputs.
    """

    prompts: list[StepPrompt]
    inputs: dict[str, Any]
    rows: list[int]
    places: list[int]
