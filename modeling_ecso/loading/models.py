"""Loads the model that a user names: the embedded one, a folder or a Hub id."""

from pathlib import Path
from typing import Any, NamedTuple

from ..errors_ecso import ECSOError, ECSOInputError
from ..events_ecso import Trace
from ..settings_ecso import ECSOConfig


TINY_FOLDER = Path(__file__).parent.parent / "tiny"


class ModelAnswer(NamedTuple):
    """The answer to one conversation. Its trace may hold a draft that was asked for.

    Args:
        text: What was answered.
        trace: What the protocol did; None for an answer without it.
        prompt_tokens: Tokens of the prompt, those of the images among them.
        tokens: Tokens of the answer.
    """

    text: str
    trace: Trace | None
    prompt_tokens: int
    tokens: int


class LoadedModel(NamedTuple):
    """A protected model, its processor, and the name to show."""

    model: Any
    processor: Any
    name: str

    def inputs_for(self, query: str, images: list[Any]) -> Any:
        """Return the model's inputs for one user turn.

        Args:
            query: What is asked.
            images: RGB images, perhaps none.

        Raises:
            ECSOInputError: The query spells out the model's image token.
        """
        content = [{"type": "image"}] * len(images) + [{"type": "text", "text": query}]
        prompt = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        try:
            inputs = self.processor(text=prompt, images=images or None, return_tensors="pt")
        except (ValueError, IndexError, StopIteration):
            raise ECSOInputError(
                "the query spells out the model's image token without an image for it; leave it out"
            ) from None
        return inputs.to(self.model.device, dtype=self.model.dtype)

    def answers(
        self,
        conversations: list[list[dict[str, Any]]],
        images: list[Any],
        ecso: ECSOConfig | dict[str, Any] | bool,
        **generation: Any,
    ) -> list[ModelAnswer]:
        """Answer conversations together.

        Args:
            conversations: Each a list of turns, as a chat template takes them.
            images: RGB images of all conversations, in their order.
            ecso: As for `generate()`.
            **generation: Further arguments of `generate()`.

        Raises:
            ECSOError: As from `generate()`.
            ValueError: The turns want another number of images.
        """
        import torch

        texts = [
            self.processor.apply_chat_template(turns, add_generation_prompt=True)
            for turns in conversations
        ]
        inputs = self.processor(
            text=texts,
            images=images or None,
            padding=True,
            padding_side="left",  # some checkpoints store "right", which only training wants
            return_tensors="pt",
        ).to(self.model.device, dtype=self.model.dtype)
        with torch.inference_mode():
            output = self.model.generate(
                **inputs,
                **generation,
                ecso=ecso,
                processor=self.processor,
                return_dict_in_generate=True,
            )
        new_ids = output.sequences[:, inputs["input_ids"].shape[1] :]
        tokenizer = self.processor.tokenizer
        return [
            ModelAnswer(text.strip(), trace, prompt_tokens, tokens)
            for text, trace, prompt_tokens, tokens in zip(
                tokenizer.batch_decode(new_ids, skip_special_tokens=True),
                getattr(output, "ecso_traces", None) or [None] * len(texts),
                inputs["attention_mask"].sum(dim=1).tolist(),
                (new_ids != tokenizer.pad_token_id).sum(dim=1).tolist(),
                strict=True,
            )
        ]

    def text_of(self, ids: Any) -> str:
        """Return the text of generated ids."""
        return self.processor.decode(ids, skip_special_tokens=True).strip()


def load_model(source: str | None) -> LoadedModel:
    """Return a model ready to answer, on the GPU if there is one.

    Args:
        source: Folder or Hub id, of an ECSO model or a stock LLaVA; None: the embedded tiny one.

    Raises:
        ECSOInputError: It is no model, not a LLaVA, or its settings are broken.
    """
    import torch
    from transformers import LlavaProcessor
    from transformers.utils import logging

    from .. import ECSOLlavaConfig, ECSOLlavaForConditionalGeneration

    logging.disable_progress_bar()
    name = source or "tiny"
    location = source or str(TINY_FOLDER)
    no_model = (
        "no model could be loaded from there; give the folder or Hub id of a LLaVA model with its "
        "processor"
    )
    try:
        stored, _ = ECSOLlavaConfig.get_config_dict(location)
        kind = stored.get("model_type")
        if kind is None:
            raise ECSOInputError(no_model)
        if kind != ECSOLlavaConfig.model_type:
            raise ECSOInputError(f"a model of type {kind!r}; give a llava or an ecso_llava model")
        model = ECSOLlavaForConditionalGeneration.from_pretrained(location, dtype="auto")
        processor = LlavaProcessor.from_pretrained(location, trust_remote_code=False)
    except ECSOError as error:
        error.args = (f"{name}: {error}",)  # several models may be loaded
        raise
    except (OSError, ValueError, TypeError, KeyError):
        raise ECSOInputError(f"{name}: {no_model}") from None
    if source is None:
        # So small a model gains nothing from threads, and on a busy machine they wait for each
        # other far longer than they compute.
        torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return LoadedModel(model.eval().to(device), processor, name)
