"""Whether the parts of a model belong together: its configuration, its processor, its words.

Checked before the weights are loaded by anybody: a repository whose processor cannot read a prompt,
or has words that the model lacks, fails at every call.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modeling_ecso.errors_ecso import ECSOInputError, ECSOProcessorError
from modeling_ecso.loading.families import FamilyNames, family_classes
from modeling_ecso.loading.fitting import has_llava_processor
from modeling_ecso.loading.models import quiet_transformers

from .model_json import read_json
from .processor_files import LOCAL, name_tokenizer_class, same_processor


QUERY = "What is this?"

PROCESSOR_REMEDY = "get its files again, or update transformers if they are newer"

# Tokens that a tower gives beside those of the patches, such as CLIP's class token.
EXTRA_IMAGE_TOKENS = {"clip_vision_model": 1, "siglip_vision_model": 0}


def processor_settings(folder: Path, configuration: dict[str, Any]) -> dict[str, Any] | None:
    """Return the content for ``processor_config.json`` with what it lacks; None: it lacks nothing.

    Old checkpoints keep the size of a patch in the model's configuration alone.

    Args:
        folder: Where the processor's files are.
        configuration: The model's.

    Raises:
        ECSOInputError: It lacks something that the configuration does not tell.
    """
    file = folder / "processor_config.json"
    stored = read_json(file) if file.is_file() else {}
    tower = configuration.get("vision_config")
    tower = tower if isinstance(tower, dict) else {}
    known = {
        "patch_size": tower.get("patch_size"),
        "vision_feature_select_strategy": configuration.get(
            "vision_feature_select_strategy", "default"
        ),
        "num_additional_image_tokens": EXTRA_IMAGE_TOKENS.get(str(tower.get("model_type"))),
    }
    missing = {name: value for name, value in known.items() if stored.get(name) is None}
    if not missing:
        return None
    for name, value in missing.items():
        if value is None:
            raise ECSOInputError(
                f"{file}: no {name}, and config.json does not tell it; add it as the model's "
                "documentation has it"
            )
    return {**stored, **missing, "processor_class": "LlavaProcessor"}


def check_fit(folder: Path, base: Path, names: FamilyNames) -> None:
    """Let a model's files pass if a prompt can be read with them, and in the model's words.

    Args:
        folder: The files.
        base: Where they are from, for the message.
        names: Of the family's classes.

    Raises:
        ECSOInputError: They are broken, or do not belong together.
    """
    from modeling_ecso.protect_ecso import check_stock_class

    with _in_one_line(folder, base, "config.json", "give the folder or Hub id of a model"):
        classes = family_classes(names.model_type)
        config: Any = classes.config.from_pretrained(folder, local_files_only=True)
        check_stock_class(classes.stock_model, config.is_encoder_decoder)
    if has_llava_processor(read_json(folder / "config.json")):
        processor = _llava_processor(folder, base, names, config)
    else:
        with _in_one_line(folder, base, "processor", PROCESSOR_REMEDY):
            name_tokenizer_class(folder, names)
            processor = same_processor(folder, base, names)
    from modeling_ecso.conversation_ecso import ConversationReader

    # The same that `generate()` does before its first draft.
    with _in_one_line(folder, base, "chat template", "it must take a turn of an image and a text"):
        ConversationReader(processor, getattr(config, "image_token_id", None))


def _llava_processor(folder: Path, base: Path, names: FamilyNames, config: Any) -> Any:
    """Return the processor of LLaVA files whose words and template are the model's."""
    from transformers import LlavaProcessor

    with _in_one_line(folder, base, "processor", PROCESSOR_REMEDY):
        name_tokenizer_class(folder, names)
        processor: Any = LlavaProcessor.from_pretrained(folder, **LOCAL)
    if not processor.chat_template:
        raise ECSOInputError(f"{base}: no chat template; take a revision that has one")
    content = [{"type": "image"}, {"type": "text", "text": QUERY}]
    turns = [{"role": "user", "content": content}]
    with _in_one_line(folder, base, "chat template", "it must take a turn of an image and a text"):
        prompt = processor.apply_chat_template(turns, add_generation_prompt=True)
    _check_words(config, processor, prompt, base)
    return processor


@contextmanager
def _in_one_line(folder: Path, base: Path, what: str, remedy: str) -> Iterator[None]:
    """Tell whatever the libraries raise over a broken file in one line, with the base's name."""
    try:
        with quiet_transformers():  # a stranger type is what is wanted here
            yield
    except ECSOProcessorError as error:
        raise ECSOInputError(f"{base}: {error}") from None
    except ECSOInputError:
        raise
    except Exception as error:
        remedy = "install it here" if isinstance(error, ImportError) else remedy
        said = (str(error).strip().splitlines() or [""])[0].replace(str(folder), str(base))
        raise ECSOInputError(
            f"{base}: its {what} cannot be used ({type(error).__name__}: {said[:200]}); {remedy}"
        ) from None


def _check_words(config: Any, processor: Any, prompt: str, base: Path) -> None:
    tokenizer = processor.tokenizer
    if prompt.count(processor.image_token) != 1 or QUERY not in prompt:
        raise ECSOInputError(
            f"{base}: its chat template loses the image or the text; take a revision whose "
            "template has both"
        )
    highest = max(tokenizer.get_vocab().values(), default=-1)
    rows = config.text_config.vocab_size
    if highest >= rows:
        raise ECSOInputError(
            f"{base}: its tokenizer counts to {highest}, the model has {rows} words: it is the "
            "tokenizer of another model"
        )
    found = tokenizer.convert_tokens_to_ids(processor.image_token)
    if found != config.image_token_id:
        raise ECSOInputError(
            f"{base}: {processor.image_token} is word {found} of the tokenizer and word "
            f"{config.image_token_id} of config.json: they belong to different models"
        )
