"""Which files may be in a repository, and what each of them may not hold."""

import re
from pathlib import Path
from typing import NamedTuple

from modeling_ecso.errors_ecso import ECSOInputError

from .model_json import VOCABULARIES, read_json, refuse_foreign_code, refuse_lfs_pointer
from .secret_patterns import refuse_secret, refuse_secret_name
from .weights import header_bytes, refuse_local_metadata, weight_files


# Taken from the base as they are, where it has them.
PROCESSOR_FILES = (
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
# Words by number, and parts of words: anything at all may be among them.
TOKEN_LISTS = (
    *VOCABULARIES,
    *("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt", "merges.txt"),
)
MORE_TEMPLATES = re.compile(r"additional_chat_templates/[\w.-]+\.jinja")
NOTICES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt", "USE_POLICY.md")
WRITTEN = ("README.md", "config.json", "generation_config.json")

WEIGHTS = re.compile(r"[\w.-]+\.safetensors(\.index\.json)?")
MODULE = re.compile(r"[a-z_]+_ecso\.py")
# What a result file's command may have brought into the card.
HOME_FOLDER = re.compile(rb"(?<![\w.])/(home|Users)/[\w.-]+/|(?<![\w.])/root/|[A-Za-z]:\\+Users\\")
METHOD = re.compile(r"custom_generate/([a-z_]+_ecso|generate|ecso_config)\.py")


class BuiltFile(NamedTuple):
    """One file of a built folder: its path in the repository, and where it lies."""

    path: str
    source: Path


def is_allowed(path: str, kind: str) -> bool:
    """Return whether a file may be in a repository of this kind, ``model`` or ``custom_generate``.

    Args:
        path: Relative to the repository, with forward slashes.
        kind: What the repository is.
    """
    if kind == "custom_generate":
        return path in ("README.md", *NOTICES) or bool(METHOD.fullmatch(path))
    names = (*WRITTEN, *PROCESSOR_FILES, *NOTICES)
    forms = (WEIGHTS, MODULE, MORE_TEMPLATES)
    return path in names or any(form.fullmatch(path) for form in forms)


def is_ours(path: str) -> bool:
    """Return whether nobody but a build makes such a file: code and weights."""
    return bool(WEIGHTS.fullmatch(path) or MODULE.fullmatch(path)) or path.startswith(
        "custom_generate/"
    )


def kind_of(folder: Path) -> str:
    """Return what a built folder is, ``model`` or ``custom_generate``.

    Raises:
        ECSOInputError: It is neither.
    """
    if not folder.is_dir():
        raise ECSOInputError(f"{folder}: no such folder; give one that ecso-hub build has made")
    if (folder / "config.json").is_file():
        return "model"
    if (folder / "custom_generate" / "generate.py").is_file():
        return "custom_generate"
    raise ECSOInputError(
        f"{folder}: neither config.json nor custom_generate/generate.py in it; give a folder that "
        "ecso-hub build has made"
    )


def files_of(folder: Path) -> list[BuiltFile]:
    """Return all files of a built folder, the hidden ones too.

    Raises:
        ECSOInputError: One of them may not be there, or holds what may not be published: a secret,
            code of others, a path of this machine.
    """
    kind = kind_of(folder)
    files = []
    for source in sorted(folder.rglob("*")):
        if source.is_symlink():
            raise ECSOInputError(
                f"{source}: a link; what it leads to would be published in its place: remove it, "
                "or put the file itself there"
            )
        if source.is_dir():
            continue
        file = BuiltFile(source.relative_to(folder).as_posix(), source)
        refuse_secret_name(source, allowed=is_allowed(file.path, kind))
        if not is_allowed(file.path, kind) or not source.is_file():
            raise ECSOInputError(
                f"{source}: does not belong into a {kind} repository; remove it or build again"
            )
        files.append(file)
    _check_weights(folder, [file for file in files if WEIGHTS.fullmatch(file.path)])
    for file in files:
        _check_content(file)
    return files


def _check_weights(folder: Path, held: list[BuiltFile]) -> None:
    if not held:
        return
    if read_json(folder / "config.json").get("weights_from"):
        raise ECSOInputError(
            f"{held[0].source}: a thin repository holds no weights; remove it or build again"
        )
    loaded = set(weight_files(folder))
    for file in held:
        if file.source not in loaded:
            raise ECSOInputError(
                f"{file.source}: weights that no index names, so nothing loads them; remove it"
            )


def _check_content(file: BuiltFile) -> None:
    if WEIGHTS.fullmatch(file.path) and file.source.suffix == ".safetensors":
        # The numbers, gigabytes of them, are not read.
        refuse_secret(file.source, header_bytes(file.source))
        refuse_local_metadata(file.source)
        return
    refuse_lfs_pointer(file.source)
    if file.source.stat().st_nlink > 1:
        raise ECSOInputError(
            f"{file.source}: a link, since it has another name elsewhere; put a copy there"
        )
    refuse_secret(file.source, is_vocabulary=file.path in TOKEN_LISTS)
    if file.path == "README.md" and HOME_FOLDER.search(file.source.read_bytes()):
        raise ECSOInputError(
            f"{file.source}: names a folder in somebody's home; take it out of the card, or of the "
            "result file it is from"
        )
    if file.path.endswith(".json") and file.path not in VOCABULARIES:
        refuse_foreign_code(file.source, file.path)
