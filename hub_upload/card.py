"""The model card: a template, the recipe's fields, and figures from result files."""

from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from modeling_ecso import __version__
from modeling_ecso.loading.families import FamilyNames

from .base import BaseCheckpoint
from .family_code import TEMPLATES
from .recipe import EMBEDDED, Recipe
from .results import ResultTable


# Stands in the card until a push says what the repository is called.
UNNAMED = "OWNER/NAME"

TEMPLATE_OF = {"model": "model_card.md.jinja", "custom_generate": "generate_card.md.jinja"}


def write_card(
    recipe: Recipe,
    base: BaseCheckpoint,
    results: list[ResultTable],
    names: FamilyNames | None = None,
) -> str:
    """Return the text of ``README.md``.

    Args:
        recipe: What is published.
        base: What it is made from.
        results: Measured figures; may be empty.
        names: Of the family's classes; None for code alone.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    text = environment.get_template(TEMPLATE_OF[recipe.kind]).render(
        card=recipe.card,
        repo_id=UNNAMED,
        release=recipe.release,
        preset=recipe.preset,
        thin=recipe.weights == "thin",
        license=_license(recipe, base)["license"],
        base_name=_name_of(recipe, base, names),
        stock_model=names.stock_model if names else None,
        base_id=base.repo_id or recipe.base_id,
        base_revision=base.revision or recipe.base_revision,
        weights_from=_pinned(base),
        results=results,
        version=__version__,
    )
    return f"---\n{_metadata(recipe, base)}\n---\n\n{text}"


def _metadata(recipe: Recipe, base: BaseCheckpoint) -> str:
    from huggingface_hub import ModelCardData

    tag = "custom_code" if recipe.kind == "model" else "custom_generate"
    return ModelCardData(
        language=list(recipe.card.language),
        **_license(recipe, base),
        library_name="transformers",
        pipeline_tag="image-text-to-text",
        tags=[tag, *recipe.card.tags],
        base_model=base.repo_id,
        ecso_release=recipe.release,
    ).to_yaml()


def _license(recipe: Recipe, base: BaseCheckpoint) -> dict[str, Any]:
    """Return the fields about the licence: those of the recipe, else those of the base's card."""
    if recipe.card.license:
        return {"license": recipe.card.license}
    stored = base.card_fields()
    license = stored.get("license")
    if not isinstance(license, str):
        return {"license": "unknown"}
    more = {name: stored[name] for name in ("license_name", "license_link") if stored.get(name)}
    return {"license": license, **more}


def _name_of(recipe: Recipe, base: BaseCheckpoint, names: FamilyNames | None) -> str:
    if base.repo_id:
        return f"[{base.repo_id}](https://huggingface.co/{base.repo_id})"
    if recipe.base_id == EMBEDDED:
        return "small LLaVA"
    return f"model of the type {names.stock_type}" if names else "vision-language model"


def _pinned(base: BaseCheckpoint) -> str:
    if base.repo_id is None:
        return "a folder on the machine it was built on, so it works there alone"
    return f"[{base.repo_id}](https://huggingface.co/{base.repo_id}) at revision `{base.revision}`"
