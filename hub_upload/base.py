"""The model underneath a repository: the embedded one, a folder, or a repository of the Hub."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.loading.models import TINY_FOLDER

from .allowed import NOTICES, PROCESSOR_FILES, SECRET_NAMES
from .hub_errors import as_input_errors
from .recipe import EMBEDDED, Recipe
from .weights import INDEX, SINGLE


@dataclass(frozen=True)
class BaseCheckpoint:
    """A checkpoint on this machine, and where it can be had.

    Args:
        folder: Where its files are.
        repo_id: Its repository on the Hub; None for a folder.
        revision: The commit or tag of that repository.
    """

    folder: Path
    repo_id: str | None
    revision: str | None

    @property
    def as_weights_source(self) -> dict[str, str | None]:
        """What a thin repository stores about it."""
        if self.repo_id is None:
            return {"repo_id": str(self.folder.resolve()), "revision": None}
        return {"repo_id": self.repo_id, "revision": self.revision}

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the content of one of its files; empty where it has none.

        Raises:
            ECSOInputError: It is not JSON.
        """
        file = self.folder / name
        if not file.is_file():
            return {}
        try:
            content = json.loads(file.read_text("utf-8"))
        except ValueError:
            raise ECSOInputError(f"{file}: not JSON; get it again") from None
        if not isinstance(content, dict):
            raise ECSOInputError(f"{file}: not a JSON object; get it again")
        return content


def find_base(recipe: Recipe, wanted: str | None) -> BaseCheckpoint:
    """Return the base, fetched where it is not on this machine; its weights only for a copy.

    Args:
        recipe: Names the base, and says whether its weights are needed.
        wanted: Another base: a folder, ``OWNER/NAME`` or ``OWNER/NAME@REVISION``.

    Raises:
        ECSOInputError: It cannot be had, or holds what looks like a secret.
    """
    if wanted is None and recipe.base_id == EMBEDDED:
        base = BaseCheckpoint(TINY_FOLDER, None, None)
    elif wanted is None and Path(recipe.base_id).is_absolute():
        base = BaseCheckpoint(_folder(recipe.base_id), None, None)
    elif wanted is None:
        base = _fetched(recipe.base_id, recipe.base_revision, recipe.weights == "copy")
    elif Path(wanted).is_dir():
        base = BaseCheckpoint(_folder(wanted), None, None)
    else:
        repo_id, _, revision = wanted.partition("@")
        base = _fetched(repo_id, revision or None, recipe.weights == "copy")
    for file in sorted(base.folder.iterdir()):
        if SECRET_NAMES.fullmatch(file.name):
            raise ECSOInputError(f"{file}: its name is that of a secret; take it out of the folder")
    return base


def _folder(path: str) -> Path:
    folder = Path(path)
    if not (folder / "config.json").is_file():
        raise ECSOInputError(
            f"{path}: no config.json there; give the folder or Hub id of a LLaVA model"
        )
    return folder


def _fetched(repo_id: str, revision: str | None, with_weights: bool) -> BaseCheckpoint:
    from huggingface_hub import HfApi, snapshot_download

    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo_id):
        raise ECSOInputError(
            f"{repo_id}: neither a folder nor OWNER/NAME; give one of them as --base"
        )
    wanted = ["config.json", "generation_config.json", *PROCESSOR_FILES, *NOTICES]
    if with_weights:
        wanted += ["model*.safetensors", INDEX]
    with as_input_errors(f"the base {repo_id}"):
        if revision is None:
            revision = HfApi().model_info(repo_id).sha  # a branch moves, its commit does not
        folder = Path(snapshot_download(repo_id, revision=revision, allow_patterns=wanted))
    if with_weights and not any((folder / name).is_file() for name in (SINGLE, INDEX)):
        raise ECSOInputError(
            f"{repo_id}: no safetensors at revision {revision}; pickled weights are not taken, "
            "since loading them runs code: choose a revision that has safetensors"
        )
    return BaseCheckpoint(_folder(str(folder)), repo_id, revision)
