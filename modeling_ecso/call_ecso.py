"""One protected call as all its steps see it: what was asked for, by which model and settings."""

from dataclasses import dataclass
from typing import Any

import torch

from .conversation_ecso import Conversation, ConversationReader
from .settings_ecso import ECSOConfig
from .token_tensors_ecso import TokenTensors
from .vision_ecso import ImageFeatures


@dataclass(repr=False)
class PromptRow:
    """One row of the batch, without padding. Has no repr: it holds the user's text.

    Args:
        ids: Prompt token ids.
        conversation: What they say.
        image_tokens: Number of its image tokens.
        padding: Number of padding tokens in front of it; None if there are some elsewhere.
    """

    ids: list[int]
    conversation: Conversation
    image_tokens: int
    padding: int | None


@dataclass(repr=False)
class GenerationRequest:
    """What the caller asked for. Has no repr: it holds prompts and images.

    Args:
        arguments: All keyword arguments of the call, for the direct step, without the streamer.
        input_ids: Long, (batch, length), left-padded.
        rows: The same, row by row.
        streamer: Where the answer goes as well; None for nowhere.
        features: The images, encoded; None where there are none, or `image_tensors` has them.
        image_tensors: The images as the caller gave them, for a model that takes no others.
        token_tensors: What goes with each token besides; None where nothing does.
        encoding_seconds: How long it took to encode the images.
        model_arguments: Arguments for `forward` that are no tensors of this batch.
        call_arguments: Arguments of `generate()` that apply to every answer, not to its prompt.
        new_tokens: Most tokens of an answer.
        end_ids: The ids that end an answer.
        reply_end_ids: The ids that end a reply of the steps between. A caller who ends answers
            elsewhere, or nowhere, has not asked that of them.
        pad_id: The id that fills rows shorter than the longest.
        answers_per_row: Number of sequences that are returned for each row.
        sequences_per_row: Number of sequences that are written for each row, beams or samples.
        writes_token_by_token: Whether a sequence, once begun, only grows: so its beginning can be
            judged.
        can_run_on: Whether something in the call can keep the answer from ending where the model
            would end it.
        keeps_a_plain_cache: Whether the direct step leaves its keys and values where they can be
            found again.
    """

    arguments: dict[str, Any]
    input_ids: torch.Tensor
    rows: list[PromptRow]
    streamer: Any
    features: ImageFeatures | None
    image_tensors: dict[str, Any]
    token_tensors: TokenTensors | None
    encoding_seconds: float
    model_arguments: dict[str, Any]
    call_arguments: dict[str, Any]
    new_tokens: int
    end_ids: list[int]
    reply_end_ids: list[int]
    pad_id: int
    answers_per_row: int
    sequences_per_row: int
    writes_token_by_token: bool
    can_run_on: bool
    keeps_a_plain_cache: bool


@dataclass(frozen=True, repr=False)
class Call:
    """One protected call: everything that its steps need to know.

    Args:
        model: The model, for its configuration and generation settings.
        generate: Its `PlainGenerate`.
        reader: Reads and writes prompts.
        request: What the caller asked for.
        ecso_config: The protocol's settings.
        generation_config: The call's generation settings, merged with the model's.
    """

    model: Any
    generate: Any
    reader: ConversationReader
    request: GenerationRequest
    ecso_config: ECSOConfig
    generation_config: Any
