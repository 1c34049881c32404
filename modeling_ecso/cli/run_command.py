"""`ecso run`: one protected answer, with the four steps shown as they happen."""

import argparse
from collections.abc import Callable
from typing import Any

from ..errors_ecso import ECSOInputError
from ..loading.images import SAMPLES, open_image, path_of
from ..loading.models import LoadedModel, load_model
from .model_options import add_model_options, chosen_changes
from .terminal import TerminalConsole, console, loading, print_json


def add_to(commands: Any) -> None:
    """Add the subcommand to the parser of `ecso`."""
    parser = commands.add_parser(
        "run",
        help="answer a query about images, protected",
        description="Answer a query about images, protected, and show the four steps.",
    )
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help=f"images; none: text only; samples: {', '.join(SAMPLES)}",
    )
    parser.add_argument("--query", required=True, metavar="TEXT", help="what to ask")
    add_model_options(parser)
    parser.add_argument("--no-ecso", action="store_true", help="answer without protection")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument(
        "--show-withheld",
        action="store_true",
        help="show an unsafe draft and the description of the image as well; no step has judged "
        "the description",
    )
    parser.set_defaults(function=run)


def run(chosen: argparse.Namespace) -> int:
    """Answer and print; returns the exit status.

    Raises:
        ECSOInputError: Something in the arguments cannot be used.
    """
    _check(chosen)
    images = [open_image(path_of(name), name) for name in chosen.images]
    screen = console(is_quiet=chosen.json)
    with loading(chosen.model, screen):
        loaded = load_model(chosen.model)
    with loaded.one_line_errors():
        inputs = loaded.inputs_for(chosen.query, images, chosen.max_new_tokens)
        show = _RunScreen(screen, chosen, loaded)
        with show.at_work:
            if chosen.no_ecso:
                report = _answer_unprotected(chosen, loaded, inputs)
            else:
                report = _answer_protected(chosen, loaded, inputs, show.step)
    if chosen.json:
        print_json(report)
    else:
        show.answer(report)
    return 0


def _check(chosen: argparse.Namespace) -> None:
    if not chosen.query.strip():
        raise ECSOInputError("--query is empty; say what to ask")
    if chosen.max_new_tokens < 1:
        raise ECSOInputError(f"--max-new-tokens is {chosen.max_new_tokens}; give a number from 1")
    chosen_changes(chosen)


def _answer_unprotected(
    chosen: argparse.Namespace, loaded: LoadedModel, inputs: Any
) -> dict[str, Any]:
    ids = loaded.model.generate(**inputs, ecso=False, max_new_tokens=chosen.max_new_tokens)
    answer = loaded.text_of(ids[0, inputs["input_ids"].shape[1] :])
    return {
        "answer": answer,
        "protected": False,
        "draft_withheld": False,
        "p_unsafe": None,
        "preset": None,
        "model": loaded.name,
        "steps": [],
    }


def _answer_protected(
    chosen: argparse.Namespace,
    loaded: LoadedModel,
    inputs: Any,
    on_step: Callable[[Any], None],
) -> dict[str, Any]:
    import torch

    shows = chosen.show_withheld
    changes: dict[str, Any] = {
        **chosen_changes(chosen),
        "enabled": True,
        "keep_draft": shows,
        "keep_caption": shows,
    }
    run = loaded.model.protected_run(
        **inputs,
        ecso=changes,
        processor=loaded.processor,
        max_new_tokens=chosen.max_new_tokens,
    )
    with torch.inference_mode():
        for event in run:
            on_step(event)
    trace = run.traces[0].to_dict()
    answer = loaded.text_of(run.output[0, inputs["input_ids"].shape[1] :])
    report = {
        "answer": answer,
        "protected": True,
        "draft_withheld": trace["draft_withheld"],
        "p_unsafe": trace["p_unsafe"],
        "preset": trace["preset"],
        "model": loaded.name,
        "steps": trace["steps"],
        "outcome": trace["outcome"],
        "verdict": trace["verdict"],
        "failed_step": trace["failed_step"],
    }
    if chosen.show_withheld:
        report["caption"] = trace.get("caption")
        report["draft"] = trace.get("draft", None if trace["draft_withheld"] else answer)
    return report


class _RunScreen:
    """Prints the steps and the answer for a person; silent with ``--json``."""

    def __init__(self, screen: TerminalConsole, chosen: argparse.Namespace, loaded: LoadedModel):
        from rich.text import Text

        self._console = screen
        # Says on a terminal what is being done, and is gone once it is.
        self.at_work = screen.status("direct")
        self._has_image = bool(chosen.images)
        protection = "off" if chosen.no_ecso else "on"
        # Text, since a folder's name may hold brackets, which are markup to a plain string.
        self._console.print(Text(f"ECSO {protection} · model {loaded.name}", style="bold cyan"))
        for path in chosen.images:
            self._line("image", path)
        self._line("query", chosen.query)
        self._console.print()

    def step(self, event: Any) -> None:
        """Print one step with its cost."""
        record = event.record
        said = {
            "direct": self._after_direct,
            "detect": self._after_detect,
            "caption": lambda event: event.caption or "image described; the words are kept back",
            "safe": self._after_safe,
        }[record.step.value](event)
        tokens = "1 token" if record.tokens == 1 else f"{record.tokens} tokens"
        self._line(record.step.value, said, f"{tokens}, {record.milliseconds:.0f} ms")
        if event.next_step is not None:
            self.at_work.update(event.next_step.value)

    def answer(self, report: dict[str, Any]) -> None:
        """Print the answer, and the draft where it was asked for."""
        if report.get("draft") and report["draft_withheld"]:
            self._line("draft", report["draft"])
        self._console.print()
        if not report["protected"]:
            self._line("answer", f"{report['answer']}  (not protected)")
        elif report["failed_step"]:
            why = f"the {report['failed_step']} step could not be run"
            self._line("answer", f"{report['answer']}  (the configured refusal; {why})")
        elif report["outcome"] == "refusal":
            self._line("answer", f"{report['answer']}  (the configured refusal)")
        else:
            self._line("answer", report["answer"])

    def _after_direct(self, event: Any) -> str:
        if event.outcome is not None:
            return "answered; text alone is not judged by this preset"
        if event.verdict is not None:
            return f"draft abandoned while it was written; {self._verdict_on_draft(event)}"
        return "draft written, withheld until it is judged"

    def _after_detect(self, event: Any) -> str:
        if event.safe_answer_verdict is not None:
            return f"the safe answer is {event.safe_answer_verdict.value}"
        return self._verdict_on_draft(event)

    def _verdict_on_draft(self, event: Any) -> str:
        said = f"the draft is {event.verdict.value}"
        if event.p_unsafe is not None:
            said += f", p(unsafe) = {event.p_unsafe:.3f}"
        return said

    def _after_safe(self, event: Any) -> str:
        return "answered again, without the image" if self._has_image else "answered again"

    def _line(self, label: str, text: str, cost: str = "") -> None:
        from rich.table import Table
        from rich.text import Text

        # A grid keeps long texts in their column; Text keeps brackets in them from being markup.
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(width=8)
        grid.add_column(ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_row(Text(label, style="bold"), Text(text), Text(cost, style="dim"))
        self._console.print(grid)
