"""Finds out why a model's folder could not be loaded, and says it in one line.

Covered: files that a download left out, cut short or put a pointer in place of; files of newer or
other libraries; models that are no transformers model yet. Asked only after loading has failed.
"""

import importlib
import importlib.util
import json
import textwrap
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any


_GIT_LFS = b"version https://git-lfs"
_INDEX = "model.safetensors.index.json"
_OTHER_WEIGHTS = {
    ".bin": "pickles, which can run code when they are opened",
    ".pth": "pickles, which can run code when they are opened",
    ".pt": "pickles, which can run code when they are opened",
    ".gguf": "in the GGUF format, which llama.cpp reads",
}


def fault_of_folder(folder: Path) -> str | None:
    """Return what is wrong with a model's folder and what to do; None: nothing was found."""
    for search in (_unreadable, _not_a_model, _broken_json, _broken_weights, _broken_tokenizer):
        fault = next(search(folder), None)
        if fault is not None:
            return fault
    return None


def small_numbers(location: str) -> str | None:
    """Return a tensor whose stored numbers are of 8 bits or fewer, and their type, if there is one.

    Args:
        location: Folder or Hub id of a model that has been loaded.
    """
    from safetensors import safe_open
    from transformers.utils import cached_file

    def found(name: str) -> str | None:
        return cached_file(
            location,
            name,
            local_files_only=True,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )

    index = found(_INDEX)
    names = ["model.safetensors"]
    if index is not None:
        names = sorted(set(_object(Path(index))["weight_map"].values()))
    for file in filter(None, map(found, names)):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118, it is no dictionary
                kind = tensors.get_slice(name).get_dtype()
                if kind.startswith(("I8", "U8", "F8", "F4")):
                    return f"{name} ({kind})"
    return None


def fault_of_error(error: Exception) -> str:
    """Return an error of a library as one line; for errors that no conversation has gone into."""
    said = textwrap.shorten(str(error), 200, placeholder=" …")
    if isinstance(error, ImportError):
        if not _torchvision_loads():
            return (
                "torchvision does not load beside torch here; install the build of it that belongs "
                f"to torch {version('torch')}, or none"
            )
        if "Torchvision" in said:  # which most families' processors want; transformers names a page
            return (
                "its processor needs torchvision, which is missing here; install the build of it "
                f"that belongs to torch {version('torch')}"
            )
        return f"it needs a package that is missing here: {said}"
    kind = type(error).__name__
    return (
        f"no model could be loaded from there ({kind}{': ' if said else ''}{said}); give the "
        "folder or Hub id of a vision-language model with its processor"
    )


def _torchvision_loads() -> bool:
    """Return whether torchvision loads, where it is installed at all."""
    if importlib.util.find_spec("torchvision") is None:
        return True
    try:
        importlib.import_module("torchvision")
    except Exception:  # a build for another torch fails as it registers its operators
        return False
    return True


def _unreadable(folder: Path) -> Iterator[str]:
    files = sorted(folder.iterdir())
    if not files:
        yield "the folder is empty; give that of a vision-language model with its processor"
    for file in files:
        if file.is_dir() and not file.suffix:
            continue
        try:
            with file.open("rb") as stream:
                begins = stream.read(len(_GIT_LFS))
        except OSError as error:
            yield f"{file.name} cannot be read ({error.strerror}); see to it"
        else:
            if begins == _GIT_LFS:
                yield (
                    f"{file.name} is a pointer of Git LFS in place of the file; fetch the files "
                    "with: git lfs pull"
                )


def _not_a_model(folder: Path) -> Iterator[str]:
    if (folder / "config.json").exists():
        return
    if (folder / "adapter_config.json").exists():
        yield "this is a PEFT adapter, not a model; merge it into its model and save that"
    yield "there is no config.json; give the folder of a vision-language model with its processor"


def _broken_json(folder: Path) -> Iterator[str]:
    for file in sorted(folder.glob("*.json")):
        try:
            if not isinstance(json.loads(file.read_bytes().decode("utf-8")), dict):
                yield f"{file.name} is no JSON object; get it again"
        except UnicodeDecodeError:
            yield f"{file.name} is not UTF-8; get it again"
        except json.JSONDecodeError as error:
            yield f"{file.name}, line {error.lineno}: not valid JSON ({error.msg}); get it again"
        except (ValueError, RecursionError):
            yield f"{file.name} holds JSON that cannot be read; get it again"


def _broken_weights(folder: Path) -> Iterator[str]:
    from safetensors import SafetensorError, safe_open

    names = ["model.safetensors"]
    if (folder / _INDEX).exists():
        index = _object(folder / _INDEX)
        parts = index.get("weight_map")
        if not isinstance(parts, dict) or "metadata" not in index:
            yield f"{_INDEX} lacks weight_map or metadata; get it again"
            return
        names = sorted({str(name) for name in parts.values()})
    elif _object(folder / "config.json").get("weights_from") is not None:
        return
    missing = [name for name in names if not (folder / name).is_file()]
    if missing == ["model.safetensors"]:
        for suffix, what in _OTHER_WEIGHTS.items():
            if any(folder.glob(f"*{suffix}")):
                yield f"its weights are {what}; get or make a version with safetensors"
        yield "there are no weights (model.safetensors); get them"
    for name in missing:
        yield f"{name} is missing, {len(missing)} of {len(names)} parts of the weights; get it"
    for name in names:
        try:
            safe_open(folder / name, framework="pt")
        except (SafetensorError, OSError):
            yield f"{name} is cut short, or no safetensors file; get it again"


def _broken_tokenizer(folder: Path) -> Iterator[str]:
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if file.exists():
        try:
            Tokenizer.from_file(str(file))
        except Exception:  # tokenizers raises nothing more special
            yield (
                f"tokenizer.json cannot be read by tokenizers {version('tokenizers')}; it may be "
                "of a newer one: pip install --upgrade transformers tokenizers"
            )
    elif not any((folder / name).exists() for name in ("tokenizer.model", "vocab.json")):
        yield "there is no tokenizer (tokenizer.json); get it"
    if not any((folder / f"{name}.json").exists() for name in _PROCESSOR_FILES):
        yield "there is no processor (processor_config.json or preprocessor_config.json); get it"


_PROCESSOR_FILES = ("processor_config", "preprocessor_config")


def _object(file: Path) -> dict[str, Any]:
    return json.loads(file.read_bytes())
