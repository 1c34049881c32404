"""Chooses the runs that may stand side by side.

Figures may stand side by side where the same samples were asked, with the same arguments, and
judged alike. Of each benchmark and kind `read_runs` takes the newest runs that agree in this, runs
of all samples before limited ones, and tells which it leaves out.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .benchmark import Benchmark
from .benchmarks import all_benchmarks, listed, names_of
from .eval_run import EvalRun, in_order
from .files import DataError
from .logs import log_files, read_run
from .model_names import named_in_logs, typed_name


# What runs were judged by, of what they must share.
_OF_JUDGING = ("judge", "judge_prompts")


def read_runs(
    folder: Path,
    model: str | None = None,
    on_left_out: Callable[[str, str], None] = lambda benchmark, line: None,
    attack: str = "",
    whoever_judged: bool = False,
) -> list[EvalRun]:
    """Return the runs of one model that may stand side by side, the newest of each variant.

    Args:
        folder: Where the logs are, or a single log.
        model: The model, as it is typed; None: the only one there is.
        on_left_out: Called with a benchmark and a line on its logs that are left out, and why.
        attack: The attack that the runs were under; empty: those under none.
        whoever_judged: Whether runs are wanted that were not judged alike, as to judge them so.

    Raises:
        DataError: There are no logs of the model, they are of several, or one cannot be read.
    """
    known = [read_run(file) for file in log_files(folder)]
    runs = sorted((run for run in known if run.attack == attack), key=lambda run: run.moment)
    models = sorted({run.model for run in runs if run.is_complete})
    if known and not runs and not attack:
        raise DataError(
            f"{folder}: all its logs are of samples under attack; run ecso eval without an attack "
            "and with this --log-dir as well"
        )
    if not runs:
        raise DataError(f"{folder}: no log of {listed(names_of())} in it")
    if not models:
        raise DataError(f"{folder}: no complete log in it; run ecso eval with this --log-dir")
    if model is None and len(models) > 1:
        raise DataError(
            f"{folder}: logs of several models, {', '.join(map(typed_name, models))}; choose one "
            "with --model"
        )
    try:
        chosen = models[0] if model is None else named_in_logs(model, models)
    except DataError as error:
        raise DataError(f"{folder}: {error}") from None
    of_model = [run for run in runs if run.model == chosen]
    return [
        taken
        for benchmark in all_benchmarks()
        for kind in _kinds_in(of_model, benchmark)
        for taken in _side_by_side(
            [r for r in of_model if (r.benchmark, r.kind) == (benchmark.name, kind)],
            on_left_out,
            whoever_judged,
        )
    ]


def judged_runs(folder: Path, model: str) -> list[EvalRun]:
    """Return the complete runs of a model under no attack, by whatever judge.

    Args:
        folder: Where the logs are.
        model: As it stands in logs.

    Raises:
        DataError: A log cannot be read.
    """
    runs = [run for run in map(read_run, log_files(folder)) if not run.attack]
    return [run for run in runs if run.model == model and run.is_complete]


def attacked_runs(folder: Path, model: str) -> list[EvalRun]:
    """Return the complete runs of a model under attacks, the newest of each last.

    Args:
        folder: Where the logs are.
        model: As it stands in logs.

    Raises:
        DataError: A log cannot be read.
    """
    runs = [run for run in map(read_run, log_files(folder)) if run.attack]
    return sorted(
        (run for run in runs if run.model == model and run.is_complete), key=lambda run: run.moment
    )


def _kinds_in(runs: list[EvalRun], benchmark: Benchmark) -> list[str]:
    """Return the kinds of a benchmark that there are runs of, in the order they are shown."""
    there = {run.kind for run in runs if run.benchmark == benchmark.name}
    known = [kind for kind in benchmark.kinds if kind in there]
    return [*known, *sorted(there.difference(known))]


def _side_by_side(
    runs: list[EvalRun], on_left_out: Callable[[str, str], None], whoever_judged: bool
) -> list[EvalRun]:
    """Return those runs of a benchmark and image kind that may stand side by side.

    Args:
        runs: The runs, oldest first.
        on_left_out: Called with the benchmark and a line on logs that are left out.
        whoever_judged: Whether they may have been judged differently.
    """
    complete = [run for run in runs if run.is_complete and run.epochs == 1]
    lead = max(complete, key=lambda run: (not run.is_limited, run.moment), default=None)
    of_judging = _OF_JUDGING if whoever_judged else ()

    def shared(run: EvalRun) -> dict[str, Any]:
        return {name: v for name, v in run.conditions.items() if name not in of_judging}

    conditions = shared(lead) if lead else {}
    newest = {run.variant: run for run in complete if shared(run) == conditions}
    reasons: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        if run.epochs != 1:
            reasons[f"each sample was asked {run.epochs} times, not once"].append(run.file.name)
        elif run.is_complete and shared(run) != conditions:
            reasons[_difference(shared(run), conditions)].append(run.file.name)
        elif not run.is_complete and (
            run.variant not in newest or run.moment > newest[run.variant].moment
        ):
            left = f"{run.asked - len(run.samples)} of {run.asked} samples are missing"
            reasons[left].append(run.file.name)
    title = " ".join(part for part in (runs[0].benchmark, runs[0].kind) if part)
    for reason, files in reasons.items():
        on_left_out(runs[0].benchmark, f"{title}: left out {', '.join(files)}: {reason}")
    return [newest[variant] for variant in in_order(newest)]


def _difference(left_out: dict[str, Any], taken: dict[str, Any]) -> str:
    """Say in what the conditions of runs differ."""
    names = [n for n in dict.fromkeys([*left_out, *taken]) if left_out.get(n) != taken.get(n)]
    if names == ["samples"]:
        return f"other samples ({len(left_out['samples'])}, not {len(taken['samples'])})"
    return ", ".join(
        f"{name.replace('_', ' ')} is {_shown(left_out.get(name))}, not {_shown(taken.get(name))}"
        for name in names
        if name != "samples"
    )


def _shown(value: Any) -> str:
    return "none" if value in (None, "") else str(value)
