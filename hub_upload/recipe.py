"""A recipe: what one published repository is made of, read from YAML and checked key by key.

Nothing here looks at the base: a recipe for a model that is not on this machine is as good as any.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modeling_ecso.errors_ecso import ECSOInputError

from .presets import configuration_folder


# In place of a base's id: the checkpoint inside the package.
EMBEDDED = "embedded"

KINDS = ("model", "custom_generate")
WEIGHTS = {"model": ("copy", "thin"), "custom_generate": ("none",)}


@dataclass(frozen=True)
class CardFields:
    """What the card says that the template does not know.

    Args:
        title: Heading.
        summary: What it is, in a sentence or two.
        license: Identifier of the Hub, such as ``apache-2.0``.
        language: Language codes.
        tags: Tags beside the usual ones.
        results: Files with measured figures, beside the recipe or inside the package.
    """

    title: str
    summary: str
    license: str
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
        base_revision: The commit or tag it is pinned to; None for the embedded one.
        weights: ``copy``, ``thin`` or, for code alone, ``none``.
        preset: The preset whose settings are stored.
        ecso: Settings that differ from the preset.
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
    def settings(self) -> dict[str, Any]:
        """The complete protocol settings."""
        from modeling_ecso import ECSOConfig

        return ECSOConfig.from_preset(self.preset, **self.ecso).to_dict()


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
    return _Reader(path).recipe(stored)


class _Reader:
    """Checks the values of one file, so that every complaint names it."""

    def __init__(self, path: Path):
        self._path = path

    def recipe(self, stored: Any) -> Recipe:
        keys = ["kind", "base", "weights", "preset", "ecso", "generation", "release", "card"]
        top = self._mapping("the recipe", stored, keys)
        base = self._mapping("base", top["base"], ["repo_id", "revision"])
        card = self._mapping(
            "card",
            top["card"],
            ["title", "summary", "license", "language", "tags", "results"],
        )
        kind = self._one_of("kind", top["kind"], KINDS)
        self._check_base(base)
        recipe = Recipe(
            path=self._path,
            kind=kind,
            base_id=base["repo_id"],
            base_revision=base["revision"],
            weights=self._one_of("weights", top["weights"], WEIGHTS[kind]),
            preset=self._text("preset", top["preset"]),
            ecso=self._free_mapping("ecso", top["ecso"]),
            generation=self._free_mapping("generation", top["generation"]),
            release=self._matching("release", top["release"], r"v[0-9][\w.-]*", "v1 or v1.2"),
            card=CardFields(
                title=self._line("card.title", card["title"]),
                summary=self._line("card.summary", card["summary"]),
                license=self._matching(
                    "card.license", card["license"], r"[a-z0-9][a-z0-9.-]*", "apache-2.0"
                ),
                language=self._texts("card.language", card["language"]),
                tags=self._texts("card.tags", card["tags"]),
                results=self._texts("card.results", card["results"]),
            ),
        )
        self._check_settings(recipe)
        return recipe

    def _wrong(self, key: str, must: str, value: Any) -> ECSOInputError:
        return ECSOInputError(f"{self._path}: {key} must be {must}; got {repr(value)[:80]}")

    def _mapping(self, key: str, value: Any, keys: list[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._wrong(key, "a mapping with " + ", ".join(keys), value)
        where = "" if key == "the recipe" else f"{key}."
        for name in value:
            if name not in keys:
                raise ECSOInputError(
                    f"{self._path}: {where}{name} is no key of a recipe; remove it or correct its "
                    f"name ({', '.join(keys)})"
                )
        for name in keys:
            if name not in value:
                raise ECSOInputError(f"{self._path}: {where}{name} is missing; add it")
        return value

    def _check_base(self, base: dict[str, Any]) -> None:
        from modeling_ecso import ECSOConfigError
        from modeling_ecso.sources_ecso import checked_source

        if base["repo_id"] == EMBEDDED:
            if base["revision"] is not None:
                raise self._wrong("base.revision", "null for the embedded base", base["revision"])
            return
        try:
            checked_source(base)
        except ECSOConfigError as error:
            raise ECSOInputError(
                f"{self._path}: {str(error).replace('weights_from', 'base')}"
            ) from None

    def _check_settings(self, recipe: Recipe) -> None:
        from modeling_ecso import ECSOConfigError

        try:
            settings = recipe.settings
        except ECSOConfigError as error:
            raise ECSOInputError(f"{self._path}: {error}") from None
        if not settings["enabled"]:
            raise self._wrong("ecso.enabled", "true, or it would not protect", False)

    def _one_of(self, key: str, value: Any, allowed: tuple[str, ...]) -> str:
        if value not in allowed:
            raise self._wrong(key, " or ".join(allowed), value)
        return value

    def _text(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(key, "a non-empty text", value)
        return value.strip()

    def _line(self, key: str, value: Any) -> str:
        text = self._text(key, value)
        if "\n" in text:
            raise self._wrong(key, "one paragraph", value)
        return text

    def _matching(self, key: str, value: Any, pattern: str, example: str) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise self._wrong(key, f"a text like {example}", value)
        return value

    def _texts(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self._wrong(key, "a list of texts", value)
        return tuple(value)

    def _free_mapping(self, key: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._wrong(key, "a mapping, perhaps empty", value)
        return value
