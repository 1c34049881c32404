"""The options of every command that asks samples of benchmarks, and what of them goes together."""

import argparse

from ..endpoint.server_url import read_server_url
from ..errors_ecso import ECSOInputError
from ..evaluation.benchmark import Benchmark, Option
from ..evaluation.benchmarks import all_benchmarks
from .model_options import add_upstream_option


RULES = "rules"


def add_what_to_run(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that asks samples of benchmarks."""
    parser.add_argument(
        "--data", metavar="DIR", help="folder of the downloaded data, or hub:OWNER/NAME@COMMIT"
    )
    parser.add_argument(
        "--model",
        metavar="DIR_OR_ID",
        help="folder or Hub id; inspect:PROVIDER/NAME for any other (default: the embedded one)",
    )
    add_upstream_option(parser)
    for declared in _declared_options().values():
        _add_option(parser, declared)
    parser.add_argument(
        "--judge",
        default=RULES,
        metavar="MODEL",
        help="model that judges, as Inspect names it (default: rules, which need none)",
    )
    parser.add_argument(
        "--judge-connections",
        type=int,
        metavar="N",
        help="ask the judge so many questions at a time (default: what Inspect does for it)",
    )
    parser.add_argument("--judge-prompts", metavar="FILE", help="the published judge prompts")
    parser.add_argument(
        "--harmful-answers",
        metavar="FILE",
        help="a regular expression that harmful answers to your samples match; the rule goes by it",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="a quick look at N samples")
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="answer so many together; with --upstream ask so many at a time of each server "
        "(default: 16)",
    )
    parser.add_argument(
        "--own-drafts",
        action="store_true",
        help="let every protected run write its drafts itself; without, the direct answers of a "
        "comparison are its drafts, since greedily decoded they are the same",
    )
    parser.add_argument(
        "--resume", action="store_true", help="finish what is begun in --log-dir, redo nothing"
    )
    parser.add_argument(
        "--log-dir", default="eval-logs", metavar="DIR", help="Inspect's logs (default: eval-logs)"
    )


def check_servers(chosen: argparse.Namespace) -> None:
    """Refuse servers without a model's name there, or whose URL is none; raises ECSOInputError."""
    if chosen.upstream and not chosen.model:
        raise ECSOInputError("--upstream needs --model, the model's name there")
    for url in chosen.upstream:
        read_server_url("--upstream", url)


def check_attacks(names: list[str]) -> None:
    """Refuse what is no attack; raises ECSOInputError."""
    from ..evaluation.attacks import all_attacks

    known = [attack.name for attack in all_attacks()] if names else []
    for name in names:
        if name not in known:
            raise ECSOInputError(f"attack {name!r} is unknown; choose from {', '.join(known)}")


def _declared_options() -> dict[str, dict[str, Option]]:
    """Return the name of each option of a benchmark's own → benchmark → what it declares."""
    declared: dict[str, dict[str, Option]] = {}
    for benchmark in all_benchmarks():
        for option in benchmark.options:
            declared.setdefault(option.name, {})[benchmark.name] = option
    return declared


def _add_option(parser: argparse.ArgumentParser, declared: dict[str, Option]) -> None:
    """Add an option that one or more benchmarks declare; what each takes is checked later."""
    options = list(declared.values())
    choices = list(dict.fromkeys(choice for option in options for choice in option.choices))
    parser.add_argument(
        flag_of(options[0].name),
        nargs="+" if any(option.each for option in options) else None,
        choices=choices or None,
        metavar=options[0].metavar,
        help="; ".join(f"{name}: {option.help}" for name, option in declared.items()),
    )


def check_options(chosen: argparse.Namespace, benchmark: Benchmark) -> None:
    """Refuse an option, or a value, that is for other benchmarks."""
    for name, declared in _declared_options().items():
        given = getattr(chosen, name)
        if given is None:
            continue
        if benchmark.name not in declared:
            raise _is_for(name, list(declared), benchmark)
        option = declared[benchmark.name]
        values = given if isinstance(given, list) else [given]
        if len(values) > 1 and not option.each:
            raise ECSOInputError(f"{flag_of(name)} of {benchmark.name} takes one value")
        for value in values:
            if option.choices and value not in option.choices:
                raise ECSOInputError(
                    f"{flag_of(name)} is {value}, but {benchmark.name} takes "
                    f"{', '.join(option.choices)}"
                )
    judged = [each.name for each in all_benchmarks() if each.is_judged]
    for name in ("judge", "judge_prompts"):
        if getattr(chosen, name) not in (None, RULES) and benchmark.name not in judged:
            raise _is_for(name, judged, benchmark)


def _is_for(name: str, benchmarks: list[str], benchmark: Benchmark) -> ECSOInputError:
    return ECSOInputError(
        f"{flag_of(name)} is for {', '.join(benchmarks)}, not for {benchmark.name}"
    )


def flag_of(name: str) -> str:
    """Return the option that a name stands for."""
    return f"--{name.replace('_', '-')}"


def not_for(benchmark: Benchmark) -> dict[str, str | None]:
    """Return the options that are for other benchmarks, at the values that say nothing."""
    judged = {} if benchmark.is_judged else {"judge": RULES, "judge_prompts": None}
    others = [name for name, given in _declared_options().items() if benchmark.name not in given]
    return {**dict.fromkeys(others), **judged}
