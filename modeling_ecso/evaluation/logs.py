"""Reads Inspect's logs into `Run`s: plain records that everything after the evaluation works on."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from .items import DataError
from .names import PACKAGE
from .samples import SampleResult


DIRECT = "direct"
PROTECTED = "protected"

# The provider that puts the protocol in front of another one, which is the model evaluated.
_AROUND = "ecso-api/"

# The order in which runs are shown.
_BENCHMARKS = ("vlsafe", "mm_safetybench", "mme", "mmbench", "mmvet")
_KINDS = ("text", "SD", "TYPO", "SD_TYPO", "en", "cn", "")


@dataclass(frozen=True)
class Run:
    """One finished evaluation of one benchmark.

    Args:
        benchmark: Such as ``mme``.
        kind: Image kind of MM-SafetyBench, language of MMBench; else empty.
        variant: ``direct``, ``protected``, or the name of a preset.
        model: As Inspect names it.
        judge: Who judged; empty where nothing was.
        created: When, as ISO 8601.
        file: The log.
        arguments: The task's arguments, as given.
        settings: The provider's arguments, as given.
        samples: What was asked, answered and judged.
        asked: Number of samples that the run was to have.
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

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What two logs of the same thing have in common."""
        return (self.model, self.benchmark, self.kind, self.variant)

    @property
    def moment(self) -> datetime:
        """When it was made, or judged last."""
        return datetime.fromisoformat(self.created)

    @property
    def is_complete(self) -> bool:
        """Whether every sample was answered and judged."""
        return len(self.samples) == self.asked

    @property
    def limit(self) -> int | None:
        """Number of units the run was limited to; None: all."""
        return self.arguments.get("limit")


def read_runs(folder: Path, model: str | None = None) -> list[Run]:
    """Return the newest complete run of each thing, of one model.

    Args:
        folder: Where the logs are, or a single log.
        model: The model, as Inspect names it; None: the only one there is.

    Raises:
        DataError: There are no logs, they are of several models, or one cannot be read.
    """
    newest: dict[tuple[str, str, str, str], Run] = {}
    for run in sorted(map(read_run, log_files(folder)), key=lambda run: run.moment):
        if run.is_complete and model in (None, run.model):
            newest[run.key] = run
    models = sorted({run.model for run in newest.values()})
    if not models:
        raise DataError(f"{folder}: no complete log in it; run ecso eval with this --log-dir")
    if len(models) > 1:
        raise DataError(
            f"{folder}: logs of several models, {', '.join(models)}; choose one with --model"
        )
    return sorted(
        newest.values(),
        key=lambda r: (_BENCHMARKS.index(r.benchmark), _KINDS.index(r.kind), r.variant),
    )


def log_files(folder: Path) -> list[Path]:
    """Return the logs of this package's tasks.

    Raises:
        DataError: There is no such folder, or no log of ours in it.
    """
    from inspect_ai.log import list_eval_logs

    if not folder.exists():
        raise DataError(f"{folder}: no such folder; give the --log-dir of ecso eval")
    if folder.is_file():
        return [folder]
    logs = list_eval_logs(
        str(folder), filter=lambda log: log.eval.task.startswith(f"{PACKAGE}/") or _is_ours(log)
    )
    files = [Path(log.name.removeprefix("file://")) for log in logs]
    if not files:
        raise DataError(f"{folder}: no log of vlsafe, mm_safetybench, mme, mmbench or mmvet in it")
    return files


def read_run(file: Path) -> Run:
    """Return the run that a log holds.

    Raises:
        DataError: It cannot be read.
    """
    from inspect_ai.log import read_eval_log

    try:
        log = read_eval_log(str(file))
    except Exception as error:
        raise DataError(f"{file}: the log cannot be read ({type(error).__name__})") from None
    samples = tuple(
        _result(sample) for sample in log.samples or () if sample.scores and not sample.error
    )
    judges = sorted({str(sample.found.get("judge", "")) for sample in samples} - {""})
    arguments = dict(log.eval.task_args)
    settings = dict(log.eval.model_args)
    benchmark = log.eval.task.rpartition("/")[2]
    kinds = {"mm_safetybench": ("kind", "SD_TYPO"), "mmbench": ("language", "en")}
    name, default = kinds.get(benchmark, ("", ""))
    created = (log.eval.metadata or {}).get("scored") or log.eval.created
    return Run(
        benchmark=benchmark,
        kind=str(arguments.get(name, default)) if name else "",
        variant=(log.eval.metadata or {}).get("variant") or _variant(log.eval.model, settings),
        model=log.eval.model.removeprefix(_AROUND),
        judge=", ".join(judges),
        created=created,
        file=file,
        arguments=arguments,
        settings=settings,
        samples=samples,
        asked=log.eval.dataset.samples or len(log.samples or ()),
    )


def _is_ours(log: Any) -> bool:
    return log.eval.task_registry_name is not None and log.eval.task_registry_name.startswith(
        f"{PACKAGE}/"
    )


def _variant(model: str, settings: dict[str, Any]) -> str:
    """Name the variant of a log that `inspect eval` wrote."""
    is_ours = model.startswith(("ecso/", _AROUND))
    if not is_ours or settings.get("protocol") == DIRECT:
        return DIRECT
    return settings.get("preset") or PROTECTED


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
