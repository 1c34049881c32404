"""Reads Inspect's logs into `EvalRun`s: plain records that all after the evaluation works on.

Figures may stand side by side where the same samples were asked, with the same arguments, and
judged alike. Of each benchmark and image kind `read_runs` takes the newest runs that agree in this,
runs of all samples before limited ones, and tells which it leaves out.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from .items import DataError
from .judges import MODEL, ROLE
from .model_names import is_protectable, logged_name, named_in_logs, typed_name
from .names import PACKAGE
from .samples import SampleResult


DIRECT = "direct"
PROTECTED = "protected"
# The published utility scripts, which keep the image in the last step, against the paper.
UTILITY_SCRIPTS = "utility-scripts"

# The order in which runs are shown.
_VARIANTS = (DIRECT, PROTECTED, "reference", UTILITY_SCRIPTS, "paper", "hardened")
_BENCHMARKS = ("vlsafe", "mm_safetybench", "mme", "mmbench", "mmvet")
_KINDS = ("text", "SD", "TYPO", "SD_TYPO", "en", "cn", "")
# Of Inspect's settings those that change what a model answers.
_GENERATION = ("max_tokens", "temperature", "top_p", "top_k", "seed", "stop_seqs", "system_message")


@dataclass(frozen=True)
class EvalRun:
    """One finished evaluation of one benchmark.

    Args:
        benchmark: Such as ``mme``.
        kind: Image kind of MM-SafetyBench, language of MMBench; else empty.
        variant: ``direct``, ``protected``, the name of a preset, or ``utility-scripts``.
        model: As Inspect names it.
        judge: Who judged, as found with the samples; empty where nothing was.
        grader: The model that was to judge what no rule reads; empty where there is none.
        created: When, as ISO 8601.
        file: The log.
        arguments: The task's arguments, as given.
        settings: The provider's arguments, as given.
        generation: How answers were generated, such as their temperature.
        epochs: How often each sample was asked.
        samples: What was asked, answered and judged.
        asked: Number of samples that the run was to have.
        is_limited: Whether it was to have only some of the samples there are.
        failures: The names of the exceptions that samples failed with, and how often.
    """

    benchmark: str
    kind: str
    variant: str
    model: str
    judge: str
    created: str
    file: Path
    arguments: dict[str, Any]
    settings: dict[str, Any]
    samples: tuple[SampleResult, ...] = field(repr=False)
    asked: int
    grader: str
    is_limited: bool
    generation: dict[str, Any] = field(default_factory=dict)
    epochs: int = 1
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def conditions(self) -> dict[str, Any]:
        """What two complete runs must share for their figures to stand side by side."""
        return {
            **{name: self.arguments[name] for name in sorted(self.arguments)},
            **self.generation,
            "judge": self.grader or self.judge,
            "samples": sorted(sample.id for sample in self.samples),
        }

    @property
    def moment(self) -> datetime:
        """When it was made, or judged last."""
        return datetime.fromisoformat(self.created)

    @property
    def is_complete(self) -> bool:
        """Whether every sample was answered and judged."""
        return len(self.samples) == self.asked


def read_runs(
    folder: Path,
    model: str | None = None,
    on_left_out: Callable[[str, str], None] = lambda benchmark, line: None,
) -> list[EvalRun]:
    """Return the runs of one model that may stand side by side, the newest of each variant.

    Args:
        folder: Where the logs are, or a single log.
        model: The model, as it is typed; None: the only one there is.
        on_left_out: Called with a benchmark and a line on its logs that are left out, and why.

    Raises:
        DataError: There are no logs of the model, they are of several, or one cannot be read.
    """
    runs = sorted(map(read_run, log_files(folder)), key=lambda run: run.moment)
    models = sorted({run.model for run in runs if run.is_complete})
    if not runs:
        raise DataError(f"{folder}: no log of vlsafe, mm_safetybench, mme, mmbench or mmvet in it")
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
    things: dict[tuple[int, int], list[EvalRun]] = defaultdict(list)
    for run in runs:
        if run.model == chosen:
            things[_BENCHMARKS.index(run.benchmark), _KINDS.index(run.kind)].append(run)
    found = [_side_by_side(things[place], on_left_out) for place in sorted(things)]
    return [run for taken in found for run in taken]


def _side_by_side(runs: list[EvalRun], on_left_out: Callable[[str, str], None]) -> list[EvalRun]:
    """Return those runs of a benchmark and image kind that may stand side by side.

    Args:
        runs: The runs, oldest first.
        on_left_out: Called with the benchmark and a line on logs that are left out.
    """
    complete = [run for run in runs if run.is_complete and run.epochs == 1]
    lead = max(complete, key=lambda run: (not run.is_limited, run.moment), default=None)
    conditions = lead.conditions if lead else {}
    newest = {run.variant: run for run in complete if run.conditions == conditions}
    reasons: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        if run.epochs != 1:
            reasons[f"each sample was asked {run.epochs} times, not once"].append(run.file.name)
        elif run.is_complete and run.conditions != conditions:
            reasons[_difference(run.conditions, conditions)].append(run.file.name)
        elif not run.is_complete and (
            run.variant not in newest or run.moment > newest[run.variant].moment
        ):
            left = f"{run.asked - len(run.samples)} of {run.asked} samples are missing"
            reasons[left].append(run.file.name)
    thing = " ".join(part for part in (runs[0].benchmark, runs[0].kind) if part)
    for reason, files in reasons.items():
        on_left_out(runs[0].benchmark, f"{thing}: left out {', '.join(files)}: {reason}")
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


def in_order(variants: Iterable[str]) -> list[str]:
    """Return the variants as they are shown: direct first, those of another making last."""
    return sorted(
        set(variants),
        key=lambda name: (_VARIANTS.index(name) if name in _VARIANTS else len(_VARIANTS), name),
    )


def log_files(folder: Path) -> list[Path]:
    """Return the logs of this package's tasks; a single log is taken for one.

    Raises:
        DataError: There is no such folder, or a log in it cannot be read.
    """
    from inspect_ai.log import list_eval_logs

    if not folder.exists():
        raise DataError(f"{folder}: no such folder; give the --log-dir of ecso eval")
    if folder.is_file():
        return [folder]
    names = [log.name.removeprefix("file://") for log in list_eval_logs(str(folder))]
    return [file for file in map(Path, names) if _is_ours(_read_log(file, header_only=True))]


def read_run(file: Path) -> EvalRun:
    """Return the run that a log holds.

    Raises:
        DataError: It cannot be read.
    """
    log = _read_log(file)
    samples = tuple(
        _result(sample) for sample in log.samples or () if sample.scores and not sample.error
    )
    judges = sorted({str(sample.found.get("judge", "")) for sample in samples} - {""})
    arguments = dict(log.eval.task_args)
    settings = dict(log.eval.model_args)
    metadata = log.eval.metadata or {}
    benchmark = log.eval.task.rpartition("/")[2]
    kinds = {"mm_safetybench": ("kind", "SD_TYPO"), "mmbench": ("language", "en")}
    name, default = kinds.get(benchmark, ("", ""))
    ids, epochs = log.eval.dataset.sample_ids, log.eval.config.epochs or 1
    available = log.eval.dataset.samples or len(ids or log.samples or ())
    asked = available if ids is None else len(ids)
    return EvalRun(
        benchmark=benchmark,
        kind=str(arguments.get(name, default)) if name else "",
        variant=metadata.get("variant") or _variant(log.eval.model, settings),
        model=logged_name(log.eval.model),
        judge=", ".join(judges),
        created=metadata.get("scored") or log.eval.created,
        file=file,
        arguments=arguments,
        settings=settings,
        samples=samples,
        asked=asked * epochs,
        generation=_generation(log),
        epochs=epochs,
        # Only with MMBench do the samples not tell: whom it takes to read them all.
        grader=_grader(log) if benchmark == "mmbench" and arguments.get("judge") == MODEL else "",
        is_limited=arguments.get("limit") is not None or asked < available,
        failures=Counter(_exception_of(s.error) for s in log.samples or () if s.error),
    )


def _read_log(file: Path, header_only: bool = False) -> Any:
    from inspect_ai.log import read_eval_log

    try:
        return read_eval_log(str(file), header_only=header_only)
    except Exception as error:
        raise DataError(
            f"{file}: the log cannot be read ({type(error).__name__}); move it elsewhere"
        ) from None


def _exception_of(error: Any) -> str:
    """Name the exception, without its message, which may quote what was asked."""
    names = re.findall(r"^([A-Za-z_][\w.]*)(?::|$)", error.traceback, flags=re.MULTILINE)
    return names[-1].rpartition(".")[2] if names else "an error"


def _is_ours(log: Any) -> bool:
    names = (log.eval.task, log.eval.task_registry_name or "")
    return any(name.startswith(f"{PACKAGE}/") for name in names)


def _variant(model: str, settings: dict[str, Any]) -> str:
    """Name the variant of a log that `inspect eval` wrote."""
    if not is_protectable(model) or settings.get("protocol") == DIRECT:
        return DIRECT
    preset = settings.get("preset") or PROTECTED
    if not settings.get("image_in_safe_step"):
        return preset
    return UTILITY_SCRIPTS if preset == "reference" else f"{preset}, image kept"


def _generation(log: Any) -> dict[str, Any]:
    """Return the settings that change what a model answers, as they held in a run."""
    config = log.plan.config
    return {name: value for name in _GENERATION if (value := getattr(config, name)) is not None}


def _grader(log: Any) -> str:
    """Name the model that judged last, or that had the role in the run."""
    role = (log.eval.model_roles or {}).get(ROLE)
    again = (log.eval.metadata or {}).get("judge")
    return str(again or getattr(role, "model", role or ""))


def _result(sample: Any) -> SampleResult:
    score = next(iter(sample.scores.values()))
    facts = dict(sample.metadata or {})
    query = sample.input if isinstance(sample.input, str) else sample.input[-1].text
    return SampleResult(
        id=str(sample.id),
        query=query,
        answer=sample.output.completion,
        target=facts.get("target", ""),
        facts=facts,
        found=dict(score.metadata or {}),
        trace=(sample.output.metadata or {}).get("ecso"),
    )
