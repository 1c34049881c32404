"""Runs `ecso eval`: makes what was asked for, shows its progress, then the figures."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from ..endpoint.server_pool import check_alike
from ..evaluation.agreement import agreements
from ..evaluation.answering import Watcher
from ..evaluation.benchmark import Benchmark
from ..evaluation.benchmarks import get_benchmark, names_of
from ..evaluation.eval_run import DIRECT, PROTECTED, EvalRun
from ..evaluation.exports import export_run
from ..evaluation.files import DataError
from ..evaluation.judging import judge_again, still_to_judge
from ..evaluation.model_names import (
    TINY_NAME,
    inspect_name,
    is_loaded_here,
    served_name,
    typed_name,
)
from ..evaluation.runs import (
    EvalPlan,
    begun_run,
    make_run,
    provider_arguments,
    task_arguments,
)
from ..evaluation.safety import keeps_draft
from ..evaluation.side_by_side import judged_runs, read_runs
from ..loading.ecso_config_file import read_ecso_config
from . import terminal
from .eval_tables import agreement_table, comparison, notes, scenario_tables
from .folders import writable_folder


def evaluate(chosen: argparse.Namespace) -> int:
    """Make all runs, print the table, write the exports; returns the exit status.

    Raises:
        ECSOInputError: The data, the model, a judge or a setting cannot be used.
    """
    console = terminal.console()
    log_dir = Path(chosen.log_dir)
    if not chosen.score_again:
        writable_folder(log_dir, "--log-dir")
    export_dir = writable_folder(Path(chosen.export), "--export") if chosen.export else None
    left_out: list[str] = []
    made = (
        _judged_again(chosen, console, left_out)
        if chosen.score_again
        else made_runs(chosen, console)
    )
    # Figures of some of the samples would stand beside those of all.
    runs = [run for run in made if run.is_complete]
    console.print()
    benign = _benign_runs(log_dir, runs, left_out)
    if runs:
        console.print(comparison(runs, benign))
    for by_scenario in scenario_tables(runs):
        console.print(by_scenario)
    for line in [*notes(runs, benign), *left_out]:
        console.print(Text(f"· {line}", style="dim"))
    if export_dir:
        for run in runs:
            console.print(Text(f"exported {export_run(run, export_dir)}"))
        if any(map(_leaves_out_drafts, runs)):
            console.print(
                Text("drafts and captions are left out; with --keep-drafts they are exported too")
            )
    console.print(Text(f"logs in {log_dir}; ecso report {log_dir} --out DIR makes a page of them"))
    incomplete = [run for run in made if not run.is_complete]
    for run in incomplete:
        left = run.asked - len(run.samples)
        failed = f"{left} of {run.asked} samples failed{_why(run)}, so there are no figures"
        console.print(Text(f"{failed}: see {run.file}", style="red"))
    if incomplete:
        console.print(Text("the same command with --resume asks only what is missing"))
    return 1 if incomplete else 0


def _benign_runs(log_dir: Path, runs: list[EvalRun], left_out: list[str]) -> list[EvalRun]:
    """Return the runs of the same model on benign samples that lie beside safety runs."""
    if not any(run.benchmark in names_of("safety") for run in runs) or runs[0].attack:
        return []
    utility = names_of("utility")
    variants = {run.variant for run in runs}
    try:
        known = read_runs(log_dir, typed_name(runs[0].model), _lines_of(utility, left_out))
    except DataError:
        return []  # some other log beside them is broken
    return [run for run in known if run.benchmark in utility and run.variant in variants]


def _lines_of(benchmarks: Sequence[str], lines: list[str]) -> Callable[[str, str], None]:
    """Return what collects the lines on logs of these benchmarks that are left out."""

    def collect(benchmark: str, line: str) -> None:
        if benchmark in benchmarks:
            lines.append(line)

    return collect


def _leaves_out_drafts(run: EvalRun) -> bool:
    """Return whether an export of the run lacks drafts and captions that it would have."""
    is_safety = get_benchmark(run.benchmark).measures == "safety"
    return is_safety and any(
        sample.trace["draft_withheld"] and not keeps_draft(sample)
        for sample in run.samples
        if sample.trace
    )


def _why(run: EvalRun) -> str:
    return f" ({', '.join(sorted(run.failures))})" if run.failures else ""


def made_runs(chosen: argparse.Namespace, console: Console) -> list[EvalRun]:
    """Make all runs of a benchmark, or finish them, with a bar for each."""
    to_make = plans(chosen)
    if chosen.upstream:
        check_alike(chosen.upstream, chosen.model)
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    ]
    log_dir = Path(chosen.log_dir)
    begun = [begun_run(plan, log_dir) if chosen.resume else None for plan in to_make]
    if chosen.resume and not any(begun):
        console.print(Text(f"nothing in {log_dir} to resume with these options: starting anew"))
    runs = []
    with Progress(*columns, console=console) as progress:
        for plan, earlier in zip(to_make, begun, strict=True):
            task = progress.add_task(plan.title, total=None)
            watcher = _watcher(progress, task)
            run = make_run(plan, log_dir, earlier, watcher)
            progress.update(task, total=run.asked, completed=len(run.samples))
            runs.append(run)
    return runs


def _watcher(progress: Progress, task: Any) -> Watcher:
    return Watcher(
        on_planned=lambda samples: progress.update(task, total=samples),
        on_answer=lambda: progress.advance(task),
    )


def plans(chosen: argparse.Namespace) -> list[EvalPlan]:
    """Return the runs that arguments of `ecso eval` ask for."""
    typed = chosen.model or TINY_NAME
    model = served_name(typed) if chosen.upstream else inspect_name(typed)
    judge = None if chosen.judge == "rules" else chosen.judge
    ecso_config = read_ecso_config(Path(chosen.ecso_config)) if chosen.ecso_config else None
    calibrated = [Path(chosen.ecso_config).stem] if chosen.ecso_config else []
    presets = list(dict.fromkeys(chosen.preset))
    variants = [DIRECT] if chosen.direct else [*presets, *calibrated] or [PROTECTED]
    if chosen.compare:
        variants = [DIRECT, *variants]
    benchmark = get_benchmark(chosen.benchmark)
    prompts = chosen.judge_prompts and str(Path(chosen.judge_prompts).resolve())
    batch_size, connections = None, chosen.batch_size
    if is_loaded_here(model):
        batch_size = chosen.batch_size or (64 if typed == TINY_NAME else 16)
        # Twice a batch, so that the next one waits while its answers are judged and logged.
        connections = 2 * batch_size
    elif chosen.upstream and connections:
        connections *= len(chosen.upstream)
    return [
        EvalPlan(
            benchmark=chosen.benchmark,
            variant=variant,
            model=model,
            arguments=task_arguments(benchmark, options, judge, prompts),
            provider_arguments=provider_arguments(
                variant,
                chosen.keep_drafts,
                batch_size,
                ecso_config if variant in calibrated else None,
                share_drafts=chosen.compare and not chosen.own_drafts,
                upstream=chosen.upstream,
            ),
            judge=judge,
            connections=connections,
            judge_connections=chosen.judge_connections,
        )
        for options in _options(chosen, benchmark)
        for variant in variants
    ]


def _options(chosen: argparse.Namespace, benchmark: Benchmark) -> list[dict[str, Any]]:
    """Return the options of each run: all alike but for the kind, where there are several."""
    options = {"data": _absolute(chosen.data), "limit": chosen.limit, "attack": chosen.attack}
    if benchmark.measures == "safety" and chosen.harmful_answers:
        options["harmful_answers"] = str(Path(chosen.harmful_answers).resolve())
    for option in benchmark.options:
        given = getattr(chosen, option.name)
        if isinstance(given, list) and not option.each:  # another benchmark takes several
            (given,) = given
        options[option.name] = str(Path(given).resolve()) if option.is_path and given else given
    if not benchmark.kinds_by_default:
        return [options]
    kinds = dict.fromkeys(options[benchmark.kind_option] or benchmark.kinds_by_default)
    return [{**options, benchmark.kind_option: kind} for kind in kinds]


def _absolute(data: str) -> str:
    # The log is read again elsewhere: to resume, to judge once more.
    return data if data.startswith("hub:") else str(Path(data).expanduser().resolve())


def _judged_again(
    chosen: argparse.Namespace, console: Console, left_out: list[str]
) -> list[EvalRun]:
    log_dir = Path(chosen.log_dir)
    judge = None if chosen.judge == "rules" else chosen.judge
    benchmark = get_benchmark(chosen.benchmark)
    kinds = getattr(chosen, benchmark.kind_option) if benchmark.kind_option else None
    lines = _lines_of([chosen.benchmark], left_out)
    runs = [
        run
        for run in read_runs(log_dir, chosen.model, lines, whoever_judged=True)
        if run.benchmark == chosen.benchmark and (not kinds or run.kind in kinds)
    ]
    if not runs:
        raise DataError(f"{log_dir}: no complete log of {chosen.benchmark} in it")
    prompts = chosen.judge_prompts and str(Path(chosen.judge_prompts).resolve())
    wanted = {id(run) for run in still_to_judge(runs, judge, prompts)}

    def taken_over(verdicts: int) -> None:
        console.print(Text(f"{verdicts} verdicts of an earlier attempt are taken over"))

    with console.status(f"judging again, by {chosen.judge}"):
        judged = [
            judge_again(run, judge, prompts, chosen.judge_connections, taken_over)
            if id(run) in wanted
            else run
            for run in runs
        ]
    known = [
        run for run in judged_runs(log_dir, runs[0].model) if run.benchmark == chosen.benchmark
    ]
    if found := agreements(known):
        console.print(agreement_table(found))
    return judged
