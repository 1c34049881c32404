"""The site of docs/: built by `make docs`, offline; what is wrong in it is an error."""

import re
from pathlib import Path
from typing import Any

from sphinx.util import logging

from modeling_ecso import __version__


project = "ECSO-LLaVA"
author = "The authors of ECSO-LLaVA"
copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["generate"]
html_theme = "furo"
html_title = f"{project} {release}"
# Pages that no other page leads to.
html_use_index = html_domain_indices = False
html_show_sphinx = html_show_sourcelink = html_show_copyright = False

myst_enable_extensions = ["colon_fence"]
# Links between pages may name a heading.
myst_heading_anchors = 3

# Docstrings write names in single backticks.
default_role = "code"
# Public names are imported from the package, whichever module they live in.
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "show-inheritance": True}

# Only `make docs-links` asks for these.
linkcheck_timeout = 20
linkcheck_retries = 2


logger = logging.getLogger(__name__)
PROJECT = Path(__file__).parents[1]
_LINK_TO_FILE = re.compile(r"(?<!!)\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)")


def _name_files(app: Any, page: str, source: list[str]) -> None:
    """Name the files of the repository that a page links to: on the site they are not there."""

    def named(link: re.Match[str]) -> str:
        text, file = link[1].strip("`"), link[2]
        if not (PROJECT / file).exists():
            logger.warning("%s links to %s, which is not in the repository", page, file)
        return f"`{file}`" if Path(file).name.startswith(text) else f"{text} (`{file}`)"

    source[0] = _LINK_TO_FILE.sub(named, source[0])


def _check_it_is_offline(app: Any, error: Exception | None) -> None:
    """Fail where a page would load a script, a style, a font or an image from elsewhere."""
    if error is not None or app.builder.name != "html":
        return
    loads = re.compile(r'(?:<(?:script|img|iframe)[^>]*\ssrc|<link[^>]*\shref)="(https?:)?//[^"]+"')
    for page in Path(app.outdir).rglob("*.html"):
        found = loads.search(page.read_text("utf-8"))
        if found:
            raise RuntimeError(f"{page}: loads from elsewhere: {found[0]}")


def setup(app: Any) -> None:
    """Connect what is done to every page, and to all at the end."""
    app.connect("source-read", _name_files)
    app.connect("build-finished", _check_it_is_offline)
