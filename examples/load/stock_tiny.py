"""Saves the tiny model as a stock LLaVA, unprotected, for a server behind a gateway.

    python -m examples.load.stock_tiny build/stock
    transformers serve build/stock --device cpu --port 8000
    python -m examples.load.load --upstream http://127.0.0.1:8000/v1 --model build/stock

Asked directly, that server answers the harmful pair; through the gateway it does not.
"""

import argparse
from pathlib import Path

from transformers import (
    GenerationConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from modeling_ecso import ECSOLlavaForConditionalGeneration
from modeling_ecso.loading.models import TINY_FOLDER


def save_stock_tiny(folder: Path) -> None:
    """Write model and processor in the layout of the llava-hf checkpoints.

    Args:
        folder: Where to; made if it is not there.
    """
    model = ECSOLlavaForConditionalGeneration.from_pretrained(TINY_FOLDER)
    plain = model.config.to_dict()
    for key in ("ecso", "model_type", "architectures", "auto_map"):
        plain.pop(key, None)
    stock = LlavaForConditionalGeneration(LlavaConfig(**plain))
    stock.load_state_dict(model.state_dict())
    stock.generation_config = GenerationConfig.from_pretrained(TINY_FOLDER)
    stock.save_pretrained(folder)
    LlavaProcessor.from_pretrained(TINY_FOLDER).save_pretrained(folder)


def main() -> None:
    """Save it where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to; made if need be")
    save_stock_tiny(parser.parse_args().folder)


if __name__ == "__main__":
    main()
