"""The weights of a checkpoint: found, checked by their headers, linked or copied; never loaded."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from modeling_ecso.errors_ecso import ECSOInputError

from .model_json import LOCAL_PATH, PLACE, refuse_lfs_pointer


SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.msgpack", "*.h5")

# Smaller files are copied: a link would let who saves over one change the other.
LINK_FROM_BYTES = 100_000_000

TO_SAFETENSORS = (
    "convert them first: AutoModelForImageTextToText.from_pretrained(DIR).save_pretrained(NEW_DIR)"
)

RESAVE = "load its tensors and save them again with safetensors.torch.save_file, without it"


def weight_files(folder: Path) -> list[Path]:
    """Return the files of a checkpoint's weights: one file, or an index and its shards.

    Args:
        folder: The checkpoint.

    Raises:
        ECSOInputError: There are none, they are pickled, or one is missing or cut short.
    """
    if (folder / SINGLE).is_file():
        shards = [folder / SINGLE]
        files = shards
    elif (folder / INDEX).is_file():
        shards = _shards_of(folder / INDEX)
        files = [folder / INDEX, *shards]
    else:
        pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
        if pickled:
            raise ECSOInputError(
                f"{folder}: its weights are pickled ({pickled[0]}), which runs code when they are "
                f"loaded; {TO_SAFETENSORS}"
            )
        raise ECSOInputError(
            f"{folder}: no {SINGLE} and no {INDEX}; give a checkpoint with its weights"
        )
    for shard in shards:
        with _opened(shard):
            pass  # whole, and no pointer to what it should be
    return files


def header_bytes(file: Path) -> bytes:
    """Return all that a safetensors file holds beside numbers: names, shapes and metadata.

    Raises:
        ECSOInputError: It is no safetensors file, or it is cut short.
    """
    with _opened(file), file.open("rb") as stream:
        return stream.read(int.from_bytes(stream.read(8), "little"))


def refuse_local_metadata(file: Path) -> None:
    """Let a safetensors file pass unless its metadata names a path of this machine.

    Raises:
        ECSOInputError: It does, or it is no safetensors file.
    """
    with _opened(file) as tensors:
        metadata = tensors.metadata() or {}
    for key, value in metadata.items():
        words = re.split(r"[\s\"',;=]+", f"{key} {value}")
        if PLACE.search(key) or any(LOCAL_PATH.fullmatch(word) for word in words):
            raise ECSOInputError(
                f"{file}: its metadata names a path of this machine under {key[:40]!r}; {RESAVE}"
            )


def _opened(file: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    refuse_lfs_pointer(file)
    try:
        return safe_open(file, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise ECSOInputError(
            f"{file}: cut short, or not a safetensors file ({error}); get it again"
        ) from None


def link_or_copy(file: Path, target: Path) -> None:
    """Put a file where it is to be, without reading it where that can be had.

    Args:
        file: What to place; links are followed.
        target: Where; must not be there yet.
    """
    source = file.resolve()
    if source.stat().st_size >= LINK_FROM_BYTES:
        try:
            os.link(source, target)
            return
        except OSError:
            pass  # another disk, or one that has no links
    shutil.copyfile(source, target)


def _shards_of(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ECSOInputError(f"{index}: no weight_map can be read from it; get it again") from None
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise ECSOInputError(f"{index}: names {name!r}, which is no file beside it")
        if not name.endswith(".safetensors"):
            raise ECSOInputError(
                f"{index}: names {name!r}, which is no safetensors file; {TO_SAFETENSORS}"
            )
        if not (index.parent / name).is_file():
            raise ECSOInputError(
                f"{index.parent / name}: missing, and the index names it; get it again"
            )
    return [index.parent / name for name in names]
