"""The border to Inspect's own error for what a user can mend: across it, and back, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager

# Inspect does not export it; the version is pinned, and a test imports this.
from inspect_ai._util.error import PrerequisiteError
from rich.markup import escape
from rich.text import Text

from ..errors_ecso import ECSOError
from .files import DataError


__all__ = ["PrerequisiteError", "as_data_error", "as_prerequisite_error", "plain_message"]


@contextmanager
def as_prerequisite_error() -> Iterator[None]:
    """Turn an error in the data, model or settings into the one that Inspect shows as one line.

    Raises:
        PrerequisiteError: In place of an ECSOError.
    """
    try:
        yield
    except ECSOError as error:
        raise PrerequisiteError(escape(str(error))) from None


@contextmanager
def as_data_error(about: str = "") -> Iterator[None]:
    """Turn what Inspect says of a mistake of the user's into our error.

    Args:
        about: What to put in front of it.

    Raises:
        DataError: In place of a PrerequisiteError.
    """
    try:
        yield
    except PrerequisiteError as error:
        raise DataError(f"{about}{plain_message(error)}") from None


def plain_message(error: PrerequisiteError) -> str:
    """Return what Inspect would show, as one line without its markup."""
    words = Text.from_markup(str(error.message)).plain.split()
    return " ".join(words).removeprefix("ERROR: ")
