"""Lays a trained tiny model out as inference engines take it; its answers stay the same.

    python -m examples.training.tiny.engine_layout FOLDER

Engines have attention kernels for heads of 32, 64, 80 … numbers, and look for the weights under the
names of the llava-hf checkpoints. The shipped weights were trained with heads of 40: this widens
each of them to 64 with zeros, which changes no sum, and gives the vision tower its public names.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


WIDTH = 64
# As in the checkpoints of llava-hf, which transformers reads under these names too.
_TOWER, _PUBLIC_TOWER = "vision_tower.", "vision_tower.vision_model."


def widen(weights: dict[str, torch.Tensor], text_config: dict) -> dict[str, torch.Tensor]:
    """Return language model weights with heads of 64 numbers; all logits stay what they were.

    Args:
        weights: All weights of the model by name, (out, in) each.
        text_config: The configuration of the language model; changed to fit.
    """
    narrow = text_config["head_dim"]
    if narrow == WIDTH:
        return weights
    # Rotary positions turn number i together with number i + half.
    half, wide_half = narrow // 2, WIDTH // 2
    places = torch.cat([torch.arange(half), torch.arange(half) + wide_half])

    def spread(weight: torch.Tensor) -> torch.Tensor:
        heads = weight.unflatten(0, (-1, narrow))
        wide = heads.new_zeros(heads.shape[0], WIDTH, *heads.shape[2:])
        wide[:, places] = heads
        return wide.flatten(0, 1)

    changed = dict(weights)
    for name, weight in weights.items():
        if name.startswith(_TOWER):
            continue
        if name.endswith(("k_proj.weight", "v_proj.weight")):
            changed[name] = spread(weight)
        elif name.endswith("q_proj.weight"):
            # Attention divides by the root of the width.
            changed[name] = spread(weight) * (WIDTH / narrow) ** 0.5
        elif name.endswith("o_proj.weight"):
            changed[name] = spread(weight.T).T.contiguous()
    text_config["head_dim"] = WIDTH
    rope = text_config["rope_parameters"]
    rope["rope_theta"] = rope["rope_theta"] ** (WIDTH / narrow)  # the same angles at the same pairs
    return changed


def with_public_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights with the vision tower named as in the checkpoints of llava-hf."""
    return {
        name.replace(_TOWER, _PUBLIC_TOWER)
        if name.startswith(_TOWER) and not name.startswith(_PUBLIC_TOWER)
        else name: weight
        for name, weight in weights.items()
    }


def lay_out(folder: Path) -> None:
    """Rewrite a checkpoint's weights and configuration in place.

    Args:
        folder: With ``config.json`` and ``model.safetensors``.
    """
    config_file, weight_file = folder / "config.json", folder / "model.safetensors"
    config = json.loads(config_file.read_text("utf-8"))
    weights = with_public_names(widen(load_file(weight_file), config["text_config"]))
    save_file(weights, weight_file, metadata={"format": "pt"})
    config_file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def main() -> int:
    """Lay out the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    lay_out(parser.parse_args().folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
