"""Which files may be in a repository, and which stop everything because they look like a secret."""

import re
from pathlib import Path
from typing import NamedTuple

from modeling_ecso.errors_ecso import ECSOInputError


# Taken from the base as they are, where it has them.
PROCESSOR_FILES = (
    "processor_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
NOTICES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt", "USE_POLICY.md")
WRITTEN = ("README.md", "config.json", "generation_config.json")

WEIGHTS = re.compile(r"[\w.-]+\.safetensors(\.index\.json)?")
MODULE = re.compile(r"[a-z_]+_ecso\.py")
METHOD = re.compile(r"custom_generate/([a-z_]+_ecso|generate|stored_settings)\.py")

SECRET_NAMES = re.compile(
    r"\.env(\..*)?|\.netrc|\.pypirc|id_[a-z0-9]+|.*\.(pem|key|p12|pfx|kdbx)|"
    r"(.*[_.-])?(credentials?|secrets?|tokens?)(\.(json|txt|ya?ml|ini|cfg))?",
    re.IGNORECASE,
)
SECRET_TEXTS = re.compile(
    rb"hf_[A-Za-z0-9]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY-----|AKIA[0-9A-Z]{16}|"
    rb"gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{50,}|sk-[A-Za-z0-9_-]{32,}|xox[abprs]-[\w-]{20,}"
)


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
    return path in names or bool(WEIGHTS.fullmatch(path) or MODULE.fullmatch(path))


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
        ECSOInputError: One of them may not be there.
    """
    kind = kind_of(folder)
    found = sorted(path for path in folder.rglob("*") if not path.is_dir())
    files = [BuiltFile(path.relative_to(folder).as_posix(), path) for path in found]
    for file in files:
        refuse_secret(file.source)
        if not is_allowed(file.path, kind):
            raise ECSOInputError(
                f"{file.source}: does not belong into a {kind} repository; remove it or build again"
            )
    return files


def refuse_secret(file: Path) -> None:
    """Let a file pass unless it looks like a secret, by its name or by what is in it.

    Raises:
        ECSOInputError: It does; says which file, and never what is in it.
    """
    if SECRET_NAMES.fullmatch(file.name):
        raise ECSOInputError(f"{file}: its name is that of a secret; take it out of the folder")
    if WEIGHTS.fullmatch(file.name) and file.suffix == ".safetensors":
        return  # gigabytes of numbers; their header has been read
    if SECRET_TEXTS.search(file.read_bytes()):
        raise ECSOInputError(f"{file}: holds what looks like a token or a private key; take it out")
