"""The model underneath a repository: the embedded one, a folder, or a repository of the Hub."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaml import YAMLError

from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.loading.models import TINY_FOLDER
from modeling_ecso.sources_ecso import COMMIT, REPO_ID

from .allowed import NOTICES, PROCESSOR_FILES, is_allowed
from .hub_errors import as_input_errors
from .model_json import read_json, refuse_lfs_pointer
from .recipe import EMBEDDED, Recipe
from .secret_patterns import refuse_secret_name
from .weights import INDEX, SINGLE


# With it beside the weights, transformers loads an adapter, by any path, over them.
ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class BaseCheckpoint:
    """A checkpoint on this machine, and where it can be had.

    Args:
        folder: Where its files are.
        repo_id: Its repository on the Hub; None for a folder.
        revision: The commit of that repository, 40 hex digits.
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
        return read_json(file) if file.is_file() else {}

    def card_fields(self) -> dict[str, Any]:
        """Return what the base's card says for machines, such as its licence; empty: nothing."""
        from huggingface_hub import ModelCard

        try:
            text = (self.folder / "README.md").read_text("utf-8")
            fields: dict[str, Any] = ModelCard(text, ignore_metadata_errors=True).data.to_dict()
        except (OSError, ValueError, TypeError, YAMLError):
            return {}
        return fields

    def small_files(self) -> list[Path]:
        """Return the files of processor and licence that it has.

        Raises:
            ECSOInputError: One is a link that leads elsewhere, or a pointer of Git LFS.
        """
        found = [self.folder / name for name in (*PROCESSOR_FILES, *NOTICES)]
        found += sorted(self.folder.glob("additional_chat_templates/*.jinja"))
        files = [file for file in found if file.is_file() or file.is_symlink()]
        # A folder of the Hub's cache holds links to the blobs beside it.
        home = self.folder.resolve()
        blobs = home.parent.parent / "blobs"
        for file in files:
            target = file.resolve()
            if not (target.is_relative_to(home) or target.is_relative_to(blobs)):
                raise ECSOInputError(f"{file}: a link out of the folder; put the file itself there")
            refuse_lfs_pointer(file)
        return files


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
    if (base.folder / ADAPTER).exists():
        raise ECSOInputError(
            f"{base.folder}: an adapter ({ADAPTER}), which has other weights loaded; merge it into "
            "its model first"
        )
    for file in sorted(base.folder.iterdir()):
        refuse_secret_name(file, allowed=is_allowed(file.name, "model"))
    return base


def pinned(repo_id: str, revision: str | None) -> str:
    """Return the commit that a revision leads to at this moment; a commit is returned as it is.

    Args:
        repo_id: Repository of the Hub.
        revision: A commit, a tag or a branch; None: the main branch.

    Raises:
        ECSOInputError: The name is not valid, or the Hub does not know or say.
    """
    from huggingface_hub import HfApi

    if not REPO_ID.fullmatch(repo_id):
        raise ECSOInputError(
            f"{repo_id}: neither a folder nor OWNER/NAME; give one of them as --base"
        )
    if revision is not None and COMMIT.fullmatch(revision):
        return revision
    with as_input_errors(f"the base {repo_id}"):
        commit = HfApi().model_info(repo_id, revision=revision).sha
    if commit is None or not COMMIT.fullmatch(commit):
        raise ECSOInputError(f"{repo_id}: the Hub names no commit for {revision or 'main'}")
    return commit


def _folder(path: str) -> Path:
    folder = Path(path)
    if not (folder / "config.json").is_file():
        raise ECSOInputError(f"{path}: no config.json there; give the folder or Hub id of a model")
    return folder


def _fetched(repo_id: str, revision: str | None, with_weights: bool) -> BaseCheckpoint:
    from huggingface_hub import snapshot_download

    wanted = ["config.json", "generation_config.json", *PROCESSOR_FILES, *NOTICES]
    wanted += ["additional_chat_templates/*.jinja", ADAPTER, "README.md"]
    if with_weights:
        wanted += ["model*.safetensors", INDEX]
    commit = pinned(repo_id, revision)
    with as_input_errors(f"the base {repo_id}"):
        folder = Path(snapshot_download(repo_id, revision=commit, allow_patterns=wanted))
    if with_weights and not any((folder / name).is_file() for name in (SINGLE, INDEX)):
        raise ECSOInputError(
            f"{repo_id}: no safetensors at revision {commit}; pickled weights are not taken, "
            "since loading them runs code: choose a revision that has safetensors"
        )
    return BaseCheckpoint(_folder(str(folder)), repo_id, commit)
