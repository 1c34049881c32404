"""`ecso eval --estimate`: how many GPU hours the runs would take, without running them."""

import argparse

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ..errors_ecso import ECSOInputError, describe_error
from ..evaluation.estimate import (
    GPU,
    LONG_ANSWER,
    SHORT_ANSWER,
    RunEstimate,
    estimate_run,
    model_size,
    plain_config,
)
from ..evaluation.eval_run import DIRECT
from ..evaluation.model_names import TINY_NAME, inspect_name, is_loaded_here
from ..evaluation.prerequisite import as_data_error
from ..evaluation.tasks import TASKS
from ..loading.models import TINY_FOLDER
from . import terminal
from .eval_screen import plans


def tell_estimate(each_chosen: list[argparse.Namespace]) -> int:
    """Print what each run would take, and all together; returns the exit status.

    Raises:
        ECSOInputError: The model's configuration cannot be read, or it is not loaded here.
        DataError: The data or a setting cannot be used.
    """
    typed = each_chosen[0].model or TINY_NAME
    model = inspect_name(typed)
    if each_chosen[0].upstream or not is_loaded_here(model):
        raise ECSOInputError(f"--estimate is for models that this process loads, not for {typed}")
    location = str(TINY_FOLDER) if typed == TINY_NAME else model.removeprefix("ecso/")
    try:
        size = model_size(location)
    except Exception as error:
        raise ECSOInputError(
            f"{typed}: its configuration cannot be read ({describe_error(error)})"
        ) from None
    found: list[RunEstimate] = []
    for plan in [plan for chosen in each_chosen for plan in plans(chosen)]:
        with as_data_error():
            task = TASKS[plan.benchmark](**plan.arguments)
            config = plain_config(plan.provider_arguments)
        found.append(
            estimate_run(
                plan.title,
                size,
                config,
                len(task.dataset),
                task.config.max_tokens or LONG_ANSWER,
                plan.provider_arguments["batch_size"],
                has_draft=plan.variant != DIRECT and "share_drafts" in plan.provider_arguments,
            )
        )
    _show(found, size.weights)
    return 0


def _show(found: list[RunEstimate], weights: float) -> None:
    console = terminal.console()
    table = Table("run", box=SIMPLE_HEAD)
    for heading in ("samples", "hours, least", "most"):
        table.add_column(heading, justify="right")
    for run in found:
        table.add_row(run.title, f"{run.samples:,}", f"{run.least:.2f}", f"{run.most:.2f}")
    console.print(table)
    least, most = sum(run.least for run in found), sum(run.most for run in found)
    console.print(
        Text(
            f"{least:.1f} to {most:.1f} hours of one {GPU}, for {weights / 1e9:.1f} billion weights"
        )
    )
    for line in (
        f"least: answers of {SHORT_ANSWER} tokens, no draft withheld; most: of {LONG_ANSWER}, "
        "every draft withheld",
        "another GPU takes as many times as long as it is slower at reading its memory",
    ):
        console.print(Text(f"· {line}", style="dim"))
