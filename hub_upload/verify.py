"""Proves a built folder: its files, its card, and what a stranger's process makes of it."""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.loading.models import TINY_FOLDER

from .allowed import files_of, kind_of
from .build import code_files
from .card import TEMPLATES
from .fresh_process import LAST_LINE
from .weights import weight_files


CARD_FIELDS = ("license", "library_name", "pipeline_tag", "tags")


class VerifyCheck(NamedTuple):
    """One check: its name, whether it passed, and what was seen."""

    name: str
    passed: bool
    detail: str


def verify(folder: Path) -> list[VerifyCheck]:
    """Return every check of a built folder; all must have passed before it is published.

    Args:
        folder: What `build` has made.

    Raises:
        ECSOInputError: It is no built folder at all.
    """
    kind = kind_of(folder)
    checks = [
        _checked("files", lambda: _files(folder)),
        _checked("code", lambda: _code(folder, kind)),
        _checked("card", lambda: _card(folder)),
    ]
    if kind == "model":
        checks.append(_checked("weights", lambda: _weights(folder)))
    if not all(check.passed for check in checks):
        # What is not known to be this package's code is not run.
        return [*checks, VerifyCheck("fresh process", False, "not started; mend the above first")]
    return checks + _in_fresh_process(folder, kind)


def _checked(name: str, run: Callable[[], str]) -> VerifyCheck:
    try:
        return VerifyCheck(name, True, run())
    except ECSOInputError as problem:
        return VerifyCheck(name, False, str(problem))


def _files(folder: Path) -> str:
    files = files_of(folder)
    return f"{len(files)} files, all of them allowed"


def _code(folder: Path, kind: str) -> str:
    where = folder if kind == "model" else folder / "custom_generate"
    ours = {file.name: file for file in code_files()}
    ours["generate.py"] = TEMPLATES / "generate.py"
    shipped = [file for file in where.glob("*.py") if file.name != "stored_settings.py"]
    for file in shipped:
        if file.name not in ours or file.read_bytes() != ours[file.name].read_bytes():
            raise ECSOInputError(f"{file.name} is not that of this package; build again")
    if kind == "model" and len(shipped) != len(ours) - 1:
        raise ECSOInputError("a module is missing; build again")
    return f"{len(shipped)} modules, those of this package"


def _card(folder: Path) -> str:
    from huggingface_hub import ModelCard

    file = folder / "README.md"
    if not file.is_file():
        raise ECSOInputError("README.md is missing; build again")
    try:
        metadata = ModelCard(file.read_text("utf-8")).data.to_dict()
    except Exception as error:
        raise ECSOInputError(
            f"README.md: its metadata cannot be read ({type(error).__name__})"
        ) from None
    missing = [name for name in CARD_FIELDS if not metadata.get(name)]
    if missing:
        raise ECSOInputError(f"README.md: its metadata has no {', '.join(missing)}")
    return f"licence {metadata['license']}"


def _weights(folder: Path) -> str:
    source = json.loads((folder / "config.json").read_text("utf-8")).get("weights_from")
    if source is None:
        files = weight_files(folder)
        size = sum(file.stat().st_size for file in files)
        return f"{len(files)} files, {readable_size(size)}"
    held = [file.name for file in folder.glob("*.safetensors*")]
    if held:
        raise ECSOInputError(f"a thin repository holds no weights; remove {held[0]}")
    return f"from {source['repo_id']}" + (f" at {source['revision']}" if source["revision"] else "")


def _in_fresh_process(folder: Path, kind: str) -> list[VerifyCheck]:
    paths = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    arguments = [kind, json.dumps(paths), str(folder.resolve())]
    if kind == "custom_generate":
        arguments.append(str(TINY_FOLDER))
    script = Path(__file__).parent / "fresh_process.py"
    with tempfile.TemporaryDirectory(prefix="ecso-verify-") as empty:
        environment = {
            **os.environ,
            "HF_MODULES_CACHE": empty,
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TRANSFORMERS_VERBOSITY": "error",
        }
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(script), *arguments],
            cwd=empty,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    checks = []
    for line in done.stdout.splitlines():
        if line.startswith('{"check"'):
            seen = json.loads(line)
            checks.append(VerifyCheck(seen["check"], seen["ok"], seen["detail"]))
    if done.returncode or not done.stdout.rstrip().endswith(LAST_LINE):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        checks.append(VerifyCheck("fresh process", False, f"ended early: {last[:200]}"))
    return checks


def readable_size(size: float) -> str:
    """Return a file size for people, in decimal units."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
