"""Writes the tiny model as a stock LLaVA, unprotected, for a server behind a gateway.

    python -m examples.load.stock_tiny build/stock
    transformers serve build/stock --device cpu --port 8000
    python -m examples.load.load --upstream http://127.0.0.1:8000/v1 --model build/stock

Asked directly, that server answers the harmful pair; through the gateway it does not. Weights,
processor and tokenizer are those of the package: only the configuration names another class.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from modeling_ecso.loading.models import TINY_FOLDER


def write_stock_tiny(folder: Path) -> None:
    """Write model and processor in the layout of the llava-hf checkpoints.

    Args:
        folder: Where to; made if it is not there.
    """
    shutil.copytree(
        TINY_FOLDER, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("images", "metrics*")
    )
    config_file = folder / "config.json"
    config = json.loads(config_file.read_text("utf-8"))
    for key in ("ecso", "auto_map"):
        config.pop(key, None)
    config.update(model_type="llava", architectures=["LlavaForConditionalGeneration"])
    config_file.write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def main() -> int:
    """Write the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    write_stock_tiny(parser.parse_args().folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
