"""Builds a complete repository in a folder, from an allow-list of files alone."""

import pprint
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.loading.families import FamilyNames, family_names
from modeling_ecso.loading.fitting import check_parts, has_llava_processor

from .allowed import files_of
from .base import BaseCheckpoint, find_base, pinned
from .card import write_card
from .family_code import TEMPLATES, code_files, model_code
from .fit import check_fit, processor_settings
from .model_json import VOCABULARIES, cleaned, read_json, write_json
from .recipe import Recipe
from .results import read_results
from .weights import SINGLE, link_or_copy, weight_files


class BuildResult(NamedTuple):
    """What a build was made from.

    Args:
        base: The checkpoint underneath.
        left_out: What its files name of other code and the repository therefore does not,
            each as ``FILE: KEY``.
    """

    base: BaseCheckpoint
    left_out: tuple[str, ...] = ()


# Of no use to a stock model, whose class stays what it is.
OF_THE_CLASS = (
    *("modeling_ecso.py", "configuration_ecso.py"),
    *("family_model_ecso.py", "family_config_ecso.py"),
)

_ECSO_CONFIG_MODULE = '''"""What this repository protects with. Written by the build."""

ECSO_CONFIG = '''


def build(recipe: Recipe, out: Path, base_wanted: str | None = None) -> BuildResult:
    """Build a repository; ``out`` is there afterwards, complete, or not at all.

    Args:
        recipe: What to build.
        out: Folder to make; must not be there yet, or be empty.
        base_wanted: Another base than the recipe's: a folder, ``OWNER/NAME`` or
            ``OWNER/NAME@REVISION``.

    Returns:
        The base it was built from, and what of it was left out.

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
            left_out: list[str] = []
            if recipe.kind == "model":
                left_out = _write_model(recipe, base, folder)
            else:
                _write_method(recipe, base, folder)
            files_of(folder)
            if out.exists():
                out.rmdir()
            folder.rename(out)
    except OSError as error:
        raise ECSOInputError(f"{out}: cannot be written ({error.strerror or error})") from None
    return BuildResult(base, tuple(left_out))


def ecso_config_module(ecso_config: dict[str, Any]) -> str:
    """Return the module that a ``custom_generate`` repository keeps its `ECSOConfig` in."""
    return _ECSO_CONFIG_MODULE + pprint.pformat(ecso_config, width=98, sort_dicts=False) + "\n"


def _write_model(recipe: Recipe, base: BaseCheckpoint, folder: Path) -> list[str]:
    """Write a model repository; return what was left out of the base's files."""
    weights = weight_files(base.folder) if recipe.weights == "copy" else []
    names = _names(base)
    left_out = _write_configs(recipe, base, names, folder)
    left_out += _write_processor(base, names, folder)
    for name, text in model_code(names).items():
        (folder / name).write_text(text, "utf-8")
    for file in weights:
        link_or_copy(file, folder / file.name)
    single = base.folder / SINGLE
    results = read_results(recipe, single if single.is_file() else None)
    (folder / "README.md").write_text(write_card(recipe, base, results, names), "utf-8")
    return left_out


def _names(base: BaseCheckpoint) -> FamilyNames:
    """Return the names of the base's family.

    Raises:
        ECSOInputError: It is no vision-language model.
    """
    stored = base.read_json("config.json")
    try:
        check_parts(stored)
        return family_names(stored["model_type"])
    except ECSOInputError as error:
        raise type(error)(f"{base.folder}: {error}") from None


def _write_processor(base: BaseCheckpoint, names: FamilyNames, folder: Path) -> list[str]:
    """Write processor and licence; return what was left out of the base's files."""
    left_out: list[str] = []
    small_files = base.small_files()
    if base.folder / "tokenizer_config.json" not in small_files:
        raise ECSOInputError(
            f"{base.folder}: no tokenizer_config.json; the protocol needs the model's processor"
        )
    for file in small_files:
        target = folder / file.relative_to(base.folder)
        target.parent.mkdir(exist_ok=True)
        if file.suffix == ".json" and file.name not in VOCABULARIES:
            left_out += _write_cleaned(file, target)
        else:
            shutil.copyfile(file, target)
    configuration = read_json(folder / "config.json")
    if has_llava_processor(configuration):
        completed = processor_settings(folder, configuration)
        if completed is not None:
            write_json(folder / "processor_config.json", completed)
    check_fit(folder, base.folder, names)
    return left_out


def _write_configs(
    recipe: Recipe, base: BaseCheckpoint, names: FamilyNames, folder: Path
) -> list[str]:
    """Write ``config.json`` and ``generation_config.json``; return what was left out."""
    left_out: list[str] = []
    configuration = _configuration(recipe, base, names, left_out)
    write_json(folder / "config.json", configuration)
    stored = {**base.read_json("generation_config.json"), **recipe.generation}
    generation, keys = cleaned(stored)
    left_out += [f"generation_config.json: {key}" for key in keys]
    if generation:
        write_json(folder / "generation_config.json", generation)
    return left_out


def _write_cleaned(file: Path, target: Path) -> list[str]:
    """Copy a JSON file without what names other code; return what was left out."""
    stored = read_json(file)
    rest, keys = cleaned(stored)
    if rest == stored:
        shutil.copyfile(file, target)
    else:
        write_json(target, rest)
    return [f"{file.name}: {key}" for key in keys]


def _write_method(recipe: Recipe, base: BaseCheckpoint, folder: Path) -> None:
    method = folder / "custom_generate"
    method.mkdir()
    shutil.copyfile(TEMPLATES / "generate.py", method / "generate.py")
    (method / "ecso_config.py").write_text(ecso_config_module(recipe.ecso_config), "utf-8")
    for file in code_files():
        if file.name not in OF_THE_CLASS:
            shutil.copyfile(file, method / file.name)
    card = write_card(recipe, base, read_results(recipe, None))
    (folder / "README.md").write_text(card, "utf-8")


def _base_in_name(recipe: Recipe, wanted: str | None) -> BaseCheckpoint:
    """Return the base that a card without weights speaks of; no file of it is fetched.

    Raises:
        ECSOInputError: It is a folder, or the Hub does not know it or say.
    """
    if wanted is None:
        repo_id, revision = recipe.base_id, recipe.base_revision
    elif Path(wanted).is_dir():
        raise ECSOInputError(
            f"{wanted} is a folder, and the card of a repository without weights names one of the "
            "Hub that everybody can load; give OWNER/NAME as --base, or leave it out"
        )
    else:
        repo_id, _, named = wanted.partition("@")
        revision = named or None
    return BaseCheckpoint(Path(), repo_id, pinned(repo_id, revision))


def _configuration(
    recipe: Recipe, base: BaseCheckpoint, names: FamilyNames, left_out: list[str]
) -> dict[str, Any]:
    from modeling_ecso.family_config_ecso import auto_map_of

    stored = base.read_json("config.json")
    source = stored.get("weights_from")
    if source:
        of = source.get("repo_id") if isinstance(source, dict) else source
        raise ECSOInputError(f"{base.folder}: a thin repository, without weights; build from {of}")
    if stored["model_type"] == names.model_type:
        stored.pop("auto_map", None)  # our own, of an earlier version perhaps
    configuration, keys = cleaned(stored)
    left_out += [f"config.json: {key}" for key in keys]
    configuration.update(
        model_type=names.model_type,
        architectures=[names.model],
        auto_map=auto_map_of(names.config, names.model),
        ecso=recipe.ecso_config,
    )
    if recipe.weights == "thin":
        configuration["weights_from"] = base.as_weights_source
    return configuration
