"""Loads the model that a user names: the embedded one, a folder or a Hub id."""

import itertools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..errors_ecso import ECSOError, ECSOInputError, describe_error
from ..events_ecso import Trace
from ..settings_ecso import ECSOConfig
from .fitting import (
    LLAVA_TYPES,
    check_answer_length,
    check_image_inputs,
    check_numbers,
    check_parts,
    check_processor,
    check_stored_numbers,
    check_weights,
    complete_processor,
)
from .model_files import fault_of_error, fault_of_folder, small_numbers


TINY_FOLDER = Path(__file__).parent.parent / "tiny"
TINY_NAME = "tiny"


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

    def inputs_for(self, query: str, images: list[Any], max_new_tokens: int | None = None) -> Any:
        """Return the model's inputs for one user turn.

        Args:
            query: What is asked.
            images: RGB images, perhaps none.
            max_new_tokens: Token limit of the answer, where it is known.

        Raises:
            ECSOInputError: The query spells out a token that stands for an image, a video or a
                sound, or is longer than the model reads; or the model's own settings want a longer
                answer than the limit.
        """
        if found := self.spelled_token(query):
            raise ECSOInputError(
                f"the query spells out {found}; leave it out, images go in front by themselves"
            )
        content = [{"type": "image"}] * len(images) + [{"type": "text", "text": query}]
        inputs = self._inputs([[{"role": "user", "content": content}]], images)
        tokens = inputs["input_ids"].shape[1]
        longest = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if longest is not None and tokens >= longest:
            raise ECSOInputError(
                f"query and images take {tokens} tokens and the model reads {longest}, the answer "
                "included; shorten the query"
            )
        check_answer_length(self.model.generation_config, tokens, max_new_tokens)
        return inputs

    def spelled_token(self, query: str) -> str | None:
        """Return which token of an image, a video or a sound a query spells out; None for none."""
        from ..generation_ecso import image_token_id_of

        processor = self.processor
        kinds = ("image", "video", "audio")
        named = [(kind, getattr(processor, f"{kind}_token", None)) for kind in kinds]
        # The processor may write the model's token in place of the one that it is asked for.
        of_model = image_token_id_of(self.model.config)
        if of_model is not None:
            named.append(("image", processor.tokenizer.convert_ids_to_tokens(of_model)))
        for kind, token in named:
            if isinstance(token, str) and token in query:
                return f"the model's {kind} token, {token}"
        return None

    def _inputs(self, conversations: list[list[dict[str, Any]]], images: list[Any]) -> Any:
        """Return the model's inputs for conversations; see `answers`.

        Raises:
            ValueError: The turns want another number of images.
        """
        left = iter(images)
        rows = [list(itertools.islice(left, _images_wanted(turns))) for turns in conversations]
        if sum(map(_images_wanted, conversations)) != len(images):
            raise ValueError("the turns want another number of images than there are")
        texts = [
            # A turn that the assistant has begun is gone on with.
            self.processor.apply_chat_template(
                turns,
                add_generation_prompt=turns[-1]["role"] != "assistant",
                continue_final_message=turns[-1]["role"] == "assistant",
            )
            for turns in conversations
        ]
        # Some templates write the token that begins a text, which the tokenizer would write again.
        begins = self.processor.tokenizer.bos_token
        inputs = self.processor(
            text=texts,
            images=rows if images else None,
            padding=True,
            padding_side="left",  # some checkpoints store "right", which only training wants
            add_special_tokens=begins is None or not texts[0].startswith(begins),
            return_tensors="pt",
        )
        return inputs.to(self.model.device, dtype=self.model.dtype)

    def answers(
        self,
        conversations: list[list[dict[str, Any]]],
        images: list[Any],
        ecso: ECSOConfig | dict[str, Any] | bool,
        drafts: Callable[[Any, Any], Any] | None = None,
        **generation: Any,
    ) -> list[ModelAnswer]:
        """Answer conversations together.

        Args:
            conversations: Each a list of turns, as a chat template takes them.
            images: RGB images of all conversations, in their order.
            ecso: As for `generate()`.
            drafts: Model and its plain `generate()` → what writes drafts, and direct answers, in
                place of that.
            **generation: Further arguments of `generate()`.

        Raises:
            ECSOError: As from `generate()`, or the model's own settings want longer answers than
                ``max_new_tokens``.
            ValueError: The turns want another number of images.
        """
        import torch

        inputs = self._inputs(conversations, images)
        check_answer_length(
            self.model.generation_config,
            inputs["input_ids"].shape[1],
            generation.get("max_new_tokens"),
        )
        protection = self.model._protection()
        if drafts is not None:
            protection = replace(protection, generate=drafts(self.model, protection.generate))
        arguments = {**inputs, **generation, "return_dict_in_generate": True}
        with torch.inference_mode():
            if protection.is_off(ecso):
                output = protection.generate(**arguments)
            else:
                output = protection.run(ecso, self.processor, arguments).run_to_end()
        new_ids = output.sequences[:, inputs["input_ids"].shape[1] :]
        tokenizer = self.processor.tokenizer
        return [
            ModelAnswer(text.strip(), trace, prompt_tokens, tokens)
            for text, trace, prompt_tokens, tokens in zip(
                tokenizer.batch_decode(new_ids, skip_special_tokens=True),
                getattr(output, "ecso_traces", None) or [None] * len(conversations),
                inputs["attention_mask"].sum(dim=1).tolist(),
                (new_ids != tokenizer.pad_token_id).sum(dim=1).tolist(),
                strict=True,
            )
        ]

    @contextmanager
    def one_line_errors(self) -> Iterator[None]:
        """Let whatever goes wrong while the model answers be one line.

        Of a library's error only its kind and place are told: its message may quote what was asked.

        Raises:
            ECSOError: In place of any other error.
        """
        try:
            with quiet_transformers():
                yield
        except ECSOError:
            raise
        except Exception as error:
            raise ECSOInputError(
                f"{self.name}: the model could not answer ({describe_error(error)}); see whether "
                "generation_config.json is right, and whether there is memory enough"
            ) from None

    def text_of(self, ids: Any) -> str:
        """Return the text of generated ids."""
        return self.processor.decode(ids, skip_special_tokens=True).strip()


