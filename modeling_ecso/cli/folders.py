"""Folders that commands write into."""

import os
from pathlib import Path

from ..errors_ecso import ECSOInputError


def writable_folder(folder: Path, option: str) -> Path:
    """Return the folder, made if need be: before hours of answers, not after.

    Raises:
        ECSOInputError: It is a file, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_writable = os.access(folder, os.W_OK)
    except OSError:
        is_writable = False
    if not is_writable:
        raise ECSOInputError(
            f"{option} {folder}: nothing can be written there; name a folder of yours"
        )
    return folder
