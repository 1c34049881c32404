"""The arguments of one `generate()` call, read once into the `Call` that all steps work on."""

import inspect
import time
from typing import Any

import torch
from transformers import EosTokenCriteria, GenerationConfig
from transformers.generation.utils import GenerationMixin

from .call_ecso import Call, GenerationRequest, PromptRow
from .conversation_ecso import ConversationReader
from .errors_ecso import ECSOInputError
from .settings_ecso import ECSOConfig
from .token_tensors_ecso import TokenTensors
from .vision_ecso import ModelInputs, read_images


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

# Tensors that are the caller's prompts.
MODEL_INPUTS = ("input_ids", "attention_mask", "position_ids")

_COUNTS_POSITIONS = "_prepare_position_ids_for_generation"

# Inputs that would put something into the answer which the later steps cannot see.
HIDDEN_INPUTS = {
    "inputs_embeds": "pass input_ids, from which the conversation can be read",
    "past_key_values": "pass the whole conversation with its images and no cache",
    "cache": "pass the whole conversation with its images and no cache",
    "mm_encoder_outputs": "pass pixel_values",
    "negative_prompt_ids": "guidance by a negative prompt is not supported",
}


# Generation settings that never keep an answer from ending where the model would end it. Any other,
# at another value than transformers' default, may.
_LEAVE_THE_END_ALONE = frozenset(
    """
    max_length max_new_tokens max_time stop_strings do_sample num_beams early_stopping temperature
    top_k top_p min_p renormalize_logits num_return_sequences pad_token_id bos_token_id eos_token_id
    decoder_start_token_id use_cache cache_implementation max_cache_len use_mtp
    prefill_chunk_size compile_config disable_compile continuous_batching_config low_memory
    repetition_penalty output_attentions output_hidden_states output_scores output_logits
    return_dict_in_generate is_assistant num_assistant_tokens num_assistant_tokens_schedule
    speculation_type assistant_confidence_threshold assistant_early_exit assistant_lookbehind
    target_lookbehind prompt_lookup_num_tokens max_matching_ngram_size
    transformers_version
    """.split()
)
_MILD_REPETITION_PENALTY = 1.1
_EXACT_CACHES = (None, "dynamic", "static", "offloaded", "offloaded_static")
# Arguments that choose tokens, or the end of the answer, by code of the caller's.
_CHOOSE_TOKENS = ("logits_processor", "prefix_allowed_tokens_fn", "custom_generate")


