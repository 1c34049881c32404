"""The model card: a template, the recipe's fields, and figures from result files."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from modeling_ecso import __version__

from .base import BaseCheckpoint
from .recipe import EMBEDDED, Recipe
from .results import ResultTable


TEMPLATES = Path(__file__).parent / "templates"

# Stands in the card until a push says what the repository is called.
UNNAMED = "OWNER/NAME"

TEMPLATE_OF = {"model": "model_card.md.jinja", "custom_generate": "generate_card.md.jinja"}


def write_card(recipe: Recipe, base: BaseCheckpoint, results: list[ResultTable]) -> str:
    """Return the text of ``README.md``.

    Args:
        recipe: What is published.
        base: What it is made from.
        results: Measured figures; may be empty.
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
        base_name=_name_of(recipe, base),
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
        license=recipe.card.license,
        library_name="transformers",
        pipeline_tag="image-text-to-text",
        tags=[tag, *recipe.card.tags],
        base_model=base.repo_id,
        ecso_release=recipe.release,
    ).to_yaml()


def _name_of(recipe: Recipe, base: BaseCheckpoint) -> str:
    if base.repo_id:
        return f"[{base.repo_id}](https://huggingface.co/{base.repo_id})"
    return "small LLaVA" if recipe.base_id == EMBEDDED else "LLaVA"


def _pinned(base: BaseCheckpoint) -> str:
    if base.repo_id is None:
        return "a folder on the machine it was built on, so it works there alone"
    return f"[{base.repo_id}](https://huggingface.co/{base.repo_id}) at revision `{base.revision}`"
