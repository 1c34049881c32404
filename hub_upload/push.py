"""Pushes a built folder: one commit on top of the head that the plan was made against.

Covered: a connection that breaks is tried again, and what has arrived is not sent twice, neither in
this call nor in the next. A commit that arrived without an answer is recognised. A head that has
moved stops the push. A release's tag never moves, and is set on nothing but the whole folder.
Not covered: undoing a commit; the Hub keeps every earlier one. A commit that the Hub fails to take
again and again is split by its client; `push` says so then.
"""

import glob
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.sources_ecso import checked_source

from .hub_errors import HeadMovedError, HubUnreachableError, as_input_errors
from .model_json import read_json
from .plan import PushPlan, RemoteHead, as_published, make_plan, read_head


if TYPE_CHECKING:
    from huggingface_hub import HfApi


MAIN = "main"
WAITS_S = (1, 2, 4)


class PushTarget(NamedTuple):
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


class PushResult(NamedTuple):
    """What a push has done.

    Args:
        commit: Id of the commit that holds the folder.
        url: Where to see it.
        tag: The release that can be pinned; None where none was set.
        tag_note: What is to be said about the tag.
    """

    commit: str
    url: str
    tag: str | None = None
    tag_note: str = ""


def plan_push(folder: Path, target: PushTarget, needs_token: bool) -> tuple[RemoteHead, PushPlan]:
    """Return the head and the plan; writes nothing.

    Raises:
        ECSOInputError: The name is not valid, there is no token, the folder cannot be published
            there.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.utils import validate_repo_id

    with as_input_errors(target.repo_id):
        validate_repo_id(target.repo_id)
    if target.repo_id.count("/") != 1:
        raise ECSOInputError(f"{target.repo_id}: not OWNER/NAME; say whose repository it is to be")
    if target.opens_request and target.branch != MAIN:
        raise ECSOInputError(
            f"a pull request is opened against {MAIN}; leave out --revision {target.branch}"
        )
    if get_token() is None and needs_token:
        raise ECSOInputError("there is no token; log in with `hf auth login`, or set HF_TOKEN")
    _refuse_local_base(folder)
    api = HfApi()
    with as_published(folder, target.repo_id) as published:
        head = read_head(api, target.repo_id, target.branch)
        if head.exists and target.is_private and not head.is_private:
            raise ECSOInputError(
                f"{target.repo_id}: is public already, --private would change nothing; make it "
                "private on its settings page first"
            )
        return head, make_plan(api, published, target.repo_id, head)


def push(
    folder: Path,
    target: PushTarget,
    head: RemoteHead,
    plan: PushPlan,
    wait: Callable[[float], None] = time.sleep,
) -> PushResult:
    """Carry out a plan; returns what has been done.

    Args:
        folder: The folder the plan is of.
        target: Where it is going.
        head: The head the plan was made against.
        plan: What changes.
        wait: Called with seconds between attempts.

    Raises:
        ECSOInputError: The Hub refused, the head moved, or the connection broke for good.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    with as_input_errors(target.repo_id):
        if not head.exists:
            api.create_repo(target.repo_id, private=target.is_private or None, exist_ok=True)
        if not head.has_branch and target.branch != MAIN:
            api.create_branch(target.repo_id, branch=target.branch, exist_ok=True)
    with as_published(folder, target.repo_id) as published:
        if not head.exists or not head.has_branch:
            head = read_head(api, target.repo_id, target.branch)
            plan = make_plan(api, published, target.repo_id, head)
        done = _upload_with_patience(api, published, target, head, plan, wait)
        if target.opens_request or target.branch != MAIN:
            return done
        if not _is_one_commit(api, target, head, done):
            note = (
                "not tagged: the Hub's client has split the commit; push again, and what is there "
                "is compared and tagged"
            )
            return done._replace(tag_note=note)
        return _tag_release(api, published, target.repo_id, done)


