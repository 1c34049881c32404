"""A recipe: what one published repository is made of, read from YAML and checked key by key.

Nothing here looks at the base: a recipe for a model that is not on this machine is as good as any.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.sources_ecso import REPO_ID


# In place of a base's id: the checkpoint inside the package.
EMBEDDED = "embedded"

REVISION = re.compile(r"[A-Za-z0-9][\w.+/-]*")

KINDS = ("model", "custom_generate")
WEIGHTS = {"model": ("copy", "thin"), "custom_generate": ("none",)}


@dataclass(frozen=True)
class CardFields:
    """What the card says that the template does not know.

    Args:
        title: Heading.
        summary: What it is, in a sentence or two.
        license: Identifier of the Hub, such as ``apache-2.0``; None: what the base's card says.
        language: Language codes.
        tags: Tags beside the usual ones.
        results: Files with measured figures, beside the recipe or inside the package.
    """

    title: str
    summary: str
    license: str | None
    language: tuple[str, ...]
    tags: tuple[str, ...]
    results: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """What one repository is made of.

    Args:
        path: The file it was read from.
        kind: ``model`` or ``custom_generate``.
        base_id: Repository of the model underneath, or ``embedded``.
        base_revision: A commit, or the tag or branch whose commit a build takes and stores; None
            for the embedded one and for a folder.
        weights: ``copy``, ``thin`` or, for code alone, ``none``.
        preset: The preset whose settings are stored.
        ecso: Settings that differ from the preset; the recipe may name a file of them.
        generation: Settings that differ from the base's ``generation_config.json``.
        release: The tag under which it is published.
        card: Fields of the card.
    """

    path: Path
    kind: str
    base_id: str
    base_revision: str | None
    weights: str
    preset: str
    ecso: dict[str, Any]
    generation: dict[str, Any]
    release: str
    card: CardFields

    @property
    def ecso_config(self) -> dict[str, Any]:
        """All fields of the `ECSOConfig`, as plain values."""
        from modeling_ecso import ECSOConfig

        return ECSOConfig.from_preset(self.preset, **self.ecso).to_dict()


def configuration_folder() -> Path:
    """Return the folder ``configuration/``: inside the installed package, or the checkout's."""
    here = Path(__file__).parent
    installed = here / "configuration"
    return installed if installed.is_dir() else here.parent / "configuration"


def known_recipes() -> list[str]:
    """Return the names of the recipes in ``configuration/``."""
    return sorted(path.stem for path in (configuration_folder() / "recipes").glob("*.yaml"))


def load_recipe(name: str) -> Recipe:
    """Return a recipe, checked.

    Args:
        name: That of one in ``configuration/recipes``, or the path of a YAML file.

    Raises:
        ECSOInputError: There is none, or a key is missing, unknown or malformed; names file, key,
            value.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = configuration_folder() / "recipes" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(known_recipes())
        raise ECSOInputError(
            f"{name}: no such recipe; give the path of a YAML file or one of {known}"
        )
    try:
        stored = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        raise ECSOInputError(f"{path}: not a YAML file{line}; mend it") from None
    try:
        return _checked_recipe(path, stored)
    except ECSOInputError as error:
        # Every complaint about a key is given the name of its file here.
        raise type(error)(f"{path}: {error}") from None


def _checked_recipe(path: Path, stored: Any) -> Recipe:
    keys = ["kind", "base", "weights", "preset", "ecso", "generation", "release", "card"]
    top = _mapping("the recipe", stored, keys)
    base = _mapping("base", top["base"], ["repo_id", "revision"])
    kind = _one_of("kind", top["kind"], KINDS)
    _check_base(base)
    recipe = Recipe(
        path=path,
        kind=kind,
        base_id=base["repo_id"],
        base_revision=base["revision"],
        weights=_one_of("weights", top["weights"], WEIGHTS[kind]),
        preset=_text("preset", top["preset"]),
        ecso=_ecso_changes(path, top),
        generation=_free_mapping("generation", top["generation"]),
        release=_matching("release", top["release"], r"v[0-9][\w.-]*", "v1 or v1.2"),
        card=_card_fields(top["card"], kind),
    )
    if not recipe.ecso_config["enabled"]:
        raise _wrong("ecso.enabled", "true, or it would not protect", False)
    return recipe


def _ecso_changes(path: Path, top: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the protocol: a mapping, or a file named from the recipe's folder."""
    if not isinstance(top["ecso"], str):
        return _free_mapping("ecso", top["ecso"])
    from modeling_ecso.loading.ecso_config_file import read_ecso_config

    stored = read_ecso_config(path.parent / top["ecso"])
    base = stored.pop("preset", top["preset"])
    if base != top["preset"]:
        raise _wrong("preset", f"{base}, the base of the settings in {top['ecso']}", top["preset"])
    return stored


def _card_fields(stored: Any, kind: str) -> CardFields:
    keys = ["title", "summary", "license", "language", "tags", "results"]
    card = _mapping("card", stored, keys)
    return CardFields(
        title=_line("card.title", card["title"]),
        summary=_line("card.summary", card["summary"]),
        license=_license(card["license"], kind),
        language=_texts("card.language", card["language"]),
        tags=_texts("card.tags", card["tags"]),
        results=_texts("card.results", card["results"]),
    )


def _license(value: Any, kind: str) -> str | None:
    if value is None and kind == "model":
        return None
    return _matching("card.license", value, r"[a-z0-9][a-z0-9.-]*", "apache-2.0")


def _check_base(base: dict[str, Any]) -> None:
    repo_id, revision = base["repo_id"], base["revision"]
    if not isinstance(repo_id, str):
        raise _wrong("base.repo_id", "OWNER/NAME, an absolute path or embedded", repo_id)
    if repo_id == EMBEDDED or Path(repo_id).is_absolute():
        if revision is not None:
            raise _wrong("base.revision", "null for a base on this machine", revision)
        return
    if not REPO_ID.fullmatch(repo_id):
        raise _wrong("base.repo_id", "OWNER/NAME, an absolute path or embedded", repo_id)
    if not isinstance(revision, str) or not REVISION.fullmatch(revision):
        raise _wrong("base.revision", "a commit, or a tag or branch that leads to one", revision)


def _wrong(key: str, must: str, value: Any) -> ECSOInputError:
    return ECSOInputError(f"{key} must be {must}; got {repr(value)[:80]}")


def _mapping(key: str, value: Any, keys: list[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(key, "a mapping with " + ", ".join(keys), value)
    where = "" if key == "the recipe" else f"{key}."
    for name in value:
        if name not in keys:
            raise ECSOInputError(
                f"{where}{name} is no key of a recipe; remove it or correct its name "
                f"({', '.join(keys)})"
            )
    for name in keys:
        if name not in value:
            raise ECSOInputError(f"{where}{name} is missing; add it")
    return value


def _one_of(key: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise _wrong(key, " or ".join(allowed), value)
    return value


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(key, "a non-empty text", value)
    return value.strip()


def _line(key: str, value: Any) -> str:
    text = _text(key, value)
    if "\n" in text:
        raise _wrong(key, "one paragraph", value)
    return text


def _matching(key: str, value: Any, pattern: str, example: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise _wrong(key, f"a text like {example}", value)
    return value


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _wrong(key, "a list of texts", value)
    return tuple(value)


def _free_mapping(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(key, "a mapping, perhaps empty", value)
    return value
