"""`FamilyModel`: what the protected class of any family has beside the stock one.

`ECSOLlavaForConditionalGeneration` is made of it, and so are the classes that `ecso-hub` writes for
the repositories of other families.
"""

from typing import Any

from transformers.conversion_mapping import (
    get_checkpoint_conversion_mapping,
    register_checkpoint_conversion_mapping,
)
from transformers.utils import logging

from .errors_ecso import ECSOConfigError, ECSOInputError, ECSOWeightsError
from .family_config_ecso import PREFIX, auto_map_of
from .generation_ecso import ECSOGenerationMixin
from .sources_ecso import BorrowedWeights, RememberSource


logger = logging.get_logger(__name__)


class FamilyModel(ECSOGenerationMixin, RememberSource, BorrowedWeights):
    """Mixin: a protected model, before the stock class of its family.

    Same weights, same `forward`, another `generate()`. The class it is mixed into sets
    `config_class`, made of `FamilyConfig`, and `processor_class`.

    Raises:
        ECSOConfigError: The configuration holds no ECSO settings.
    """

    config_class: Any

    def __init__(self, config: Any, *args: Any, **kwargs: Any):
        """Build the model; warn where its stored settings leave it unprotected."""
        if getattr(config, "ecso", None) is None:
            own = self.config_class.__name__
            raise ECSOConfigError(
                f"the model needs an {own}, not a {type(config).__name__}; load it with "
                f"{own}.from_pretrained(), which takes stock configurations too"
            )
        parent: Any = super()
        parent.__init__(config, *args, **kwargs)
        if not config.ecso.enabled:
            logger.warning(
                "ECSO is switched off in this model's configuration (ecso.enabled is false): its "
                "answers are NOT protected. Set config.ecso.enabled = True, or call "
                "generate(ecso=True)."
            )

    @classmethod
    def from_pretrained(cls, *args: Any, output_loading_info: bool = False, **kwargs: Any) -> Any:
        """Load as the parent class does, and completely: with random weights it would judge badly.

        Args:
            *args: As in the parent class.
            output_loading_info: Return the model with the report of its keys, and raise no error
                over them.
            **kwargs: As in the parent class.

        Raises:
            ECSOWeightsError: Weights are missing, left over or of another size, or the base's
                cannot be had.
            Whatever the parent class raises.
        """
        parent: Any = super()
        model, report = parent.from_pretrained(*args, output_loading_info=True, **kwargs)
        if output_loading_info:
            return model, report
        for fault in ("missing", "unexpected", "mismatched"):
            keys = sorted(map(str, report.get(f"{fault}_keys") or ()))
            if keys:
                raise ECSOWeightsError(
                    f"the weights do not fit config.json: {len(keys)} {fault}, such as {keys[0]}; "
                    "get both again from one place"
                )
        return model

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        """Save as any transformers model, with the code that every Auto class loads it by.

        Raises:
            ECSOInputError: The class has no file to be saved.
        """
        if getattr(self, "_auto_class", None) is None:  # see `make_known`
            raise ECSOInputError(
                f"{type(self).__name__} was made in memory, and a folder without its code would "
                "not load; make one with `ecso-hub build`"
            )
        # And nothing that a base named.
        self.config.auto_map = auto_map_of(type(self.config).__name__, type(self).__name__)
        parent: Any = super()
        return parent.save_pretrained(save_directory, *args, **kwargs)


def convert_as_stock(config_class: Any, model_class: Any, stock_class: Any) -> None:
    """Let the keys of stock checkpoints be converted for a class as for the stock one.

    transformers knows by the stock names what to convert. Without this, weights of the loaded model
    would be random, with a mere warning.

    Args:
        config_class: The configuration, made of `FamilyConfig`.
        model_class: The model, made of `FamilyModel`.
        stock_class: The stock class that it extends.
    """
    model_type = config_class.model_type
    names = (
        (stock_class.__name__, model_class.__name__),
        (model_type.removeprefix(PREFIX), model_type),
    )
    for stock, own in names:
        mapping = get_checkpoint_conversion_mapping(stock)
        if mapping is not None:
            register_checkpoint_conversion_mapping(own, mapping, overwrite=True)


def make_known(config_class: Any, model_class: Any, stock_class: Any) -> None:
    """Let a class load stock checkpoints, and be saved with its code.

    Args:
        config_class: The configuration, made of `FamilyConfig`.
        model_class: The model, made of `FamilyModel`.
        stock_class: The stock class that it extends.
    """
    convert_as_stock(config_class, model_class, stock_class)
    # Written into config.json on save, so that the Auto classes find the code beside it.
    config_class.register_for_auto_class("AutoConfig")
    model_class.register_for_auto_class("AutoModelForImageTextToText")
