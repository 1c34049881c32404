"""Loads the model that a command works with: the embedded one, a folder or a Hub id."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, NamedTuple

from .problem import Problem


TINY = Path(__file__).parent.parent / "tiny"


class LoadedModel(NamedTuple):
    """A protected model, its processor, and the name to show."""

    model: Any
    processor: Any
    name: str

    def inputs_for(self, query: str, pictures: list[Any]) -> Any:
        """Return the model's inputs for one user turn.

        Args:
            query: What is asked.
            pictures: RGB pictures, perhaps none.

        Raises:
            Problem: The query spells out the model's image token.
        """
        content = [{"type": "image"}] * len(pictures) + [{"type": "text", "text": query}]
        prompt = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        try:
            inputs = self.processor(text=prompt, images=pictures or None, return_tensors="pt")
        except (ValueError, IndexError, StopIteration):
            raise Problem(
                "the query spells out the model's image token without a picture for it; leave it "
                "out"
            ) from None
        return inputs.to(self.model.device, dtype=self.model.dtype)

    def text_of(self, ids: Any) -> str:
        """Return the text of generated ids."""
        return self.processor.decode(ids, skip_special_tokens=True).strip()


def add_model_options(parser: ArgumentParser) -> None:
    """Add the options that say which model answers, under which preset and how long."""
    parser.add_argument(
        "--model",
        metavar="DIR_OR_ID",
        help="an ECSO or a stock LLaVA model, folder or Hub id (default: the embedded tiny one)",
    )
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="reference, paper or hardened (default: what the model stores)",
    )
    parser.add_argument(
        "--max-new-tokens", type=int, default=256, metavar="N", help="answer limit (default: 256)"
    )


def load_model(source: str | None) -> LoadedModel:
    """Return a model ready to answer, on the GPU if there is one.

    Args:
        source: Folder or Hub id, of an ECSO model or a stock LLaVA; None: the embedded tiny one.

    Raises:
        Problem: It is no model, not a LLaVA, or its settings are broken.
    """
    import torch
    from transformers import LlavaProcessor
    from transformers.utils import logging

    from .. import ECSOInputError, ECSOLlavaConfig, ECSOLlavaForConditionalGeneration

    logging.disable_progress_bar()
    name = source or "tiny"
    location = source or str(TINY)
    no_model = (
        f"{name}: no model could be loaded from there; give the folder or Hub id of a LLaVA model "
        "with its processor"
    )
    try:
        stored, _ = ECSOLlavaConfig.get_config_dict(location)
        kind = stored.get("model_type")
        if kind is None:
            raise Problem(no_model)
        if kind != ECSOLlavaConfig.model_type:
            raise Problem(f"{name}: a model of type {kind!r}; give a llava or an ecso_llava model")
        model = ECSOLlavaForConditionalGeneration.from_pretrained(location, dtype="auto")
        processor = LlavaProcessor.from_pretrained(location, trust_remote_code=False)
    except ECSOInputError as error:
        raise Problem(f"{name}: {error}") from None
    except (OSError, ValueError, TypeError, KeyError):
        raise Problem(no_model) from None
    if source is None:
        # So small a model gains nothing from threads, and on a busy machine they wait for each
        # other far longer than they compute.
        torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return LoadedModel(model.eval().to(device), processor, name)
