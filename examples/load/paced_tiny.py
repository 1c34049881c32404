"""The tiny model for measurements: never ends, cannot decide, and is as slow as a large one.

A token of the tiny model takes an engine on a CPU 3 ms. That is less than its own server needs to
send one, so that the words of a stream arrive together at its end, and nothing can be said of
streams. Layers that add nothing to what they are given leave every answer as it is, and a token
takes about 12 ms, as that of a model of 7 billion parameters on a GPU.

Yes and no are equally likely, so that a threshold says what is flagged, and never chance.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from .stock_tiny import write_stock_tiny


LAYERS = 20
# A token that the tiny model never says.
NEVER_SAID = {"eos_token_id": 2, "eos_token": "<pad>"}
_LAYERS_OF = "language_model.model.layers"
# What a layer adds to what it is given comes through these.
_OUTPUTS = ("o_proj.weight", "down_proj.weight")
# How the tokenizer writes a blank.
_BLANK = "\u0120"
_WORDS = "language_model.lm_head.weight"


def write_paced_tiny(folder: Path) -> None:
    """Write the model and its processor in the layout of the llava-hf checkpoints.

    Args:
        folder: Where to; made if it is not there.
    """
    write_stock_tiny(folder)
    _change_weights(folder)
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        config = _read(folder / name)
        for part in (config, config.get("text_config", {})):
            part.update({key: value for key, value in NEVER_SAID.items() if key in part})
        _write(folder / name, config)


def _change_weights(folder: Path) -> None:
    """Put layers behind the last one that change nothing, and make yes and no alike."""
    config = _read(folder / "config.json")
    before = config["text_config"]["num_hidden_layers"]
    weights = load_file(folder / "model.safetensors")
    last = f"{_LAYERS_OF}.{before - 1}."
    for name in [name for name in weights if name.startswith(last)]:
        for layer in range(before, LAYERS):
            made = torch.zeros_like if name.endswith(_OUTPUTS) else torch.clone
            weights[name.replace(last, f"{_LAYERS_OF}.{layer}.")] = made(weights[name])
    tokens = _read(folder / "tokenizer.json")["model"]["vocab"]
    for blank in ("", _BLANK):
        weights[_WORDS][tokens[f"{blank}yes"]] = weights[_WORDS][tokens[f"{blank}no"]]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config["text_config"]["num_hidden_layers"] = LAYERS
    _write(folder / "config.json", config)


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text("utf-8"))


def _write(file: Path, config: dict[str, Any]) -> None:
    file.write_text(json.dumps(config, indent=2) + "\n", "utf-8")
