"""What a push would change: the folder against the head of the repository."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from .allowed import FolderFile, files_of, is_ours
from .card import UNNAMED
from .hub_errors import explained


CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class RemoteFile:
    """A file at the head: its size, and the id that git or large file storage gives to it."""

    size: int
    oid: str
    is_large: bool


@dataclass(frozen=True)
class Remote:
    """The head that a plan is made against.

    Args:
        exists: Whether there is such a repository.
        has_branch: Whether it has the branch.
        is_private: Whether it is hidden from others.
        commit: Id of the head; None where there is no repository.
        files: What is there.
    """

    exists: bool
    has_branch: bool = False
    is_private: bool = False
    commit: str | None = None
    files: dict[str, RemoteFile] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """What happens to one file: ``new``, ``changed``, ``unchanged``, ``deleted`` or ``kept``."""

    path: str
    what: str
    size: int


@dataclass(frozen=True)
class PushPlan:
    """All files of a push.

    Args:
        changes: What happens to each file, here or there.
        uploads: The new and the changed ones.
        contents: Contents that differ from the file in the folder: the card, which is given the
            repository's name.
    """

    changes: tuple[Change, ...]
    uploads: tuple[FolderFile, ...]
    contents: dict[str, bytes]

    @property
    def deleted(self) -> list[str]:
        """Paths to delete."""
        return [change.path for change in self.changes if change.what == "deleted"]

    @property
    def is_empty(self) -> bool:
        """Whether the repository has all of it already."""
        return not self.uploads and not self.deleted


def read_remote(repo_id: str, branch: str, token: str | None) -> Remote:
    """Return the head of a repository's branch, or of its main branch where it has no such one.

    Raises:
        ECSOInputError: The Hub cannot be reached, or does not let this token look.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    api = HfApi(token=token or False)
    with explained(repo_id):
        try:
            info, has_branch = api.model_info(repo_id, revision=branch), True
        except RevisionNotFoundError:
            info, has_branch = api.model_info(repo_id), False
        except RepositoryNotFoundError as error:
            if token and getattr(error.response, "status_code", None) == 401:
                api.whoami()  # tells a token that is not accepted from a name that is not there
            return Remote(exists=False)
        files = {
            entry.path: RemoteFile(
                size=entry.size,
                oid=entry.lfs.sha256 if entry.lfs else entry.blob_id,
                is_large=bool(entry.lfs),
            )
            for entry in api.list_repo_tree(repo_id, revision=info.sha, recursive=True)
            if hasattr(entry, "size")
        }
    return Remote(True, has_branch, bool(info.private), info.sha, files)


def make_plan(folder: Path, repo_id: str, remote: Remote) -> PushPlan:
    """Return what a push would change.

    Files that nobody but a build makes, code and weights, are deleted where this build has none;
    every other file that is there stays.

    Args:
        folder: What `build` has made.
        repo_id: Where it is going; the card is given this name.
        remote: What is there.

    Raises:
        ECSOInputError: A file may not be published.
    """
    files = files_of(folder)
    card = (folder / "README.md").read_text("utf-8").replace(UNNAMED, repo_id)
    contents = {"README.md": card.encode()}
    changes, uploads = [], []
    for file in files:
        content = contents.get(file.path)
        size = len(content) if content is not None else file.source.stat().st_size
        there = remote.files.get(file.path)
        if there is None:
            what = "new"
        else:
            what = "unchanged" if _is_same(file.source, content, size, there) else "changed"
        changes.append(Change(file.path, what, size))
        if what != "unchanged":
            uploads.append(file)
    here = {file.path for file in files}
    for path, there in sorted(remote.files.items()):
        if path not in here:
            changes.append(Change(path, "deleted" if is_ours(path) else "kept", there.size))
    return PushPlan(tuple(changes), tuple(uploads), contents)


def _is_same(file: Path, content: bytes | None, size: int, there: RemoteFile) -> bool:
    if size != there.size:
        return False
    found = hashlib.sha256() if there.is_large else hashlib.sha1(b"blob %d\0" % size)
    if content is not None:
        found.update(content)
    else:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                found.update(chunk)
    return found.hexdigest() == there.oid
