"""Reads a file of settings of the protocol, as `ecso calibrate` writes it: YAML or JSON."""

import json
from pathlib import Path
from typing import Any

from ..errors_ecso import ECSOInputError
from ..settings_ecso import ECSOConfig


def read_ecso_config(file: Path) -> dict[str, Any]:
    """Return the settings in a file, as ``ecso=`` takes them; ``preset`` among them is their base.

    Raises:
        ECSOInputError: It cannot be read, holds no settings, or one is unknown or not allowed.
    """
    import yaml

    try:
        text = file.read_text("utf-8-sig")
        stored = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except OSError:
        raise ECSOInputError(f"{file}: no such file, or it cannot be read") from None
    except (ValueError, RecursionError, yaml.YAMLError):
        raise ECSOInputError(f"{file}: neither YAML nor JSON") from None
    if not isinstance(stored, dict) or not all(isinstance(key, str) for key in stored):
        raise ECSOInputError(f"{file}: holds no settings; write one `name: value` a line")
    try:
        ECSOConfig.from_preset("paper").updated(stored)
    except ECSOInputError as error:
        raise type(error)(f"{file}: {error}") from None
    return stored