def _upload_with_patience(
    api: "HfApi",
    published: Path,
    target: PushTarget,
    head: RemoteHead,
    plan: PushPlan,
    wait: Callable[[float], None],
) -> PushResult:
    if plan.is_empty:
        return _at_commit(api, target, head.commit)
    for pause in (*WAITS_S, None):
        try:
            return _upload(api, published, target, head, plan)
        except (HubUnreachableError, HeadMovedError) as problem:
            # The commit may have arrived, and only the answer to it been lost.
            there = _head_if_reachable(api, target)
            if there is not None and there.commit != head.commit:
                if make_plan(api, published, target.repo_id, there).is_empty:
                    return _at_commit(api, target, there.commit)
            if pause is None or isinstance(problem, HeadMovedError):
                raise
            wait(pause)
    raise AssertionError("the last attempt returns or raises")


def _upload(
    api: "HfApi", published: Path, target: PushTarget, head: RemoteHead, plan: PushPlan
) -> PushResult:
    try:
        with as_input_errors(target.repo_id):
            done = api.upload_folder(
                repo_id=target.repo_id,
                folder_path=published,
                commit_message="Publish with ecso-hub",
                revision=target.branch,
                create_pr=target.opens_request,
                parent_commit=head.commit,
                # Patterns, so that a name with brackets must be escaped to stand for itself.
                allow_patterns=[glob.escape(change.path) for change in plan.uploads],
                delete_patterns=[glob.escape(path) for path in plan.deleted] or None,
            )
    except HubUnreachableError:
        if target.opens_request:
            raise ECSOInputError(
                f"{target.repo_id}: the connection broke while the pull request was being opened; "
                "see on its Community page whether it is there before you repeat the command"
            ) from None
        raise
    return PushResult(done.oid, done.pr_url or done.commit_url)


def _at_commit(api: "HfApi", target: PushTarget, commit: str) -> PushResult:
    return PushResult(commit, f"{api.endpoint}/{target.repo_id}/tree/{commit}")


def _head_if_reachable(api: "HfApi", target: PushTarget) -> RemoteHead | None:
    try:
        return read_head(api, target.repo_id, target.branch)
    except HubUnreachableError:
        return None


def _is_one_commit(api: "HfApi", target: PushTarget, head: RemoteHead, done: PushResult) -> bool:
    """Return whether the commit is the head itself, or the folder put right on top of it."""
    if done.commit == head.commit:
        return True
    with as_input_errors(target.repo_id):
        history = api.list_repo_commits(target.repo_id, revision=done.commit)
    return [commit.commit_id for commit in history[1:2]] == [head.commit]


def _tag_release(api: "HfApi", published: Path, repo_id: str, done: PushResult) -> PushResult:
    """Tag the commit as the card's release, unless that tag is taken; a release never moves."""
    from huggingface_hub import ModelCard
    from huggingface_hub.errors import HfHubHTTPError

    card = ModelCard((published / "README.md").read_text("utf-8"))
    release = card.data.to_dict()["ecso_release"]
    with as_input_errors(repo_id):
        tagged = _commit_at(api, repo_id, release)
        if tagged is None:
            try:
                api.create_tag(repo_id, tag=release, revision=done.commit)
                return done._replace(tag=release, tag_note=f"tagged {release}")
            except HfHubHTTPError as error:
                if error.response.status_code != 409:
                    raise
                tagged = _commit_at(api, repo_id, release)  # somebody else was faster
    if tagged == done.commit:
        return done._replace(tag=release, tag_note=f"{release} is this commit")
    note = (
        f"{release} stays at {str(tagged)[:8]}, and so do the card's snippets; raise `release` in "
        "the recipe and build again to publish this commit under a tag of its own"
    )
    return done._replace(tag_note=note)


def _commit_at(api: "HfApi", repo_id: str, revision: str) -> str | None:
    from huggingface_hub.errors import RevisionNotFoundError

    try:
        return api.model_info(repo_id, revision=revision).sha
    except RevisionNotFoundError:
        return None


def _refuse_local_base(folder: Path) -> None:
    config = folder / "config.json"
    stored = read_json(config).get("weights_from") if config.is_file() else None
    source = checked_source(stored)
    if source and source["revision"] is None:
        raise ECSOInputError(
            f"{folder}: takes its weights from {source['repo_id']}, a folder here; build "
            "again with --base OWNER/NAME"
        )
