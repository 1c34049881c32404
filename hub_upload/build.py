"""Builds a complete repository in a folder, from an allow-list of files alone."""

import json
import pprint
import shutil
import tempfile
from pathlib import Path
from typing import Any

import modeling_ecso
from modeling_ecso.errors_ecso import ECSOInputError

from .allowed import NOTICES, PROCESSOR_FILES, files_of
from .base import BaseCheckpoint, find_base
from .card import TEMPLATES, write_card
from .recipe import Recipe
from .results import read_results
from .weights import SINGLE, link_or_copy, weight_files


STORED_SETTINGS = '''"""The settings that this repository protects with. Written by the build."""

SETTINGS = '''


def build(recipe: Recipe, out: Path, base_wanted: str | None = None) -> BaseCheckpoint:
    """Build a repository; ``out`` is there afterwards, complete, or not at all.

    Args:
        recipe: What to build.
        out: Folder to make; must not be there yet, or be empty.
        base_wanted: Another base than the recipe's: a folder, ``OWNER/NAME`` or
            ``OWNER/NAME@REVISION``.

    Returns:
        The base it was built from.

    Raises:
        ECSOInputError: The folder is taken, the base cannot be had or used, or a file looks
            like a secret.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ECSOInputError(f"{out}: there is something already; remove it or give another folder")
    if recipe.kind == "model":
        base = find_base(recipe, base_wanted)
    else:
        base = _base_in_name(recipe, base_wanted)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as unfinished:
            folder = Path(unfinished) / "repository"
            folder.mkdir()
            if recipe.kind == "model":
                _write_model(recipe, base, folder)
            else:
                _write_method(recipe, base, folder)
            files_of(folder)
            if out.exists():
                out.rmdir()
            folder.rename(out)
    except OSError as error:
        raise ECSOInputError(f"{out}: cannot be written ({error.strerror or error})") from None
    return base


def code_files() -> list[Path]:
    """Return the flat modules, all of which ship."""
    return sorted(Path(modeling_ecso.__file__).parent.glob("*_ecso.py"))


def _write_model(recipe: Recipe, base: BaseCheckpoint, folder: Path) -> None:
    weights = weight_files(base.folder) if recipe.weights == "copy" else []
    _write_json(folder / "config.json", _configuration(recipe, base))
    generation = {**base.read_json("generation_config.json"), **recipe.generation}
    if generation:
        _write_json(folder / "generation_config.json", generation)
    present = {file.name for file in base.folder.iterdir()}
    for name in (*PROCESSOR_FILES, *NOTICES):
        if name in present:
            shutil.copyfile(base.folder / name, folder / name)
    for name in ("tokenizer_config.json",):
        if name not in present:
            raise ECSOInputError(
                f"{base.folder}: no {name}; the protocol needs the model's processor"
            )
    for file in code_files():
        shutil.copyfile(file, folder / file.name)
    for file in weights:
        link_or_copy(file, folder / file.name)
    single = base.folder / SINGLE
    results = read_results(recipe, single if single.is_file() else None)
    (folder / "README.md").write_text(write_card(recipe, base, results), "utf-8")


def _write_method(recipe: Recipe, base: BaseCheckpoint, folder: Path) -> None:
    method = folder / "custom_generate"
    method.mkdir()
    shutil.copyfile(TEMPLATES / "generate.py", method / "generate.py")
    settings = pprint.pformat(recipe.settings, width=98, sort_dicts=False)
    (method / "stored_settings.py").write_text(STORED_SETTINGS + settings + "\n", "utf-8")
    of_the_class = {"modeling_ecso.py", "configuration_ecso.py", "generation_ecso.py"}
    of_the_class.add("sources_ecso.py")
    for file in code_files():
        if file.name not in of_the_class:
            shutil.copyfile(file, method / file.name)
    card = write_card(recipe, base, read_results(recipe, None))
    (folder / "README.md").write_text(card, "utf-8")


def _base_in_name(recipe: Recipe, wanted: str | None) -> BaseCheckpoint:
    """Return the base that a card without weights speaks of; nothing is fetched."""
    repo_id, _, revision = (wanted or "").partition("@")
    if wanted and not revision:
        raise ECSOInputError(
            f"--base {wanted}: its card's example pins the base; give OWNER/NAME@REVISION"
        )
    return BaseCheckpoint(Path(), repo_id or recipe.base_id, revision or recipe.base_revision)


def _configuration(recipe: Recipe, base: BaseCheckpoint) -> dict[str, Any]:
    from modeling_ecso.configuration_ecso import ECSOLlavaConfig
    from modeling_ecso.modeling_ecso import AUTO_MAP, ECSOLlavaForConditionalGeneration

    stored = base.read_json("config.json")
    kind = stored.get("model_type")
    if kind not in ("llava", ECSOLlavaConfig.model_type):
        raise ECSOInputError(
            f"{base.folder}: a model of type {kind!r}; give a llava or an ecso_llava model"
        )
    if stored.get("weights_from"):
        source = stored["weights_from"]
        raise ECSOInputError(
            f"{base.folder}: a thin repository, without weights; build from {source['repo_id']}"
        )
    stored.pop("_name_or_path", None)
    stored.update(
        model_type=ECSOLlavaConfig.model_type,
        architectures=[ECSOLlavaForConditionalGeneration.__name__],
        auto_map=AUTO_MAP,
        ecso=recipe.settings,
    )
    if recipe.weights == "thin":
        stored["weights_from"] = base.as_weights_source
    return stored


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")