def read_call(
    model: Any,
    generate: Any,
    reader: ConversationReader,
    ecso_config: ECSOConfig,
    arguments: dict[str, Any],
) -> Call:
    """Return the call that the keyword arguments of `generate()` make.

    Args:
        model: The model that is called.
        generate: Its `PlainGenerate`.
        reader: Reads and writes prompts.
        ecso_config: The protocol's settings for this call.
        arguments: The keyword arguments, by name.

    Raises:
        ECSOInputError: The prompt is missing, or something the protocol cannot look into is given.
    """
    arguments = _checked(arguments)
    streamer = arguments.pop("streamer", None)
    input_ids = arguments["input_ids"]
    call_arguments = {name: arguments[name] for name in CALL_ARGUMENTS if name in arguments}
    model_inputs = {
        key: value
        for key, value in arguments.items()
        if key not in CALL_ARGUMENTS and key != "generation_config"
    }
    given = arguments.get("generation_config")
    generation_config, model_arguments = model._prepare_generation_config(given, **model_inputs)
    # What a decoding loop of the caller takes besides is for it alone.
    loop = arguments.get("custom_generate")
    taken = set(inspect.signature(loop).parameters) if callable(loop) else set()
    own = {k: v for k, v in model_arguments.items() if k in taken and k not in MODEL_INPUTS}
    # The switches for more output stand in the generation settings too.
    not_carried = {*MODEL_INPUTS, "output_attentions", "output_hidden_states", *own}
    mask = _mask(arguments, generation_config)
    rows = _rows(reader, ecso_config.trust_system_text, input_ids, mask)
    end_ids = _ids_in(generation_config.eos_token_id)
    pad_id = generation_config.pad_token_id
    answers_per_row = generation_config.num_return_sequences or 1
    has_own_loop = bool(
        {"assistant_model", "custom_generate"} & call_arguments.keys()
        or generation_config.prompt_lookup_num_tokens
    )
    given = {k: v for k, v in model_arguments.items() if k not in not_carried}
    started = time.perf_counter()
    inputs, features, pixels = read_images(
        model, given, input_ids.shape, [row.image_tokens for row in rows]
    )
    encoding_seconds = time.perf_counter() - started
    if features and not has_own_loop:  # which may want to encode them itself
        arguments = {k: v for k, v in arguments.items() if k not in pixels}
        arguments |= features.of_rows(list(range(len(rows))))
    request = GenerationRequest(
        arguments=arguments,
        input_ids=input_ids,
        rows=rows,
        streamer=streamer,
        features=features,
        image_tensors={} if features else inputs.for_images,
        token_tensors=_token_tensors(model, inputs, arguments, mask) if inputs.for_images else None,
        encoding_seconds=encoding_seconds,
        model_arguments=inputs.others,
        call_arguments={**call_arguments, **own},
        new_tokens=_new_tokens(model, arguments, generation_config),
        end_ids=end_ids,
        reply_end_ids=_ids_in(model.generation_config.eos_token_id) or end_ids,
        pad_id=pad_id if pad_id is not None else next(iter(end_ids), 0),
        answers_per_row=answers_per_row,
        sequences_per_row=max(generation_config.num_beams or 1, answers_per_row),
        writes_token_by_token=generation_config.num_beams in (None, 1) and not has_own_loop,
        can_run_on=_can_run_on(
            generation_config,
            arguments,
            {*reader.end_ids, *_usual_end_ids(model)},
            end_ids,
        ),
        keeps_a_plain_cache=bool(
            generation_config.use_cache
            and generation_config.cache_implementation is None
            and not has_own_loop
            and "position_ids" not in arguments  # later steps count positions themselves
            and all(row.padding is not None for row in rows)
        ),
    )
    return Call(model, generate, reader, request, ecso_config, generation_config)


def _ids_in(setting: Any) -> list[int]:
    """Return the ids of a setting that may be one, several, a tensor of them, or None."""
    return [] if setting is None else torch.as_tensor(setting).flatten().tolist()


