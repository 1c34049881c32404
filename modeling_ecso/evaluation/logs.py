"""Reads Inspect's logs into `EvalRun`s."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from .benchmark import Benchmark
from .benchmarks import get_benchmark, listed, names_of
from .eval_run import DIRECT, PROTECTED, UTILITY_SCRIPTS, EvalRun
from .files import DataError
from .judges import MODEL, ROLE
from .model_names import is_protectable, logged_name
from .names import PACKAGE
from .samples import SampleResult


# Of Inspect's settings those that change what a model answers.
_GENERATION = ("max_tokens", "temperature", "top_p", "top_k", "seed", "stop_seqs", "system_message")


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
        DataError: It cannot be read, or is of no benchmark that is known here.
    """
    log = _read_log(file)
    if _name_of(log) not in names_of():
        raise DataError(f"{file}: the log is of {_name_of(log)}, not of {listed(names_of())}")
    samples = tuple(
        _result(sample) for sample in log.samples or () if sample.scores and not sample.error
    )
    judges = sorted({str(sample.found.get("judge", "")) for sample in samples} - {""})
    arguments = dict(log.eval.task_args)
    provider_arguments = dict(log.eval.model_args)
    metadata = log.eval.metadata or {}
    benchmark = get_benchmark(_name_of(log))
    ids, epochs = log.eval.dataset.sample_ids, log.eval.config.epochs or 1
    available = log.eval.dataset.samples or len(ids or log.samples or ())
    asked = available if ids is None else len(ids)
    return EvalRun(
        benchmark=benchmark.name,
        kind=benchmark.kind_of(arguments),
        variant=metadata.get("variant") or _variant(log.eval.model, provider_arguments),
        model=logged_name(log.eval.model),
        judge=", ".join(judges),
        created=metadata.get("scored") or log.eval.created,
        file=file,
        arguments=arguments,
        provider_arguments=provider_arguments,
        samples=samples,
        asked=asked * epochs,
        generation=_generation(log),
        epochs=epochs,
        grader=_grader(log) if _is_judged_in_part(benchmark, arguments) else "",
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
    is_ours = any(name.startswith(f"{PACKAGE}/") for name in names)
    return is_ours and _name_of(log) in names_of()


def _name_of(log: Any) -> str:
    return log.eval.task.rpartition("/")[2]


def _is_judged_in_part(benchmark: Benchmark, arguments: dict[str, Any]) -> bool:
    """Return whether the samples do not tell whom it takes to judge them all."""
    judging = benchmark.scoring.judging
    is_whole = judging is None or judging.asks_about_all
    return not is_whole and arguments.get("judge") == MODEL


def _variant(model: str, arguments: dict[str, Any]) -> str:
    """Name the variant of a log that `inspect eval` wrote."""
    if not is_protectable(model) or arguments.get("variant") == DIRECT:
        return DIRECT
    preset = arguments.get("preset") or PROTECTED
    if not arguments.get("image_in_safe_step"):
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
