"""The processor of a built folder: the parts that the stock type has, found without that type.

transformers looks up by a model's type which tokenizer and which image processor it has, where the
files do not say or, for some families, even against what they say. A built folder has a type of its
own; so its files must name what the base's type stands for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.loading.families import FamilyNames

from .model_json import VOCABULARIES, cleaned, read_json, write_json


LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}

_PARTS = ("tokenizer", "image_processor", "video_processor", "feature_extractor")


@contextmanager
def _as_stock(folder: Path, names: FamilyNames) -> Iterator[None]:
    """Let a folder be one of the stock type for the moment."""
    file = folder / "config.json"
    kept = file.read_bytes()
    ours = ("auto_map", "architectures", "ecso", "weights_from")
    stored = {key: value for key, value in read_json(file).items() if key not in ours}
    write_json(file, {**stored, "model_type": names.stock_type})
    try:
        yield
    finally:
        file.write_bytes(kept)


def name_tokenizer_class(folder: Path, names: FamilyNames) -> None:
    """Let ``tokenizer_config.json`` name the class that the stock type stands for.

    Args:
        folder: What is being built.
        names: Of the family's classes.
    """
    from transformers import AutoTokenizer

    file = folder / "tokenizer_config.json"
    stored = read_json(file)
    with _as_stock(folder, names):
        name = type(AutoTokenizer.from_pretrained(folder, **LOCAL)).__name__
    if str(stored.get("tokenizer_class")).removesuffix("Fast") != name.removesuffix("Fast"):
        write_json(file, {**stored, "tokenizer_class": name})


def same_processor(folder: Path, base: Path, names: FamilyNames) -> Any:
    """Return the processor of a built folder, which is that of the base part by part.

    Where the files say too little for that, transformers writes them anew.

    Args:
        folder: What is being built.
        base: Where its files are from, for the message.
        names: Of the family's classes.

    Raises:
        ECSOInputError: It is another one even then.
        Whatever transformers raises over files that it cannot use.
    """
    from transformers import AutoProcessor

    with _as_stock(folder, names):
        wanted = AutoProcessor.from_pretrained(folder, **LOCAL)
    if not hasattr(wanted, "tokenizer"):
        raise ECSOInputError(
            f"{base}: a {type(wanted).__name__} in place of a processor for texts and images; get "
            "its files again"
        )
    try:
        built = AutoProcessor.from_pretrained(folder, **LOCAL)
    except (ValueError, OSError, TypeError):
        built = None
    if built is None or _other_part(wanted, built):
        wanted.save_pretrained(folder)
        for file in folder.glob("*.json"):
            if file.name not in VOCABULARIES:
                write_json(file, cleaned(read_json(file))[0])
        built = AutoProcessor.from_pretrained(folder, **LOCAL)
    other = _other_part(wanted, built)
    if other:
        raise ECSOInputError(
            f"{base}: its {other} is another one once it is built; save processor and model again "
            "with save_pretrained() and build from that folder"
        )
    return built


def _other_part(wanted: Any, built: Any) -> str | None:
    """Return what of a processor is not as wanted; None: it is all the same."""
    if type(built) is not type(wanted):
        return "processor"
    for part in _PARTS:
        one, other = getattr(wanted, part, None), getattr(built, part, None)
        if type(one) is not type(other) or _said(one) != _said(other):
            return part.replace("_", " ")
    return None if wanted.chat_template == built.chat_template else "chat template"


def _said(part: Any) -> Any:
    """Return what a part would do, so that two can be compared."""
    if hasattr(part, "backend_tokenizer"):
        specials = part.special_tokens_map
        return part.backend_tokenizer.to_str(), specials, part.padding_side
    if hasattr(part, "to_dict"):
        return part.to_dict()
    return part.get_vocab() if hasattr(part, "get_vocab") else None
