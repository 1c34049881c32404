"""Everything that is generated, as files and their contents; a test compares them with the disk."""

from pathlib import Path

from examples.load.panels import dashboard

from .commands_page import commands_page
from .figures import with_figures
from .schemas import schema_files
from .settings_page import settings_page
from .state_diagram import state_diagram, transition_table
from .transitions import explored_transitions


PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"

# The pages that hold figures between marks.
_WITH_FIGURES = (
    PROJECT / "README.md",
    *(DOCS / f"{name}.md" for name in ("cost", "deployment", "tiny-model")),
)


def generated_files() -> dict[Path, str]:
    """Return the whole content of every file that is generated, wholly or between marks."""
    transitions = explored_transitions()
    how_it_works = DOCS / "how-it-works.md"
    return {
        DOCS / "settings.md": settings_page(),
        DOCS / "commands.md": commands_page(),
        DOCS / "grafana.json": dashboard(),
        DOCS / "states.svg": state_diagram(transitions),
        how_it_works: between_marks(
            how_it_works.read_text("utf-8"), "transitions", transition_table(transitions)
        ),
        **{DOCS / "schemas" / name: content for name, content in schema_files().items()},
        **{page: with_figures(page.read_text("utf-8")) for page in _WITH_FIGURES},
    }


def between_marks(page: str, mark: str, content: str) -> str:
    """Return a page with new content between the two comments that name the mark.

    Raises:
        ValueError: The page does not hold the mark twice.
    """
    comment = f"<!-- {mark} -->"
    before, _, after = page.split(comment)
    return f"{before}{comment}\n{content.strip()}\n{comment}{after}"
