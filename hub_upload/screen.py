"""What `ecso-hub` prints."""

from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from modeling_ecso.cli.terminal import console as terminal_console

from .build import BuildResult
from .plan import PushPlan, RemoteHead
from .push import PushResult, PushTarget
from .recipe import Recipe
from .verify import VerifyCheck, readable_size


STYLES = {"new": "green", "changed": "yellow", "deleted": "red", "unchanged": "dim", "kept": "dim"}


def show_built(folder: Path, recipe: Recipe, result: BuildResult) -> None:
    """Print what has been built."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = readable_size(sum(path.stat().st_size for path in files))
    base = result.base
    where = base.repo_id or str(base.folder)
    at = f" at {base.revision}" if base.revision else ""
    console = _console()
    console.print(f"[bold]{escape(str(folder))}[/bold]  {len(files)} files, {size}")
    if recipe.kind == "model":
        said = {"copy": "weights from", "thin": "weights stay in"}[recipe.weights]
        console.print(f"{said} {escape(where + at)}", soft_wrap=True)
    for named in result.left_out:
        console.print(f"left out, since it names other code: {escape(named)}", soft_wrap=True)


def show_checks(folder: Path, checks: list[VerifyCheck]) -> None:
    """Print the table of checks."""
    table = Table()
    table.add_column("check", no_wrap=True)
    table.add_column("")
    table.add_column("seen", overflow="fold")
    for check in checks:
        mark = "[green]ok[/green]" if check.passed else "[red]FAILED[/red]"
        table.add_row(check.name, mark, escape(check.detail))
    _console().print(f"[bold]verify[/bold] {escape(str(folder))}", table)


def show_plan(target: PushTarget, head: RemoteHead, plan: PushPlan) -> None:
    """Print what changes."""
    state = "new repository" if not head.exists else f"on top of {head.commit[:8]}"
    if not head.exists:
        state += ", private" if target.is_private else ", public"
    elif not head.has_branch:
        state = f"new branch, {state}"
    if target.opens_request:
        state += ", as a pull request"
    table = Table()
    table.add_column("file", overflow="fold")
    table.add_column("")
    table.add_column("size", justify="right", no_wrap=True)
    for change in plan.changes:
        style = STYLES[change.what]
        size = "" if change.size is None else readable_size(change.size)
        table.add_row(escape(change.path), f"[{style}]{change.what}[/{style}]", size)
    title = f"[bold]push[/bold] to {target.repo_id}, branch {escape(target.branch)}: {state}"
    console = _console()
    console.print(title, table)
    size = readable_size(sum(change.size or 0 for change in plan.uploads))
    console.print(f"{len(plan.uploads)} files to upload ({size}), {len(plan.deleted)} to delete")


def show_pushed(target: PushTarget, done: PushResult) -> None:
    """Print where it is now, and how to pin it."""
    console = _console()
    console.print(f"pushed: {escape(done.url)}", soft_wrap=True)
    if done.tag_note:
        console.print(escape(done.tag_note), soft_wrap=True)
    console.print(f'pin it with revision="{done.tag or done.commit}"', soft_wrap=True)


def _console() -> Any:
    return terminal_console()
