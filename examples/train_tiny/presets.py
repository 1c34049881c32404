"""The step prompts of the library's presets, which the tiny model is trained on word for word."""

from pathlib import Path

import yaml


PRESETS_FOLDER = Path(__file__).resolve().parents[2] / "configuration" / "presets"


def load_preset(name: str) -> dict:
    """Return the fields of a preset: paper, reference or hardened."""
    return yaml.safe_load((PRESETS_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
