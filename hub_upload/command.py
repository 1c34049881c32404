"""The `ecso-hub` command: build, verify, push."""

import argparse
import sys
from pathlib import Path
from typing import Any

from modeling_ecso.cli.command_line import run_program
from modeling_ecso.cli.terminal import at_work
from modeling_ecso.errors_ecso import ECSOInputError


_EXAMPLES = """
ecso-hub build tiny --out build/tiny
ecso-hub build --base DIR_OR_ID --out build/mine
ecso-hub verify build/tiny
ecso-hub push build/tiny --repo-id OWNER/NAME --dry-run
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status, 1 where a check has failed."""
    description = "Publish ECSO models on the Hub: build, verify, push."
    commands = (_add_build, _add_verify, _add_push, _add_build_space)
    return run_program("ecso-hub", description, commands, arguments, _EXAMPLES)


def _add_build(commands: Any) -> None:
    parser = commands.add_parser(
        "build",
        help="make a complete repository in a folder",
        description="Make a complete repository in a folder, of a recipe or of any vision-language "
        "model: a repository of the Hub keeps its weights, those of a folder are taken along. "
        "Large shards are linked, not copied, where the disk allows it: do not save over them.",
    )
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        nargs="?",
        help="name of a recipe, or a YAML file (default: what the base says of itself)",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--base",
        metavar="DIR_OR_ID",
        help="another base than the recipe's: a folder, OWNER/NAME or OWNER/NAME@REVISION",
    )
    parser.set_defaults(function=_build)


def _add_verify(commands: Any) -> None:
    parser = commands.add_parser(
        "verify",
        help="prove a folder in a fresh process",
        description="Prove a built folder in a process that cannot import this package.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="what build has made")
    parser.set_defaults(function=_verify)


def _add_push(commands: Any) -> None:
    parser = commands.add_parser(
        "push",
        help="verify a folder, then publish it",
        description="Verify a built folder, show what changes, and publish it in one commit.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="what build has made")
    parser.add_argument("--repo-id", required=True, metavar="OWNER/NAME", help="where to")
    parser.add_argument("--private", action="store_true", help="hide a new repository from others")
    parser.add_argument("--revision", default="main", metavar="BRANCH", help="default: main")
    parser.add_argument("--create-pr", action="store_true", help="open a pull request instead")
    parser.add_argument("--dry-run", action="store_true", help="show what changes, write nothing")
    parser.set_defaults(function=_push)


def _add_build_space(commands: Any) -> None:
    parser = commands.add_parser(
        "build-space",
        help="make the folder of a Space that shows the demo",
        description="Make the folder of a Space that installs this package and shows its demo.",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--requirement", metavar="LINE", help="how to install this package (default: this version)"
    )
    parser.add_argument("--model", metavar="ID", help="model to show (default: the tiny one)")
    parser.set_defaults(function=_build_space)


def _build(chosen: argparse.Namespace) -> int:
    from .build import build
    from .default_recipe import recipe_for
    from .recipe import load_recipe
    from .screen import show_built

    if chosen.recipe is not None:
        recipe = load_recipe(chosen.recipe)
    elif chosen.base is not None:
        recipe = recipe_for(chosen.base)
    else:
        raise ECSOInputError("nothing to build; give a RECIPE, --base DIR_OR_ID, or both")
    with at_work(f"building {chosen.out}"):
        result = build(recipe, chosen.out, chosen.base)
    show_built(chosen.out, recipe, result)
    return 0


def _verify(chosen: argparse.Namespace) -> int:
    from .screen import show_checks
    from .verify import verify

    with at_work(f"verifying {chosen.folder}"):
        checks = verify(chosen.folder)
    show_checks(chosen.folder, checks)
    return 0 if all(check.passed for check in checks) else 1


def _push(chosen: argparse.Namespace) -> int:
    from .push import PushTarget, plan_push, push
    from .screen import show_plan, show_pushed

    target = PushTarget(chosen.repo_id, chosen.revision, chosen.private, chosen.create_pr)
    # What is wrong with name or token is said before the minutes that a large model takes.
    head, plan = plan_push(chosen.folder, target, needs_token=not chosen.dry_run)
    if _verify(chosen):
        raise ECSOInputError(
            f"{chosen.folder}: not pushed, since a check has failed; see the table"
        )
    show_plan(target, head, plan)
    if chosen.dry_run:
        return 0
    with at_work(f"pushing to {chosen.repo_id}"):
        pushed = push(chosen.folder, target, head, plan)
    show_pushed(target, pushed)
    return 0


def _build_space(chosen: argparse.Namespace) -> int:
    from .space import default_requirement, write_space

    write_space(chosen.out, requirement=chosen.requirement, model=chosen.model)
    print(f"wrote {chosen.out}")
    if chosen.requirement is None:
        print(
            f"note: it installs {default_requirement()} from the package index; this package is "
            "not there yet, so give --requirement"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
