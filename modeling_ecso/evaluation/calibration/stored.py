"""Reads back what `ecso calibrate` wrote, for the report."""

from pathlib import Path
from typing import Any

from ..files import DataError, parsed_json, text_in
from .calibration import FORMAT


NAME = "calibration.json"


def read_calibration(path: Path) -> dict[str, Any]:
    """Return a stored calibration.

    Args:
        path: The file, or the folder it is in.

    Raises:
        DataError: There is none, or it is of another format.
    """
    file = path / NAME if path.is_dir() else path
    if not file.exists():
        raise DataError(f"{file}: no such file; give the --out of ecso calibrate")
    stored = parsed_json(text_in(file), str(file))
    if not isinstance(stored, dict) or stored.get("format") != FORMAT or "advice" not in stored:
        raise DataError(f"{file}: not what this version of ecso calibrate writes; calibrate anew")
    return stored
