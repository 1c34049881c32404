"""What protects any model: an ECSO class and a stock one are driven by the same few lines.

`ECSOGenerationMixin` makes a `Protection` of itself, the ``custom_generate`` repository makes one
of the stock model it is handed.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from .batch_ecso import BatchRunner
from .conversation_ecso import ConversationReader
from .errors_ecso import ECSOInputError
from .processor_ecso import find_processor
from .request_ecso import read_request
from .run_ecso import ProtectedRun
from .settings_ecso import ECSOConfig
from .steps_ecso import StepRunner


# The models that are writing right now, a step or a plain answer. When one of them is called again
# from inside (an assistant that is itself protected, a custom decoding loop), the plain generate()
# is meant. Any other model stays protected.
_writing: ContextVar[tuple[Any, ...]] = ContextVar("ecso_writing", default=())

# The reader of each model's latest processor: probing a chat template is not for every call.
_kept_readers: WeakKeyDictionary[Any, ConversationReader] = WeakKeyDictionary()


@dataclass(frozen=True)
class Protection:
    """One model and what the protocol needs to know of it.

    Args:
        model: The model, for its configuration and generation settings.
        generate: Its unprotected `generate()`.
        settings: The settings that apply where a call brings none.
        processor_class: Class to load the processor with where none is at hand.
        image_token_counts: Function of (image tokens in each row, image inputs) to the number of
            tokens of each image, by row.
        processor: A processor attached to the model.
        hub_arguments: Revision, token, cache folder and offline flag the model was loaded with.
        trusts_repository: Whether the user has trusted code from the model's own repository.
    """

    model: Any
    generate: Callable[..., Any]
    settings: ECSOConfig
    processor_class: type
    image_token_counts: Callable[..., list[list[int]]]
    processor: Any
    hub_arguments: dict[str, Any]
    trusts_repository: bool

    def is_off(self, ecso: Any) -> bool:
        """Return whether a call is for the plain `generate()`.

        Args:
            ecso: The argument of that name; see `ECSOGenerationMixin.generate`.
        """
        is_writing = any(self.model is model for model in _writing.get())
        return is_writing or not self._settings(ecso).enabled

    def run(self, ecso: Any, processor: Any, arguments: dict[str, Any]) -> ProtectedRun:
        """Return a run of the protocol, which protects whether or not it is switched off.

        Args:
            ecso: The argument of that name of `generate()`.
            processor: The argument of that name.
            arguments: All others, by name.

        Raises:
            ECSOInputError: An argument cannot be used with the protocol.
            ECSOProcessorError: There is no processor to read the prompt with.
        """
        settings = self._settings(ecso)
        reader = self._reader(processor, arguments.get("tokenizer"))
        request = read_request(self.model, self.image_token_counts, arguments)
        batches = BatchRunner(self.generate_plainly, self.model, reader, request, settings)
        runner = StepRunner(batches, self.model, reader, request, settings)
        return ProtectedRun(runner, request, settings)

    def _settings(self, override: Any) -> ECSOConfig:
        if override is None:
            return self.settings
        if isinstance(override, bool):
            return self.settings.updated({"enabled": override})
        if isinstance(override, dict):
            return self.settings.updated(override)
        if hasattr(override, "to_dict"):
            return ECSOConfig.from_dict(override.to_dict())
        raise ECSOInputError(
            f"ecso= is a {type(override).__name__}; pass True, False, a dict or an ECSOConfig"
        )

    def generate_plainly(self, **kwargs: Any) -> Any:
        """Return what the unprotected `generate()` returns, its assistant unprotected as well."""
        before = _writing.set((*_writing.get(), self.model, kwargs.get("assistant_model")))
        try:
            return self.generate(**kwargs)
        finally:
            _writing.reset(before)

    def _reader(self, passed: Any, tokenizer: Any) -> ConversationReader:
        """Return the reader for this call's processor; the model's last one is kept."""
        kept = _kept_readers.get(self.model)
        config = self.model.config
        found = find_processor(
            passed,
            tokenizer,
            self.processor or (kept and kept.processor),
            self.processor_class,
            config.name_or_path,
            self.hub_arguments,
            self.trusts_repository,
        )
        if kept is None or kept.processor is not found:
            kept = ConversationReader(found, config.image_token_id)
            _kept_readers[self.model] = kept
        return kept


def even_image_token_counts(image_tokens: list[int], pixel_values: Any) -> list[list[int]]:
    """Return, for each row, the number of tokens of each of its images, the same for all.

    Args:
        image_tokens: Number of image tokens in each row.
        pixel_values: Float, (images in the batch, channels, height, width).

    Raises:
        ECSOInputError: The image tokens cannot be shared out evenly over the images.
    """
    images = len(pixel_values)
    each, rest = divmod(sum(image_tokens), images) if images else (0, 1)
    if rest or not each or any(count % each for count in image_tokens):
        raise ECSOInputError(
            f"{sum(image_tokens)} image tokens do not fit {images} images; "
            "let the processor make input_ids and pixel_values together"
        )
    return [[each] * (count // each) for count in image_tokens]
