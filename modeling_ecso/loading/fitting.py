"""Makes sure that the weights, the configuration and the processor of a model belong together."""

import math
from typing import Any

from ..errors_ecso import ECSOInputError


# What `ECSOLlavaForConditionalGeneration` loads.
LLAVA_TYPES = ("llava", "ecso_llava")
# Image features beside those of the patches, by the kind of vision tower.
_CLASS_FEATURES = {"clip_vision_model": 1, "siglip_vision_model": 0}


def check_parts(config: dict[str, Any]) -> None:
    """Refuse a stored configuration that would be filled up with the defaults of a 7B model.

    Raises:
        ECSOInputError: It is not that of a vision-language model, or in another layout.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    from ..family_config_ecso import PREFIX

    kind = config.get("model_type")
    if kind in ("llava_llama", "llava_mistral", "llava_qwen") or (
        kind in LLAVA_TYPES and not _has_parts(config)
    ):
        raise ECSOInputError(
            "config.json is in another layout than that of transformers (no text_config and "
            "vision_config); take the converted model, whose name often ends in -hf"
        )
    if str(kind).removeprefix(PREFIX) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise ECSOInputError(
            f"a model of type {kind!r}, which AutoModelForImageTextToText does not know; give "
            "a vision-language model that it loads, such as a llava, qwen3_vl or gemma3"
        )


def _has_parts(config: dict[str, Any]) -> bool:
    return all(isinstance(config.get(part), dict) for part in ("text_config", "vision_config"))


def check_weights(loading: dict[str, Any]) -> None:
    """Refuse weights of which some are left over, or have been made up.

    Args:
        loading: What `from_pretrained` tells with ``output_loading_info=True``.

    Raises:
        ECSOInputError: The weights are not those of the configuration.
    """
    for fault in ("missing", "unexpected", "mismatched"):
        keys = sorted(loading.get(f"{fault}_keys") or ())
        if keys:
            first = (
                keys[0] if isinstance(keys[0], str) else keys[0][0]
            )  # a name, perhaps with sizes
            raise ECSOInputError(
                f"the weights do not fit config.json: {len(keys)} {fault}, such as {first}; get "
                "both again from one place"
            )


def has_llava_processor(stored: dict[str, Any]) -> bool:
    """Return whether a stored configuration is LLaVA's with a tower that its processor serves.

    Pixtral has LLaVA's type, and a processor of its own.
    """
    tower = stored.get("vision_config")
    kind = tower.get("model_type") if isinstance(tower, dict) else None
    return stored.get("model_type") in LLAVA_TYPES and kind != "pixtral"


def check_stored_numbers(small: str | None) -> None:
    """Refuse weights that were stored in so few bits that they need scales to mean something.

    Args:
        small: A tensor of such numbers, if there is one.

    Raises:
        ECSOInputError: There is one.
    """
    if small is not None:
        raise ECSOInputError(
            f"its weights are quantized, such as {small}, and config.json has no "
            "quantization_config that says how; get both again from one place"
        )


def check_numbers(model: Any) -> None:
    """Refuse a model with weights that are no numbers: it would answer nothing, or anything.

    Args:
        model: The model; each of its weights is read once.

    Raises:
        ECSOInputError: A weight is NaN or infinite; the message names its tensor.
    """
    import torch

    for name, weights in model.named_parameters():
        if not weights.is_floating_point() or weights.is_meta:
            continue
        # One pass without a copy; what is no number makes a sum that is none.
        if not math.isfinite(weights.detach().sum(dtype=torch.float32).item()):
            raise ECSOInputError(
                f"its weights hold NaN or infinity in {name}; get them again, or save them in a "
                "wider type such as bfloat16"
            )


def check_answer_length(
    generation_config: Any, prompt_tokens: int, max_new_tokens: int | None
) -> None:
    """Refuse a limit below what the model's own settings want of an answer.

    Args:
        generation_config: The model's.
        prompt_tokens: Tokens of the prompt.
        max_new_tokens: Token limit of the answer; None: not known.

    Raises:
        ECSOInputError: It is below.
    """
    if max_new_tokens is None:
        return
    for name, asked, least in (
        ("min_new_tokens", generation_config.min_new_tokens, generation_config.min_new_tokens),
        (
            "min_length",
            generation_config.min_length,
            (generation_config.min_length or 0) - prompt_tokens,
        ),
    ):
        if (least or 0) > max_new_tokens:
            raise ECSOInputError(
                f"generation_config.json has {name} {asked}, and answers may have {max_new_tokens} "
                "tokens; raise that limit, or take it out of the file"
            )


def complete_processor(processor: Any, config: Any) -> None:
    """Fill in what older checkpoints leave out, from the model's own configuration.

    How many features an image has is the model's to say; a processor that says otherwise fails.
    """
    class_features = _CLASS_FEATURES.get(config.vision_config.model_type)
    if class_features is None:
        return
    processor.patch_size = config.vision_config.patch_size
    processor.vision_feature_select_strategy = config.vision_feature_select_strategy
    processor.num_additional_image_tokens = class_features


def check_processor(processor: Any, config: Any, embeddings: int) -> None:
    """Refuse a processor that is another model's.

    Args:
        processor: The processor.
        config: The model's configuration.
        embeddings: Number of tokens that the model has an embedding of.

    Raises:
        ECSOInputError: Tokens or chat template do not fit the model.
    """
    token, expected = processor.image_token, config.image_token_id
    found = processor.tokenizer.convert_tokens_to_ids(token)
    if found != expected:
        raise ECSOInputError(
            f"the image token {token} is token {found} of the tokenizer and token {expected} of "
            "config.json; get both again from one place"
        )
    largest = max(processor.tokenizer.get_vocab().values())
    if largest >= embeddings:
        raise ECSOInputError(
            f"the tokenizer has token {largest} and the model embeddings of {embeddings} tokens; "
            "get both again from one place"
        )
    _check_template(processor)


def _check_template(processor: Any) -> None:
    query = "Is it so?"
    remedy = "put the model's own beside it as chat_template.jinja"
    if not getattr(processor, "chat_template", None):
        raise ECSOInputError(f"there is no chat template; {remedy}")
    content = [{"type": "image"}, {"type": "text", "text": query}]
    try:
        prompt = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
    except Exception as error:  # whatever a template does wrong
        raise ECSOInputError(
            f"the chat template does not take images and texts ({type(error).__name__}); {remedy}"
        ) from None
    if prompt.count(processor.image_token) != 1 or prompt.count(query) != 1 or "{'" in prompt:
        raise ECSOInputError(f"the chat template does not put in images and texts; {remedy}")


def check_image_inputs(inputs: Any, config: Any) -> None:
    """Refuse a processor that makes images that the model does not take.

    Args:
        inputs: The model's inputs for one image.
        config: The model's configuration.

    Raises:
        ECSOInputError: The size is another, or pixels are no numbers.
    """
    numbers = [value for value in inputs.values() if getattr(value, "is_floating_point", bool)()]
    if not all(value.isfinite().all() for value in numbers):
        raise ECSOInputError(
            "the processor makes images whose pixels are no numbers; see image_mean, image_std and "
            "rescale_factor in its files, or get them again"
        )
    if config.model_type not in LLAVA_TYPES:
        return
    if config.vision_config.model_type not in _CLASS_FEATURES:
        return
    expected = config.vision_config.image_size
    height, width = inputs["pixel_values"].shape[-2:]
    if (height, width) != (expected, expected):
        raise ECSOInputError(
            f"the processor makes images of {width} x {height} pixels and the model takes "
            f"{expected} x {expected}; get both again from one place"
        )
