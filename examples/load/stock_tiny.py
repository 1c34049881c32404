"""Saves the tiny model as a stock LLaVA, unprotected, for a server behind a gateway.

    python examples/load/stock_tiny.py /tmp/stock
    transformers serve /tmp/stock --device cpu --port 8000
    python examples/load/load.py --upstream http://127.0.0.1:8000/v1 --model /tmp/stock

Asked directly, that server answers the harmful pair; through the gateway it does not.
"""

import sys
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


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give one folder to save to")
    save_stock_tiny(Path(sys.argv[1]))
