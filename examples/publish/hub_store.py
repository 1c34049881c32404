"""What a Hub remembers: repositories, their commits, branches and large files; all in memory."""

import hashlib
from dataclasses import dataclass, field


# Above this size, and for these endings, a file is stored as a large one, as on the Hub.
LARGE_FILE_BYTES = 10_000_000
LARGE_ENDINGS = (".safetensors", ".bin", ".png")


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: For the person.
        code: For the client, in ``X-Error-Code``.
    """

    def __init__(self, status: int, message: str, code: str | None = None):
        """Keep status and code."""
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class StoredFile:
    """One version of a file.

    Args:
        content: Its bytes.
        is_large: Whether it went through large file storage.
    """

    content: bytes
    is_large: bool

    @property
    def git_id(self) -> str:
        """The id git gives to the file or, for a large one, to its pointer."""
        content = self.pointer if self.is_large else self.content
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    @property
    def sha256(self) -> str:
        """The id of a large file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        """What git holds in place of a large file."""
        version = "version https://git-lfs.github.com/spec/v1"
        text = f"{version}\noid sha256:{self.sha256}\nsize {len(self.content)}\n"
        return text.encode()

    @property
    def etag(self) -> str:
        """What the client files it under in its cache."""
        return self.sha256 if self.is_large else self.git_id

    def as_tree_entry(self, path: str) -> dict:
        """Return the description that the API gives of it."""
        entry = {"type": "file", "path": path, "size": len(self.content), "oid": self.git_id}
        if self.is_large:
            pointer = {"size": len(self.content), "pointerSize": len(self.pointer)}
            entry["lfs"] = {"oid": self.sha256, **pointer}
        return entry


@dataclass
class Repository:
    """One model repository.

    Args:
        repo_id: ``OWNER/NAME``.
        is_private: Whether it can be seen without a token.
        commits: Files by path, by commit id.
        heads: Commit id by branch, tag or pull request.
        parents: Id of the commit before, by commit id; None for the first.
    """

    repo_id: str
    is_private: bool
    commits: dict[str, dict[str, StoredFile]] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin as the Hub does, with a commit of its own."""
        attributes = b"".join(b"*%s filter=lfs\n" % e.encode() for e in LARGE_ENDINGS)
        self.commit("main", {".gitattributes": StoredFile(attributes, is_large=False)})

    def commit_id(self, revision: str) -> str:
        """Return the id of the commit that a branch, tag, pull request or id stands for."""
        found = self.heads.get(revision, revision)
        if found not in self.commits:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found

    def history(self, revision: str) -> list[str]:
        """Return the ids of a revision's commits, the newest first."""
        commits: list[str] = []
        following: str | None = self.commit_id(revision)
        while following:
            commits.append(following)
            following = self.parents[following]
        return commits

    def commit(self, branch: str, files: dict[str, StoredFile], parent: str | None = None) -> str:
        """Make ``files`` the head of a branch; return the commit's id.

        Args:
            branch: Made if it is not there.
            files: All files of the commit.
            parent: The commit before; None: the branch's head.
        """
        listing = "".join(f"{path} {file.git_id}\n" for path, file in sorted(files.items()))
        text = f"{self.repo_id} {len(self.commits)}\n{listing}"
        commit = hashlib.sha1(text.encode()).hexdigest()
        self.commits[commit] = files
        self.parents[commit] = parent or self.heads.get(branch)
        self.heads[branch] = commit
        return commit

    def describe(self, revision: str) -> dict:
        """Return the description that the API gives of the repository."""
        commit = self.commit_id(revision)
        siblings = [
            {"rfilename": path, "size": len(file.content), "blobId": file.git_id}
            for path, file in self.commits[commit].items()
        ]
        return {
            "id": self.repo_id,
            "modelId": self.repo_id,
            "sha": commit,
            "private": self.is_private,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": siblings,
        }


def is_large(path: str, size: int) -> bool:
    """Return whether a file belongs into large file storage."""
    return path.endswith(LARGE_ENDINGS) or size > LARGE_FILE_BYTES