def _checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with the prompt under its own name, if the protocol can take them."""
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
    input_ids = arguments.pop("inputs", None)
    input_ids = arguments.setdefault("input_ids", input_ids)
    if not isinstance(input_ids, torch.Tensor) or input_ids.dim() != 2 or not input_ids.numel():
        raise ECSOInputError(
            "ECSO reads the conversation from input_ids, (batch, length); pass them"
        )
    return arguments


def _mask(arguments: dict[str, Any], generation_config: Any) -> torch.Tensor:
    """Return where tokens are and no padding, bool, (batch, length)."""
    input_ids, mask = arguments["input_ids"], arguments.get("attention_mask")
    if mask is None:
        mask = _mask_of(input_ids, generation_config)
    if mask.shape != input_ids.shape:
        shapes = f"{tuple(mask.shape)} and not {tuple(input_ids.shape)}, as input_ids"
        raise ECSOInputError(f"attention_mask has the shape {shapes}; pass those of the processor")
    return mask.bool().to(input_ids.device)


def _rows(
    reader: ConversationReader, trust_system_text: bool, input_ids: torch.Tensor, mask: torch.Tensor
) -> list[PromptRow]:
    if (input_ids.eq(reader.image_token_id) & ~mask).any():
        raise ECSOInputError(
            "the attention mask hides image tokens, so it is unclear which images the prompt "
            "shows; let the processor make input_ids and attention_mask together"
        )
    prompts = [ids[keep].tolist() for ids, keep in zip(input_ids, mask, strict=True)]
    return [
        PromptRow(
            ids=prompt,
            conversation=reader.read(prompt, trust_system_text),
            image_tokens=prompt.count(reader.image_token_id),
            padding=_padding_in_front(keep),
        )
        for prompt, keep in zip(prompts, mask.tolist(), strict=True)
    ]


def _token_tensors(
    model: Any, inputs: ModelInputs, arguments: dict[str, Any], mask: torch.Tensor
) -> TokenTensors | None:
    """Return what goes with each token, if the model counts positions in its own way or is told."""
    counts = getattr(type(model), _COUNTS_POSITIONS)
    positions = None
    if counts is not getattr(GenerationMixin, _COUNTS_POSITIONS):
        given = {**inputs.others, **inputs.for_tokens, **inputs.for_images}
        positions = counts(model, arguments["input_ids"], {**given, "attention_mask": mask.long()})
    if positions is not None and positions.dim() < 3:
        positions = None
    if positions is None and not inputs.for_tokens:
        return None
    return TokenTensors(positions, inputs.for_tokens, [keep.nonzero()[:, 0] for keep in mask])


def _mask_of(input_ids: torch.Tensor, generation_config: Any) -> torch.Tensor:
    """Return the mask that transformers infers where the caller gives none."""
    pad = generation_config.pad_token_id
    if pad is None or pad in _ids_in(generation_config.eos_token_id):
        return torch.ones_like(input_ids)
    return input_ids.ne(pad).long()


def _can_run_on(
    generation_config: Any, arguments: dict[str, Any], usual_ends: set[int], end_ids: list[int]
) -> bool:
    defaults = generation_config._get_default_generation_params()
    # A class of the caller's may keep a setting elsewhere than in its instances.
    names = {*vars(GenerationConfig()), *vars(generation_config)} - _LEAVE_THE_END_ALONE
    return bool(
        any(arguments.get(name) for name in _CHOOSE_TOKENS)
        # Of transformers' own type, a criterion takes the place of the one that ends the answer.
        or any(type(each) is EosTokenCriteria for each in arguments.get("stopping_criteria") or ())
        or not end_ids
        or not usual_ends <= set(end_ids)
        or (generation_config.do_sample and (generation_config.temperature or 1) > 1)
        # Behind the best of the beams come those that did not end with it.
        or (
            (generation_config.num_beams or 1) > 1
            and (generation_config.num_return_sequences or 1) > 1
        )
        or generation_config.early_stopping == "never"
        or generation_config.cache_implementation not in _EXACT_CACHES
        or "position_ids" in arguments
        # What checkpoints store; against a model that wants to end it does nothing.
        or not 1 <= (generation_config.repetition_penalty or 1) <= _MILD_REPETITION_PENALTY
        or not all(
            _does_nothing(name, getattr(generation_config, name, None), defaults.get(name))
            for name in names
            if not name.startswith("_")
        )
    )


def _usual_end_ids(model: Any) -> list[int]:
    """Return the ids that end an answer by all places where a checkpoint stores them."""
    parts = (model.generation_config, model.config, model.config.get_text_config(decoder=True))
    return [end for part in parts for end in _ids_in(getattr(part, "eos_token_id", None))]


def _does_nothing(name: str, value: Any, default: Any) -> bool:
    """Return whether a setting is at a value at which it does nothing."""
    if value is None or value is default:
        return True
    if not isinstance(value, bool | int | float | str):  # of a tensor, == is no answer
        return isinstance(value, list | tuple | dict) and not value
    return value == (1 if name == "guidance_scale" else 0) or value == default


def _padding_in_front(mask: list[bool]) -> int | None:
    padding = len(mask) - sum(mask)
    return None if any(mask[:padding]) else padding


def _new_tokens(model: Any, arguments: dict[str, Any], generation_config: Any) -> int:
    """Return how many tokens the answer may have, by the rules of transformers."""
    if generation_config.max_new_tokens is not None:
        return generation_config.max_new_tokens
    sources = (arguments.get("generation_config"), model.generation_config)
    lengths = [arguments.get("max_length"), *(source.max_length for source in sources if source)]
    if any(length is not None for length in lengths):
        return max(generation_config.max_length - arguments["input_ids"].shape[1], 1)
    return generation_config.max_length  # transformers' default counts new tokens
