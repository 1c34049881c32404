"""What a push would change: the folder against the head of the repository."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .allowed import files_of, is_ours
from .card import UNNAMED
from .hub_errors import as_input_errors


if TYPE_CHECKING:
    from huggingface_hub import HfApi


class RemoteHead(NamedTuple):
    """The head that a plan is made against.

    Args:
        exists: Whether there is such a repository.
        has_branch: Whether it has the branch.
        is_private: Whether it is hidden from others.
        commit: Id of the head; empty where there is no repository.
    """

    exists: bool
    has_branch: bool = False
    is_private: bool = False
    commit: str = ""


class FileChange(NamedTuple):
    """What happens to one file.

    Args:
        path: In the repository.
        what: ``new``, ``changed``, ``unchanged``, ``deleted`` or ``kept``.
        size: In bytes; None for what is in the repository alone.
    """

    path: str
    what: str
    size: int | None = None


@dataclass(frozen=True)
class PushPlan:
    """What happens to each file, here or there."""

    changes: tuple[FileChange, ...]

    @property
    def uploads(self) -> list[FileChange]:
        """What is sent."""
        return [change for change in self.changes if change.what in ("new", "changed")]

    @property
    def deleted(self) -> list[str]:
        """Paths to delete."""
        return [change.path for change in self.changes if change.what == "deleted"]

    @property
    def is_empty(self) -> bool:
        """Whether the repository has all of it already."""
        return not self.uploads and not self.deleted


@contextmanager
def as_published(folder: Path, repo_id: str) -> Iterator[Path]:
    """Yield a folder that holds exactly what goes up: links to the files, and a card with a name.

    Args:
        folder: What `build` has made.
        repo_id: Where it is going.

    Raises:
        ECSOInputError: A file may not be published.
    """
    with tempfile.TemporaryDirectory(prefix="ecso-push-") as place:
        for file in files_of(folder):
            target = Path(place, file.path)
            target.parent.mkdir(exist_ok=True)
            if file.path == "README.md":
                card = file.source.read_bytes()
                target.write_bytes(card.replace(UNNAMED.encode(), repo_id.encode()))
            else:
                target.symlink_to(file.source.resolve())
        yield Path(place)


def read_head(api: "HfApi", repo_id: str, branch: str) -> RemoteHead:
    """Return the head of a repository's branch, or of its main branch where it has no such one.

    Raises:
        ECSOInputError: The Hub cannot be reached, or does not let this token look.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    with as_input_errors(repo_id):
        try:
            info, has_branch = api.model_info(repo_id, revision=branch), True
        except RevisionNotFoundError:
            info, has_branch = api.model_info(repo_id), False
        except RepositoryNotFoundError as error:
            if get_token() and getattr(error.response, "status_code", None) == 401:
                api.whoami()  # tells a token that is not accepted from a name that is not there
            return RemoteHead(exists=False)
    return RemoteHead(True, has_branch, bool(info.private), str(info.sha))


def make_plan(api: "HfApi", published: Path, repo_id: str, head: RemoteHead) -> PushPlan:
    """Return what a push would change.

    Files that nobody but a build makes, code and weights, are deleted where this build has none;
    every other file that is there stays.

    Args:
        api: The Hub.
        published: What goes up, from `as_published`.
        repo_id: Where it is going.
        head: What is there.

    Raises:
        ECSOInputError: The Hub cannot be reached.
    """
    sizes = {
        path.relative_to(published).as_posix(): path.stat().st_size
        for path in sorted(published.rglob("*"))
        if path.is_file()
    }
    if not head.exists:
        return PushPlan(tuple(FileChange(path, "new", size) for path, size in sizes.items()))
    with as_input_errors(repo_id):
        compared = api.verify_repo_checksums(repo_id, revision=head.commit, local_dir=published)
    found = dict.fromkeys(sizes, "unchanged")
    found |= dict.fromkeys(compared.extra_paths, "new")
    found |= {mismatch["path"]: "changed" for mismatch in compared.mismatches}
    here = [FileChange(path, what, sizes[path]) for path, what in found.items()]
    there = [
        FileChange(path, "deleted" if is_ours(path) else "kept") for path in compared.missing_paths
    ]
    return PushPlan((*here, *there))
