"""The arguments of one `generate()` call, read once: rows, their images, the answer's limits."""

import inspect
from dataclasses import dataclass
from typing import Any

import torch

from .errors_ecso import ECSOInputError
from .step_settings_ecso import CompleteSettings


# Arguments of generate() that are neither generation settings nor inputs of the model.
CALL_ARGUMENTS = (
    "logits_processor",
    "stopping_criteria",
    "prefix_allowed_tokens_fn",
    "synced_gpus",
    "assistant_model",
    "assistant_tokenizer",
    "tokenizer",
    "custom_generate",
    "trust_remote_code",
)

# Tensors that belong to the caller's prompts and fit no other.
MODEL_INPUTS = ("input_ids", "attention_mask", "pixel_values", "position_ids")

# Inputs that would put something into the answer which the later steps cannot see.
HIDDEN_INPUTS = {
    "inputs_embeds": "pass input_ids, from which the conversation can be read",
    "past_key_values": "pass the whole conversation with its images and no cache",
    "mm_encoder_outputs": "pass pixel_values",
    "image_sizes": "towers with images of varying size are not supported yet",
    "negative_prompt_ids": "guidance by a negative prompt is not supported",
}


@dataclass(repr=False)
class PromptRow:
    """One row of the batch, without padding.

    Args:
        ids: Prompt token ids.
        pixel_values: Float, (images of the row, channels, height, width); None without images.
        image_token_counts: Number of image tokens of each image.
        padding: Number of padding tokens in front of it; None if there are some elsewhere.
    """

    ids: list[int]
    pixel_values: torch.Tensor | None
    image_token_counts: list[int]
    padding: int | None


@dataclass(repr=False)
class GenerationRequest:
    """What the caller asked for. Has no repr: it holds prompts and images.

    Args:
        arguments: All keyword arguments of the call, for the direct step, without the streamer.
        input_ids: Long, (batch, length), left-padded.
        rows: The same, row by row.
        streamer: Where the answer goes as well; None for nowhere.
        settings: The call's generation settings, merged with the model's.
        model_arguments: Arguments for `forward` that are no tensors of this batch.
        call_arguments: Arguments of `generate()` that apply to every answer, not to its prompt.
        new_tokens: Most tokens of an answer.
    """

    arguments: dict[str, Any]
    input_ids: torch.Tensor
    rows: list[PromptRow]
    streamer: Any
    settings: Any
    model_arguments: dict[str, Any]
    call_arguments: dict[str, Any]
    new_tokens: int

    @property
    def prompt_length(self) -> int:
        """Length of the padded prompts, in tokens."""
        return self.input_ids.shape[1]

    @property
    def end_ids(self) -> list[int]:
        """The ids that end an answer."""
        return ids_in(self.settings.eos_token_id)

    @property
    def pad_id(self) -> int:
        """The id that fills rows shorter than the longest."""
        pad = self.settings.pad_token_id
        return pad if pad is not None else next(iter(self.end_ids), 0)

    def without_end(self, answer: list[int]) -> list[int]:
        """Return the ids of an answer without the one that ended it."""
        return answer[:-1] if answer and answer[-1] in self.end_ids else answer

    @property
    def copies(self) -> int:
        """Number of sequences that are written for each row, beams or samples."""
        return max(self.settings.num_beams or 1, self.settings.num_return_sequences or 1)

    @property
    def writes_token_by_token(self) -> bool:
        """Whether a sequence, once begun, only grows: so its beginning can be judged."""
        return self.settings.num_beams in (None, 1) and not self._has_own_loop

    @property
    def keeps_a_plain_cache(self) -> bool:
        """Whether the direct step leaves its keys and values where they can be found again."""
        return bool(
            self.settings.use_cache
            and self.settings.cache_implementation is None
            and not self._has_own_loop
            and "position_ids" not in self.arguments  # later steps count positions themselves
            and all(row.padding is not None for row in self.rows)
        )

    @property
    def _has_own_loop(self) -> bool:
        """Whether something else than the plain loop chooses the tokens."""
        loops = {"assistant_model", "custom_generate"} & self.call_arguments.keys()
        return bool(loops or self.settings.prompt_lookup_num_tokens)

    def answer_settings(self, max_new_tokens: int, count: int) -> Any:
        """Return the caller's generation settings for an answer to another prompt.

        Args:
            max_new_tokens: Token limit of the answer.
            count: Number of answers to each prompt.
        """
        settings = CompleteSettings.of(self.settings)
        if settings.min_length and settings.min_new_tokens is None:
            # Counted from the caller's prompt, which is not the one that is answered.
            settings.min_new_tokens = max(settings.min_length - self.prompt_length, 0)
        settings.min_length = None
        settings.max_length = None
        settings.max_new_tokens = max_new_tokens
        settings.num_return_sequences = count
        settings.return_dict_in_generate = True
        return settings


