"""Finds the processor that reads the prompt: passed, attached to the model, or loaded once."""

from typing import Any

from .errors_ecso import ECSOProcessorError


REMEDY = "pass processor=AutoProcessor.from_pretrained(...) to generate()"


def is_processor(candidate: Any) -> bool:
    """Return whether an object is a multimodal processor rather than a bare tokenizer."""
    return hasattr(candidate, "tokenizer") and hasattr(candidate, "apply_chat_template")


def find_processor(
    passed: Any,
    tokenizer: Any,
    attached: Any,
    processor_class: type,
    source: str | None,
    hub_arguments: dict[str, Any],
    trusts_source: bool,
) -> Any:
    """Return the first processor to be had, in this order.

    Args:
        passed: The argument ``processor`` of the call.
        tokenizer: Its argument ``tokenizer``, which `transformers serve` fills with the processor.
        attached: The model's attribute ``processor``.
        processor_class: Class to load with, the architecture's own.
        source: Folder or Hub id the model was loaded from.
        hub_arguments: Revision, token, cache folder and offline flag it was loaded with.
        trusts_source: Whether the user has trusted code from there.

    Raises:
        ECSOProcessorError: What was passed is no processor, or there is none to be had.
    """
    if passed is not None and not is_processor(passed):
        raise ECSOProcessorError(f"processor= is a {type(passed).__name__}, no processor; {REMEDY}")
    for candidate in (passed, tokenizer, attached):
        if is_processor(candidate):
            return candidate
    if not source:
        raise ECSOProcessorError(
            f"the protocol needs the processor and the model was not loaded from anywhere; {REMEDY}"
        )
    # Asked without a word on trust, transformers would stop and put the question to the user.
    try:
        return processor_class.from_pretrained(
            source, trust_remote_code=trusts_source, **hub_arguments
        )
    except Exception as error:
        raise ECSOProcessorError(
            f"the protocol needs the processor and none could be loaded from where the model came "
            f"from ({type(error).__name__}); {REMEDY}"
        ) from error


class RememberSource:
    """Mixin: a model that remembers with which Hub arguments it was loaded."""

    _hub_arguments: dict[str, Any] = {}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load the model as its parent class does."""
        kept = ("revision", "token", "cache_dir", "local_files_only", "subfolder")
        hub_arguments = {key: kwargs[key] for key in kept if kwargs.get(key) is not None}
        loaded = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model._hub_arguments = hub_arguments
        return loaded
