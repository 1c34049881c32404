"""The prompts of judges: this project's, or those of the published judge file and no other.

Source of the file's layout: llava/eval/table/vlsafe_judge.jsonl in github.com/gyhdog99/ecso at
b00b386.
"""

import ast
import json
import string
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from .benchmarks import all_benchmarks
from .files import DataError, text_in
from .scoring import JudgePrompt


def own_prompts() -> dict[str, JudgePrompt]:
    """Return this project's prompts by name."""
    judgings = [benchmark.scoring.judging for benchmark in all_benchmarks()]
    return {prompt.name: prompt for each in judgings if each for prompt in each.all_prompts}


def read_judge_prompts(file: Path | None) -> dict[str, JudgePrompt]:
    """Return the prompts by name: ours, or those in the file and no other.

    Args:
        file: The published judge file, one JSON object a line with ``name``, ``prompt_template``
            and ``system_prompt``; or, with the ending ``.txt``, a prompt that is plain text, which
            is put before the row of its fields; or, with the ending ``.py``, the published program
            that has the prompts as texts in it; None: ours.

    Raises:
        DataError: The file cannot be read, or an entry lacks one of its fields.
    """
    own = own_prompts()
    if file is None:
        return own
    if not file.exists():
        raise DataError(f"{file}: no such file; give the published judge file")
    text = text_in(file)
    if file.suffix == ".txt":
        escaped = text.replace("{", "{{").replace("}", "}}")
        return {
            prompt.name: replace(
                prompt, template=f"{escaped}\n{prompt.row}", system="", is_published=True
            )
            for prompt in own.values()
            if prompt.row
        }
    if file.suffix == ".py":
        return _in_program(text, own, file)
    prompts = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        prompt = _read_entry(line, own, f"{file}, row {number}")
        if prompt is not None:
            prompts[prompt.name] = prompt
    return prompts


def check_needed(file: Path, prompts: dict[str, JudgePrompt], needed: Iterable[str]) -> None:
    """Make sure that a judge file has all the entries that a benchmark asks with.

    Args:
        file: The judge file, for the message.
        prompts: What was read from it.
        needed: Names of the entries.

    Raises:
        DataError: The file lacks some.
    """
    missing = sorted(set(needed) - prompts.keys())
    if missing:
        raise DataError(
            f"{file}: no entry named {', '.join(missing)}, which this benchmark is judged with; "
            "give a judge file that is complete"
        )


def _read_entry(line: str, own: dict[str, JudgePrompt], where: str) -> JudgePrompt | None:
    """Return the prompt of a row; None where it stands for none of ours."""
    try:
        entry = json.loads(line)
        name, template = entry["name"], entry["prompt_template"]
        fields = _fields(template)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(
            f"{where}: not a judge prompt; each row is an object with name and prompt_template"
        ) from None
    if name not in own:
        return None
    needed = own[name].fields
    if fields != needed:
        raise DataError(
            f"{where}: the prompt {name!r} must have the fields {', '.join(sorted(needed))}"
        )
    system = entry.get("system_prompt") or ""
    return replace(own[name], template=template, system=system, is_published=True)


def _in_program(text: str, own: dict[str, JudgePrompt], file: Path) -> dict[str, JudgePrompt]:
    """Return the prompts that stand as texts in a program, which is read and never run.

    Raises:
        DataError: It is no Python, or has no prompt that any benchmark here is judged with.
    """
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise DataError(f"{file}: not Python; give the published judge program") from None
    texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    found = {}
    for prompt in own.values():
        for template in filter(lambda value: isinstance(value, str), texts):
            if prompt.reply_mark and prompt.reply_mark in str(template):
                known = _with_fields_alone(str(template), prompt.fields)
                if _fields(known) == prompt.fields:
                    found[prompt.name] = replace(
                        prompt, template=known, system="", is_published=True
                    )
    if not found:
        raise DataError(f"{file}: no judge prompt in it that any benchmark here is judged with")
    return found


def _with_fields_alone(template: str, fields: set[str]) -> str:
    """Return a template in which braces around anything but these fields are plain characters."""
    escaped = template.replace("{", "{{").replace("}", "}}")
    for field in fields:
        escaped = escaped.replace(f"{{{{{field}}}}}", f"{{{field}}}")
    return escaped


def _fields(template: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}
