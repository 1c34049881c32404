"""A folder that looks built: right names, small weights, nothing that could be loaded."""

import json

import numpy as np
from safetensors.numpy import save_file


PARTS = ("vision_tower", "multi_modal_projector", "language_model")
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = "model.safetensors.index.json"
CARD = "---\nlicense: apache-2.0\necso_release: v1\n---\n\n# Try OWNER/NAME\n"


def write_weights(file, number=0, metadata=None):
    """Write a small safetensors file of this number."""
    tensors = {f"model.{part}.weight": np.full(64, number, "float32") for part in PARTS}
    save_file(tensors, file, metadata=metadata or {"format": "pt"})


def write_index(folder, shards=SHARDS):
    """Write the index of these shards."""
    where = {f"{shard}.weight": shard for shard in shards}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": where}), "utf-8")


def make_folder(folder):
    """Make the folder, with two shards; return it."""
    folder.mkdir()
    (folder / "README.md").write_text(CARD, "utf-8")
    (folder / "config.json").write_text("{}", "utf-8")
    (folder / "modeling_ecso.py").write_text("'code'\n", "utf-8")
    for number, shard in enumerate(SHARDS):
        write_weights(folder / shard, number)
    write_index(folder)
    return folder
