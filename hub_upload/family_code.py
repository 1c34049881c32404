"""The code of a model repository: this package's modules, two of them written for the family.

LLaVA's repositories hold the modules as they are. For another family, `configuration_ecso.py` and
`modeling_ecso.py` are written from templates: its stock classes, with ours before them.
"""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import modeling_ecso
from modeling_ecso.loading.families import FamilyNames


TEMPLATES = Path(__file__).parent / "templates"

# The modules that are about one family.
OF_THE_FAMILY = ("configuration_ecso.py", "modeling_ecso.py")

_SIBLING = re.compile(r"^from \.(\w+) import (?:\([^)]*\)|.*)$", flags=re.MULTILINE)


def code_files() -> list[Path]:
    """Return the flat modules of this package."""
    return sorted(Path(modeling_ecso.__file__).parent.glob("*_ecso.py"))


def model_code(names: FamilyNames) -> dict[str, str]:
    """Return the modules of a family's repository, each by its file name.

    Args:
        names: Those of the family's classes.
    """
    code = {file.name: file.read_text("utf-8") for file in code_files()}
    if names.stock_type == "llava":
        return code
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True
    )
    siblings = {
        found[1]: found[0]
        for found in _SIBLING.finditer(code["modeling_ecso.py"])
        if found[1] != "requirements_ecso"
    }
    siblings["configuration_ecso"] = f"from .configuration_ecso import {names.config}"
    for name in OF_THE_FAMILY:
        template = environment.get_template(f"{name}.jinja")
        code[name] = template.render(names=names, siblings=siblings.values())
    return code