def _images_wanted(turns: list[dict[str, Any]]) -> int:
    """Return the number of images in a conversation."""
    parts = [
        part for turn in turns if isinstance(turn["content"], list) for part in turn["content"]
    ]
    return sum(part["type"] == "image" for part in parts)


def load_model(source: str | None) -> LoadedModel:
    """Return a model ready to answer, on the GPU if there is one.

    Args:
        source: Folder or Hub id, of an ECSO model or any stock vision-language model; None: the
            embedded tiny one.

    Raises:
        ECSOError: It is no model, none that can be protected, its files are broken or do not
            belong together, or its settings are broken. The message begins with the model's name
            and is one line.
    """
    import torch

    name = source or TINY_NAME
    if source is None:
        # So small a model gains nothing from threads, and on a busy machine they wait for each
        # other far longer than they compute.
        torch.set_num_threads(1)
    with _explained(name, source or str(TINY_FOLDER)), quiet_transformers():
        loaded = _load(source or str(TINY_FOLDER), name)
        _try_inputs(loaded)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        if loaded.model.device.type != device:  # quantized ones are there already
            loaded.model.to(device)
        loaded.model.eval()
        check_numbers(loaded.model)
    return loaded


def _load(location: str, name: str) -> LoadedModel:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from .. import ECSOLlavaConfig, ECSOLlavaForConditionalGeneration, protect
    from .families import PREFIX, family_classes

    stored, _ = ECSOLlavaConfig.get_config_dict(location)
    if not stored:
        raise FileNotFoundError("there is no config.json")
    check_parts(stored)
    is_llava = stored["model_type"] in LLAVA_TYPES
    model_class: Any = AutoModelForImageTextToText
    if is_llava:
        model_class = ECSOLlavaForConditionalGeneration
    elif stored["model_type"].startswith(PREFIX):
        model_class = family_classes(stored["model_type"]).model
    model, loading = model_class.from_pretrained(
        location,
        dtype="auto",
        use_safetensors=True,
        ignore_mismatched_sizes=True,  # to be named below, with other weights that do not fit
        output_loading_info=True,
        trust_remote_code=False,
    )
    check_weights(loading)
    if "quantization_config" not in stored:
        check_stored_numbers(small_numbers(location))
    processor = AutoProcessor.from_pretrained(location, trust_remote_code=False)
    if is_llava:
        complete_processor(processor, model.config)
        check_processor(processor, model.config, model.get_input_embeddings().num_embeddings)
        return LoadedModel(model, processor, name)
    return LoadedModel(protect(model, processor), processor, name)


def _try_inputs(loaded: LoadedModel) -> None:
    """Prepare a run about an empty image, without running it: what cannot be read fails here."""
    from PIL import Image

    inputs = loaded.inputs_for("Is it so?", [Image.new("RGB", (32, 32))])
    check_image_inputs(inputs, loaded.model.config)
    loaded.model.protected_run(
        **inputs, ecso={"enabled": True}, processor=loaded.processor, max_new_tokens=1
    )


@contextmanager
def _explained(name: str, location: str) -> Iterator[None]:
    """Let errors say which model they are of, and libraries' errors what to do."""
    try:
        yield
    except ECSOError as error:
        error.args = (f"{name}: {error}",)
        raise
    except Exception as error:
        folder = Path(location)
        fault = fault_of_folder(folder) if folder.is_dir() else None
        raise ECSOInputError(f"{name}: {fault or fault_of_error(error)}") from None


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep back what transformers and NumPy would print, which is an error here or of no use."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
