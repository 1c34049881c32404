"""Writes the demo as the folder of a Hub Space: three small files, no copy of the code.

`ecso-hub build-space --out DIR`. The Space installs this package by the requirement
that stands in its ``requirements.txt`` and starts the page from it, without votes: a Space's disk
does not last, and its visitors are strangers.
"""

from pathlib import Path

from modeling_ecso import __version__
from modeling_ecso.errors_ecso import ECSOInputError


# The gradio that the browser tests run with; the Hub installs what the card says.
GRADIO_VERSION = "6.31.0"
PYTHON_VERSION = "3.11"

APP = '''"""The demo of ECSO-LLaVA; its code is in the package that requirements.txt names."""

from modeling_ecso.demo.app import offered_models, serve


with offered_models([{source}]) as models:
    serve(models)
'''

CARD = """---
title: Eyes Closed, Safety On
emoji: 🙈
colorFrom: blue
colorTo: green
sdk: gradio
sdk_version: {gradio}
python_version: "{python}"
app_file: app.py
license: apache-2.0
short_description: A vision-language model that protects itself, step by step
---

# Eyes Closed, Safety On

A LLaVA whose `generate()` protects by itself, shown step by step: the draft, the model's own
verdict on it, the description of the image, and the answer given from that description alone
([arXiv 2403.09572](https://arxiv.org/abs/2403.09572)).

Whoever visits can edit the prompts and, with the "show withheld texts" switch, see drafts that were
found harmful. The model: {model}.
"""

TINY_DESCRIPTION = "the tiny teaching model, whose harmful “instructions” are empty phrases"


def default_requirement() -> str:
    """Return the requirement for this version of the package, with what the demo needs."""
    return f"ecso-llava[demo]=={__version__}"


def write_space(folder: Path, *, requirement: str | None = None, model: str | None = None) -> None:
    """Write the folder of a Space; files of the same name are overwritten, others left.

    Args:
        folder: Where to; made if missing.
        requirement: The line that installs this package: a version of the package, or
            ``ecso-llava[demo] @ git+https://...``; None: the version that is installed here.
        model: Hub id of the model to show; None: the tiny one, which is part of the package.

    Raises:
        ECSOInputError: The requirement is not one line, or there is none to be had, or the folder
            cannot be written.
    """
    requirement = default_requirement() if requirement is None else requirement.strip()
    if not requirement or len(requirement.splitlines()) != 1:
        raise ECSOInputError(f"the requirement is {requirement!r}; give one line")
    files = {
        "app.py": APP.format(source=repr(model)),
        "requirements.txt": requirement + "\n",
        "README.md": CARD.format(
            gradio=GRADIO_VERSION,
            python=PYTHON_VERSION,
            model=f"`{model}`" if model else TINY_DESCRIPTION,
        ),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
    except OSError as error:
        raise ECSOInputError(f"{folder}: cannot be written ({error.strerror or error})") from None
