"""The recipe that is not there: what `ecso-hub build --base` makes of a base alone.

A repository of the Hub keeps its weights, pinned; those of a folder are taken along. The rest is
the ``paper`` preset, and a card that says of the model what its name and its own card say.
"""

from pathlib import Path

from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.sources_ecso import REPO_ID

from .recipe import CardFields, Recipe, configuration_folder


def recipe_for(base: str) -> Recipe:
    """Return the recipe for a base.

    Args:
        base: A folder, ``OWNER/NAME`` or ``OWNER/NAME@REVISION``.

    Raises:
        ECSOInputError: It is neither.
    """
    folder = Path(base)
    if folder.is_dir():
        base_id, revision, weights = str(folder.resolve()), None, "copy"
        name = folder.resolve().name
        kept = "are part of this repository, unchanged"
    else:
        base_id, _, named = base.partition("@")
        if not REPO_ID.fullmatch(base_id):
            raise ECSOInputError(
                f"{base}: neither a folder nor OWNER/NAME; give one of them as --base"
            )
        revision, weights = named or "main", "thin"
        name = base_id.partition("/")[2]
        kept = f"are those of {base_id}, unchanged, and are loaded from there"
    return Recipe(
        path=configuration_folder() / "recipes" / "none.yaml",
        kind="model",
        base_id=base_id,
        base_revision=revision,
        weights=weights,
        preset="paper",
        ecso={},
        generation={},
        release="v1",
        card=CardFields(
            title=f"ECSO {name}",
            summary=f"{name} whose generate() protects by itself. The weights {kept}.",
            license=None,
            language=(),
            tags=("ecso", "safety"),
            results=(),
        ),
    )