def read_request(
    model: Any, image_token_counts: Any, arguments: dict[str, Any]
) -> GenerationRequest:
    """Return the request in the keyword arguments of a `generate()` call.

    Args:
        model: The model that is called.
        image_token_counts: Function of (image tokens in each row, image inputs) to the number of
            tokens of each image, by row.
        arguments: The keyword arguments, by name.

    Raises:
        ECSOInputError: The prompt is missing, or something the protocol cannot look into is given.
    """
    # A None input is no input; a None setting (eos_token_id, say) is a setting.
    inputs = (*MODEL_INPUTS, *CALL_ARGUMENTS, *HIDDEN_INPUTS, "inputs", "generation_config")
    arguments = {k: v for k, v in arguments.items() if v is not None or k not in inputs}
    for name, remedy in HIDDEN_INPUTS.items():
        if name in arguments:
            raise ECSOInputError(
                f"{name} cannot be used with ECSO: {remedy}; or call with ecso=False"
            )
    if arguments.get("synced_gpus"):
        raise ECSOInputError(
            "synced_gpus cannot be used with ECSO: rows end after different steps, the other "
            "ranks would wait for ever; or call with ecso=False"
        )
    streamer = arguments.pop("streamer", None)
    input_ids = arguments.pop("inputs", None)
    input_ids = arguments.setdefault("input_ids", input_ids)
    if not isinstance(input_ids, torch.Tensor) or input_ids.dim() != 2 or not input_ids.numel():
        raise ECSOInputError(
            "ECSO reads the conversation from input_ids, (batch, length); pass them"
        )
    call_arguments = {name: arguments[name] for name in CALL_ARGUMENTS if name in arguments}
    model_inputs = {
        key: value
        for key, value in arguments.items()
        if key not in CALL_ARGUMENTS and key != "generation_config"
    }
    given = arguments.get("generation_config")
    settings, model_arguments = model._prepare_generation_config(given, **model_inputs)
    mask = arguments.get("attention_mask")
    if mask is None:
        mask = _mask_of(input_ids, settings)
    # The switches for more output stand in the settings too.
    not_carried = (*MODEL_INPUTS, "output_attentions", "output_hidden_states")
    # What a decoding loop of the caller takes besides is for it alone.
    loop = arguments.get("custom_generate")
    own = set(inspect.signature(loop).parameters) if callable(loop) else set()
    own = {k: v for k, v in model_arguments.items() if k in own and k not in MODEL_INPUTS}
    return GenerationRequest(
        arguments=arguments,
        input_ids=input_ids,
        rows=_rows(model, image_token_counts, input_ids, mask, arguments.get("pixel_values")),
        streamer=streamer,
        settings=settings,
        model_arguments={k: v for k, v in model_arguments.items() if k not in (*not_carried, *own)},
        new_tokens=_new_tokens(model, arguments, settings),
        call_arguments={**call_arguments, **own},
    )


def _mask_of(input_ids: torch.Tensor, settings: Any) -> torch.Tensor:
    """Return the mask that transformers infers where the caller gives none."""
    pad = settings.pad_token_id
    if pad is None or pad in ids_in(settings.eos_token_id):
        return torch.ones_like(input_ids)
    return input_ids.ne(pad).long()


def ids_in(setting: Any) -> list[int]:
    """Return the ids of a setting that may be one, several, a tensor of them, or None."""
    return [] if setting is None else torch.as_tensor(setting).flatten().tolist()


def _rows(
    model: Any,
    image_token_counts: Any,
    input_ids: torch.Tensor,
    mask: torch.Tensor,
    pixel_values: torch.Tensor | None,
) -> list[PromptRow]:
    mask = mask.bool()
    prompts = [ids[keep].tolist() for ids, keep in zip(input_ids, mask, strict=True)]
    padding = [_padding_in_front(keep) for keep in mask.tolist()]
    image_tokens = [prompt.count(model.config.image_token_id) for prompt in prompts]
    if pixel_values is None:
        if any(image_tokens):
            raise ECSOInputError(
                "the prompt has image tokens and there are no pixel_values; pass both"
            )
        return [PromptRow(ids, None, [], pad) for ids, pad in zip(prompts, padding, strict=True)]
    counts = image_token_counts(image_tokens, pixel_values)
    rows, start = [], 0
    for prompt, row_counts, pad in zip(prompts, counts, padding, strict=True):
        images = pixel_values[start : start + len(row_counts)] if row_counts else None
        rows.append(PromptRow(prompt, images, row_counts, pad))
        start += len(row_counts)
    return rows


def _padding_in_front(mask: list[bool]) -> int | None:
    padding = len(mask) - sum(mask)
    return None if any(mask[:padding]) else padding


def _new_tokens(model: Any, arguments: dict[str, Any], settings: Any) -> int:
    """Return how many tokens the answer may have, by the rules of transformers."""
    if settings.max_new_tokens is not None:
        return settings.max_new_tokens
    sources = (arguments.get("generation_config"), model.generation_config)
    lengths = [arguments.get("max_length"), *(source.max_length for source in sources if source)]
    if any(length is not None for length in lengths):
        return max(settings.max_length - arguments["input_ids"].shape[1], 1)
    return settings.max_length  # transformers' default counts new tokens
