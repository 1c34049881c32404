"""`protect()`: any transformers vision-language model, protected in one line.

    model = protect(AutoModelForImageTextToText.from_pretrained(...), processor)

The object is given a class of its own, made from the one it has: same weights, same `forward`,
another `generate()`. So whoever calls it from then on, a pipeline or a server, is answered by the
protocol; there is no second object that could be called by mistake.

Covered: every model whose prompts can be read and written as its processor writes them, which is
tried here, on prompts with no, one and two images; quantized or spread over devices alike. Others
are refused here, before any draft: a wrong prompt would be judged.
Not covered: saving. A folder that this object wrote would load unprotected, so it writes none.
"""

from functools import cache
from typing import Any

from transformers import AutoProcessor, PreTrainedModel
from transformers.generation.utils import GenerationMixin

from .errors_ecso import ECSOInputError
from .generation_ecso import ECSOGenerationMixin
from .settings_ecso import ECSOConfig


class ProtectedModel(ECSOGenerationMixin):
    """Mixin: a model object that `protect()` has been given.

    Attributes:
        ecso_config: The settings that apply where a call brings none; change them at will.
        processor: The processor that its prompts are read with.
    """

    processor_class = AutoProcessor
    # Until `protect()` has set them on the object; nothing is answered without.
    ecso_config: Any = None
    _hub_arguments = {}

    def extra_repr(self) -> str:
        """Say that it is protected, since the name of the class does not."""
        return "protected by ECSO"

    def push_to_hub(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse, as `save_pretrained` does."""
        return self.save_pretrained()

    def save_pretrained(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: the folder would load as the stock model, unprotected.

        Raises:
            ECSOInputError: Always.
        """
        stock = type(self).__name__
        raise ECSOInputError(
            "a model protected by protect() is not saved, since the folder would load unprotected; "
            "make a folder that loads protected with `ecso-hub build`, or save it unprotected with "
            f"{stock}.save_pretrained(model, folder)"
        )


def protect(model: Any, processor: Any = None, ecso: Any = None) -> Any:
    """Return the same model object, whose `generate()` protects from now on.

    Args:
        model: A transformers model that answers prompts of text and images.
        processor: Its processor. Without it: the attribute ``processor``, else loaded from where
            the model came from.
        ecso: Settings: the name of a preset, a dictionary of what differs from the ``paper``
            preset, or an `ECSOConfig`. None: the ``paper`` preset. Of a model that is protected
            already, what changes; None: nothing.

    Raises:
        ECSOInputError: It is no such model, or one that generates in a way of its own.
        ECSOProcessorError: There is no processor, or none whose prompts can be read and written.
        ECSOConfigError: The settings are not allowed; the message names the key.
    """
    if isinstance(model, ECSOGenerationMixin):
        if ecso is not None:
            model.ecso_config = model.ecso_config.overridden(ecso)
        if processor is not None:
            model.processor = model._protection().reader(processor).processor
        return model
    check_can_be_protected(model)
    for name in ("generate", "init_continuous_batching"):
        if name in vars(model):
            raise ECSOInputError(
                f"the model has a {name} of its own, set on the object, which would be called in "
                f"place of the protected one; delete it first: del model.{name}"
            )
    settings = ECSOConfig.from_preset("paper").overridden(ecso)
    stock_class: Any = type(model)
    own = dict(vars(model))
    model.__class__ = _protected_class(stock_class)
    commit = getattr(model.config, "_commit_hash", None)
    try:
        model.ecso_config = settings
        model._hub_arguments = {"revision": commit} if commit else {}
        # Says now, and not with a draft already written, that prompts cannot be read.
        model.processor = model._protection().reader(processor).processor
    except BaseException:
        model.__class__ = stock_class
        vars(model).clear()
        vars(model).update(own)
        raise
    return model


def check_can_be_protected(model: Any) -> None:
    """Let a model pass whose `generate()` the protocol can stand in for.

    Raises:
        ECSOInputError: It is none, is protected already, or generates in a way of its own.
    """
    if not isinstance(model, PreTrainedModel) or not model.can_generate():
        raise ECSOInputError(
            f"ECSO protects a transformers model that generates, not a {type(model).__name__}; "
            "of a pipeline or an adapter, pass the model inside"
        )
    if hasattr(model, "protected_run"):
        raise ECSOInputError(
            f"{type(model).__name__} is protected already, by other code; use it as it is"
        )
    check_stock_class(type(model), model.config.is_encoder_decoder)


def check_stock_class(stock_class: Any, is_encoder_decoder: bool = False) -> None:
    """Let a class pass if transformers' own `generate()` runs it.

    Args:
        stock_class: The model's.
        is_encoder_decoder: What the model's configuration says of it.

    Raises:
        ECSOInputError: It generates in a way of its own.
    """
    if stock_class.generate is not GenerationMixin.generate or is_encoder_decoder:
        raise ECSOInputError(
            f"{stock_class.__name__} generates in a way of its own, which the protocol does not "
            "know; ECSO protects models that use transformers' generate() and no encoder-decoder"
        )


@cache
def _protected_class(stock_class: Any) -> type:
    """Return the class with a protected `generate()`.

    It keeps the name, by which pipelines, servers and transformers' own code know what a model is.
    """
    return type(
        stock_class.__name__,
        (ProtectedModel, stock_class),
        {
            "__doc__": stock_class.__doc__,
            "__module__": stock_class.__module__,
            "__qualname__": f"Protected{stock_class.__name__}",  # cannot be unpickled as the stock
        },
    )
