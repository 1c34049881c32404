"""The JSON files of a model: rid of what names other code or places on this machine.

transformers runs what these files name: a class behind ``auto_map``, with ``OTHER--mod.Class`` even
one of another repository; pipelines of their own; kernels in place of an attention. A built
repository names its own modules and nothing else. The same holds for paths of this machine, which
say who built it and lead nowhere elsewhere.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modeling_ecso.errors_ecso import ECSOInputError


# Words by number, names of tensors: nothing that is looked up as a setting.
VOCABULARIES = ("tokenizer.json", "vocab.json", "added_tokens.json", "tekken.json")

CODE_KEYS = {
    "auto_map",
    "custom_generate",
    "custom_pipelines",
    "trust_remote_code",
    "code_revision",
    "use_kernels",
    "kernel_config",
    "allow_all_kernels",
    "audio_tokenizer",
}
ORIGIN_KEYS = {"_name_or_path", "name_or_path", "_commit_hash"}
ATTENTION_KEY = re.compile(r"_?(attn|experts)_implementation(_internal|_autoset)?")

# The texts of tokens may look like code or a path. What is found under these keys by its own name
# is still code.
FREE_KEY = re.compile(r"added_tokens_decoder|.*_tokens?|.*_special_tokens|content")
# Where a thin repository takes its weights from; a folder, while it is tried out.
SOURCE_KEY = "weights_from"

OTHER_CODE = re.compile(r"[\w./-]+--[\w./-]+\.\w+")
OWN_CODE = re.compile(r"[a-z_]+_ecso\.[A-Za-z_]\w*")
LOCAL_PATH = re.compile(
    r"(file:)?/{1,3}[^\s/<>{}]+/[^\n<>{}]*|(~[\w.-]*|\.{1,2})[\\/][^\n<>{}]*|"
    r"([A-Za-z]:|\\)[\\/][^\n<>{}]+"
)
# A path in the midst of a text, by the places where people keep their files.
PLACE = re.compile(
    r"(?<![\w.<])(/(home|Users|root)/[\w.-]+|"
    r"/(mnt|media|tmp|var|opt|srv|data|workspace|scratch|gpfs|lustre|nfs|Volumes|private)(/[\w.-]+){2}|"
    r"[A-Za-z]:[\\/]+Users[\\/]+[\w.-]+)"
)
# What `_name_or_path` may say of where a model is from.
HUB_NAME = re.compile(r"([\w.-]+/)?[\w.-]*")

LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def read_json(file: Path) -> dict[str, Any]:
    """Return the content of a JSON file.

    Raises:
        ECSOInputError: It is not there, or not a JSON object.
    """
    refuse_lfs_pointer(file)
    try:
        content = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise ECSOInputError(f"{file}: not JSON; get it again") from None
    if not isinstance(content, dict):
        raise ECSOInputError(f"{file}: not a JSON object; get it again")
    return content


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write a JSON file for people to read."""
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")


def refuse_lfs_pointer(file: Path) -> None:
    """Let a file pass unless it is what git keeps in place of a large one.

    Raises:
        ECSOInputError: It is, or it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(len(LFS_POINTER))
    except OSError as error:
        raise ECSOInputError(f"{file}: cannot be read ({error.strerror or error})") from None
    if start == LFS_POINTER:
        raise ECSOInputError(
            f"{file}: a pointer of Git LFS, not the file itself; get it with `git lfs pull`"
        )


def cleaned(content: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return settings without what names other code or places on this machine.

    Args:
        content: Of a JSON file.

    Returns:
        The rest, and the keys of code that were left out.
    """
    left_out: list[str] = []
    rest = _rest(content, left_out)
    return rest, sorted(set(left_out))


def _rest(value: Any, left_out: list[str], is_free: bool = False) -> Any:
    if isinstance(value, list):
        return [_rest(each, left_out, is_free) for each in value]
    if not isinstance(value, dict):
        return value
    rest = {}
    for key, each in value.items():
        names_code = key in CODE_KEYS or (not is_free and _is_other_code(each))
        if names_code:
            left_out.append(key)
        elif not _names_place(key, each, is_free):
            rest[key] = _rest(each, left_out, is_free or bool(FREE_KEY.fullmatch(key)))
    return rest


def _is_other_code(value: Any) -> bool:
    return isinstance(value, str) and bool(OTHER_CODE.fullmatch(value))


def _names_place(key: str, value: Any, is_free: bool) -> bool:
    """Return whether a setting says where something lies here, and nothing else that matters."""
    if key in ORIGIN_KEYS or ATTENTION_KEY.fullmatch(key) or PLACE.search(key):
        return True
    # A template is not left out for a word in it: it is refused, later.
    is_text = isinstance(value, str) and key != "chat_template"
    return is_text and (bool(PLACE.search(value)) or not is_free and _is_local(key, value))


def refuse_foreign_code(file: Path, name: str) -> None:
    """Let a JSON file pass unless it names code that is not this repository's, or a local path.

    Args:
        file: The file.
        name: Its path in the repository; only ``config.json`` names code at all.

    Raises:
        ECSOInputError: It does; says which key.
    """
    content = read_json(file)
    own = content.pop("auto_map", None) if name == "config.json" else None
    if name == "config.json" and isinstance(source := content.get(SOURCE_KEY), dict):
        # What it may lead to is checked where it is followed.
        content[SOURCE_KEY] = {key: source[key] for key in source if key != "repo_id"}
    if own is not None:
        values = own.values() if isinstance(own, dict) else [own]
        for value in values:
            if not isinstance(value, str) or not OWN_CODE.fullmatch(value):
                raise ECSOInputError(
                    f"{file}: auto_map names {repr(value)[:80]}, which is no module of this "
                    "repository; build again"
                )
    for key, found in _foreign(content, ""):
        raise ECSOInputError(f"{file}: {key[:80]} {found}; take it out, or build again")


def _foreign(value: Any, key: str, is_free: bool = False) -> Iterator[tuple[str, str]]:
    """Yield each key that may not be there, and why."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name in CODE_KEYS:
                yield name, "has code loaded that is not this repository's"
            elif ATTENTION_KEY.fullmatch(name) and "/" in json.dumps(each):
                yield name, "names a kernel of another repository"
            elif name in ORIGIN_KEYS and not HUB_NAME.fullmatch(str(each)):
                yield name, "names a path of this machine"
            elif PLACE.search(name):
                yield name, "is the name of a setting and a path of this machine"
            else:
                yield from _foreign(each, name, is_free or bool(FREE_KEY.fullmatch(name)))
    elif isinstance(value, list):
        for each in value:
            yield from _foreign(each, key, is_free)
    elif not is_free and _is_other_code(value):
        yield key, f"names code of another repository ({value[:80]})"
    elif isinstance(value, str) and (PLACE.search(value) or not is_free and _is_local(key, value)):
        yield key, "names a path of this machine"


def _is_local(key: str, value: Any) -> bool:
    free = FREE_KEY.fullmatch(key)
    return isinstance(value, str) and not free and bool(LOCAL_PATH.fullmatch(value))
