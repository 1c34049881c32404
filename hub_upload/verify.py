"""Proves a built folder: its files, its card, and what a stranger's process makes of it."""

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.family_config_ecso import PREFIX
from modeling_ecso.loading.families import FamilyNames, family_names
from modeling_ecso.loading.models import TINY_FOLDER
from modeling_ecso.settings_ecso import ECSOConfig
from modeling_ecso.sources_ecso import checked_source

from .allowed import files_of, kind_of
from .build import ecso_config_module
from .family_code import TEMPLATES, code_files, model_code
from .fresh_process import LAST_LINE
from .hub_errors import as_input_errors
from .model_json import read_json
from .weights import INDEX, SINGLE, weight_files


CACHE = "hub"

# Libraries, processors, languages and temporary folders; nothing else reaches the checks.
LET_IN = re.compile(
    r"PATH|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|SYSTEMROOT|WINDIR|(DY)?LD_LIBRARY_PATH|"
    r"(OMP|MKL|OPENBLAS)_NUM_THREADS|(CUDA|NVIDIA|HIP|ROCR)_\w+|PYTORCH_\w+ALLOC_CONF",
)

CARD_FIELDS = ("license", "library_name", "pipeline_tag", "tags", "ecso_release")


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
    if kind == "model":
        where, ours = folder, model_code(_names(folder))
    else:
        where, ours = (
            folder / "custom_generate",
            {f.name: f.read_text("utf-8") for f in code_files()},
        )
        ours["generate.py"] = (TEMPLATES / "generate.py").read_text("utf-8")
    shipped = list(where.glob("*.py"))
    for file in shipped:
        if file.name == "ecso_config.py":
            _refuse_other_code(file)
        elif file.name not in ours or file.read_bytes() != ours[file.name].encode():
            raise ECSOInputError(f"{file.name} is not that of this package; build again")
    if kind == "model" and len(shipped) != len(ours):
        raise ECSOInputError("a module is missing; build again")
    return f"{len(shipped)} modules, those of this package"


def _names(folder: Path) -> FamilyNames:
    """Return the names of the classes that a built folder must have, from its type."""
    model_type = read_json(folder / "config.json").get("model_type")
    if not isinstance(model_type, str) or not model_type.startswith(PREFIX):
        raise ECSOInputError(
            f"config.json: model_type is {model_type!r}, with which it would load unprotected; "
            "build again"
        )
    return family_names(model_type)


def _refuse_other_code(file: Path) -> None:
    """Let the module of the `ECSOConfig` pass if it holds that and nothing else that runs."""
    try:
        text = file.read_text("utf-8")
        stored = ast.literal_eval(text.partition("ECSO_CONFIG = ")[2])
        is_ours = ecso_config_module(ECSOConfig.from_dict(stored).to_dict()) == text
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        is_ours = False
    if not is_ours:
        raise ECSOInputError(f"{file.name} is not what build writes; build again")


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
    source = read_json(folder / "config.json").get("weights_from")
    if source is None:
        files = weight_files(folder)
        size = sum(file.stat().st_size for file in files)
        return f"{len(files)} files, {readable_size(size)}"
    checked_source(source)
    return f"from {source['repo_id']}" + (f" at {source['revision']}" if source["revision"] else "")


def _in_fresh_process(folder: Path, kind: str) -> list[VerifyCheck]:
    arguments = [kind, str(folder.resolve())]
    arguments.append(_names(folder).model if kind == "model" else str(TINY_FOLDER))
    script = Path(__file__).parent / "fresh_process.py"
    with tempfile.TemporaryDirectory(prefix="ecso-verify-") as home:
        if kind == "model":
            try:
                _offer_weights(folder, Path(home, CACHE))
            except ECSOInputError as problem:
                return [VerifyCheck("base", False, str(problem))]
        done = subprocess.run(
            [sys.executable, "-I", str(script), *arguments],
            cwd=home,
            env=environment_of_checks(home),
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


def environment_of_checks(home: str) -> dict[str, str]:
    """Return the surroundings of the verifying process: no token, no network, an empty home.

    What holds a token is not taken out one by one; what is needed is let in.

    Args:
        home: A folder with nothing in it but a cache of the Hub.
    """
    let_in = {name: value for name, value in os.environ.items() if LET_IN.fullmatch(name)}
    return {
        **let_in,
        "HOME": home,
        "USERPROFILE": home,
        "NETRC": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "HF_HOME": home,
        "HF_HUB_CACHE": os.path.join(home, CACHE),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_VERBOSITY": "error",
    }


def _offer_weights(folder: Path, cache: Path) -> None:
    """Put the base's weights of a thin repository into a cache, since the checks are offline.

    Raises:
        ECSOInputError: They cannot be had.
    """
    from huggingface_hub import snapshot_download

    source = checked_source(read_json(folder / "config.json").get("weights_from"))
    if source is None or source["revision"] is None:
        return
    with as_input_errors(f"the base {source['repo_id']}"):
        snapshot = snapshot_download(
            str(source["repo_id"]),
            revision=source["revision"],
            allow_patterns=["config.json", SINGLE, INDEX, "*.safetensors"],
        )
    repository = Path(snapshot).parent.parent
    cache.mkdir()
    # A link to this repository alone: beside the user's cache lies the user's token.
    (cache / repository.name).symlink_to(repository.resolve())


def readable_size(size: float) -> str:
    """Return a file size for people, in decimal units."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
