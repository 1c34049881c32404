"""Pushes a built folder: one commit on top of the head that the plan was made against.

Covered: a connection that breaks is tried again, and what has arrived is not sent twice, neither in
this call nor in the next. A commit that arrived without an answer is recognised. A head that has
moved stops the push. A release's tag never moves.
Not covered: undoing a commit; the Hub keeps every earlier one.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from modeling_ecso.errors_ecso import ECSOInputError

from .allowed import files_of
from .hub_errors import BrokenConnection, MovedHead, explained
from .plan import PushPlan, Remote, make_plan, read_remote


MAIN = "main"
WAITS_S = (1, 2, 4)


class Target(NamedTuple):
    """Where a folder is going.

    Args:
        repo_id: ``OWNER/NAME``.
        branch: The branch to commit to.
        is_private: Whether a new repository is hidden from others.
        opens_request: Whether to open a pull request instead of committing to the branch.
    """

    repo_id: str
    branch: str = MAIN
    is_private: bool = False
    opens_request: bool = False


class Pushed(NamedTuple):
    """What a push has done.

    Args:
        commit: Id of the commit that holds the folder.
        url: Where to see it.
        tag: The release that can be pinned; None where none was set.
        tag_note: What is to be said about the tag.
    """

    commit: str
    url: str
    tag: str | None
    tag_note: str


def look(folder: Path, target: Target, needs_token: bool) -> tuple[Remote, PushPlan]:
    """Return the head and the plan; writes nothing.

    Raises:
        ECSOInputError: The name is not valid, there is no token, the folder cannot be published
            there.
    """
    from huggingface_hub.utils import validate_repo_id

    with explained(target.repo_id):
        validate_repo_id(target.repo_id)
    if target.repo_id.count("/") != 1:
        raise ECSOInputError(f"{target.repo_id}: not OWNER/NAME; say whose repository it is to be")
    token = _token()
    if token is None and needs_token:
        raise ECSOInputError("there is no token; log in with `hf auth login`, or set HF_TOKEN")
    _refuse_local_base(folder)
    remote = read_remote(target.repo_id, target.branch, token)
    if remote.exists and target.is_private and not remote.is_private:
        raise ECSOInputError(
            f"{target.repo_id}: is public already, --private would change nothing; make it private "
            "on its settings page first"
        )
    return remote, make_plan(folder, target.repo_id, remote)


def push(
    folder: Path,
    target: Target,
    remote: Remote,
    plan: PushPlan,
    wait: Callable[[float], None] = time.sleep,
) -> Pushed:
    """Carry out a plan; returns what has been done.

    Args:
        folder: The folder the plan is of.
        target: Where it is going.
        remote: The head the plan was made against.
        plan: What changes.
        wait: Called with seconds between attempts.

    Raises:
        ECSOInputError: The Hub refused, the head moved, or the connection broke for good.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    with explained(target.repo_id):
        if not remote.exists:
            api.create_repo(target.repo_id, private=target.is_private or None, exist_ok=True)
        if not remote.has_branch and target.branch != MAIN and not target.opens_request:
            api.create_branch(target.repo_id, branch=target.branch, exist_ok=True)
    if not remote.exists or not remote.has_branch:
        remote = read_remote(target.repo_id, target.branch, _token())
        plan = make_plan(folder, target.repo_id, remote)
    if plan.is_empty:
        commit, url = remote.commit, f"{api.endpoint}/{target.repo_id}/tree/{remote.commit}"
    else:
        commit, url = _commit_with_patience(api, folder, target, remote, plan, wait)
    if target.opens_request or target.branch != MAIN:
        return Pushed(commit, url, None, "")
    return Pushed(commit, url, *_tag(api, folder, target.repo_id, commit))


def _commit_with_patience(
    api: Any,
    folder: Path,
    target: Target,
    remote: Remote,
    plan: PushPlan,
    wait: Callable[[float], None],
) -> tuple[str, str]:
    operations = _operations(plan)
    for pause in (*WAITS_S, None):
        try:
            return _commit(api, target, remote, operations)
        except (BrokenConnection, MovedHead) as problem:
            # The commit may have arrived, and only the answer to it been lost.
            there = _look_again(target)
            if there is not None and there.commit != remote.commit:
                if make_plan(folder, target.repo_id, there).is_empty:
                    return there.commit, f"{api.endpoint}/{target.repo_id}/tree/{there.commit}"
            if pause is None or isinstance(problem, MovedHead):
                raise
            wait(pause)
    raise AssertionError("the last attempt returns or raises")


def _commit(api: Any, target: Target, remote: Remote, operations: list[Any]) -> tuple[str, str]:
    from huggingface_hub import CommitOperationAdd

    arguments = {"revision": target.branch, "create_pr": target.opens_request}
    if target.opens_request and not remote.has_branch:
        arguments["revision"] = MAIN
    with explained(target.repo_id):
        # Uploaded first and by itself: this part can be repeated without doubt.
        additions = [each for each in operations if isinstance(each, CommitOperationAdd)]
        api.preupload_lfs_files(target.repo_id, additions, free_memory=False, **arguments)
    try:
        with explained(target.repo_id):
            done = api.create_commit(
                target.repo_id,
                operations,
                commit_message="Publish with ecso-hub",
                parent_commit=remote.commit,
                **arguments,
            )
    except BrokenConnection:
        if target.opens_request:
            raise ECSOInputError(
                f"{target.repo_id}: the connection broke while the pull request was being opened; "
                "see on its Community page whether it is there before you repeat the command"
            ) from None
        raise
    return done.oid, done.pr_url or done.commit_url


def _operations(plan: PushPlan) -> list[Any]:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    additions = [
        CommitOperationAdd(file.path, plan.contents.get(file.path, str(file.source)))
        for file in plan.uploads
    ]
    return additions + [CommitOperationDelete(path) for path in plan.deleted]


def _look_again(target: Target) -> Remote | None:
    try:
        return read_remote(target.repo_id, target.branch, _token())
    except BrokenConnection:
        return None


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


def _tag(api: Any, folder: Path, repo_id: str, commit: str) -> tuple[str | None, str]:
    """Tag the commit as the card's release, unless that tag is taken; a release never moves."""
    from huggingface_hub import ModelCard
    from huggingface_hub.errors import RevisionNotFoundError

    release = ModelCard((folder / "README.md").read_text("utf-8")).data.to_dict()["ecso_release"]
    with explained(repo_id):
        try:
            tagged = api.model_info(repo_id, revision=release).sha
        except RevisionNotFoundError:
            api.create_tag(repo_id, tag=release, revision=commit, exist_ok=True)
            return release, f"tagged {release}"
    if tagged == commit:
        return release, f"{release} is this commit"
    return None, (
        f"{release} stays at {tagged[:8]}, and so do the card's snippets; raise `release` in the "
        "recipe and build again to publish this commit under a tag of its own"
    )


def _refuse_local_base(folder: Path) -> None:
    files_of(folder)
    config = folder / "config.json"
    source = json.loads(config.read_text("utf-8")).get("weights_from") if config.is_file() else None
    if source and source["revision"] is None:
        raise ECSOInputError(
            f"{folder}: takes its weights from {source['repo_id']}, a folder here; build "
            "again with --base OWNER/NAME"
        )
