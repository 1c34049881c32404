"""The classes of a family: their names, and the classes themselves, made from the stock ones.

A folder that `ecso-hub` has built for another family than LLaVA is loaded with this package's own
code, made here in memory: what the folder holds of code is not run.
"""

from functools import cache
from typing import Any, NamedTuple

from ..errors_ecso import ECSOInputError
from ..family_config_ecso import PREFIX, FamilyConfig


class FamilyNames(NamedTuple):
    """What the classes of a family are called.

    Args:
        stock_type: ``model_type`` of the stock configuration, such as ``gemma3``.
        stock_config: Name of the stock configuration's class in transformers.
        stock_model: Name of the stock model's class there.
    """

    stock_type: str
    stock_config: str
    stock_model: str

    @property
    def model_type(self) -> str:
        """``model_type`` of the protected model's configuration."""
        return f"{PREFIX}{self.stock_type}"

    @property
    def config(self) -> str:
        """Name of the protected model's configuration."""
        return f"ECSO{self.stock_config}"

    @property
    def model(self) -> str:
        """Name of the protected model's class."""
        return f"ECSO{self.stock_model}"


class FamilyClasses(NamedTuple):
    """The classes of a family: made of `FamilyConfig` and `FamilyModel`, and the stock class."""

    config: Any
    model: Any
    stock_model: Any


def family_names(model_type: str) -> FamilyNames:
    """Return the names of a family's classes.

    Args:
        model_type: That of the stock configuration, or of the protected one.

    Raises:
        ECSOInputError: transformers has no such family that answers about images.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    stock_type = model_type.removeprefix(PREFIX)
    stock_config = CONFIG_MAPPING_NAMES.get(stock_type)
    stock_model = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.get(stock_type)
    if stock_config is None or stock_model is None:
        raise ECSOInputError(
            f"a model of type {model_type!r}, which AutoModelForImageTextToText does not know; "
            "give a vision-language model that it loads, such as a llava, qwen3_vl or gemma3"
        )
    return FamilyNames(stock_type, stock_config, stock_model)


@cache
def family_classes(model_type: str) -> FamilyClasses:
    """Return the classes of a family, as `ecso-hub` writes them for its repositories.

    Args:
        model_type: That of the stock configuration, or of the protected one.

    Raises:
        ECSOInputError: transformers has no such family that answers about images, or it generates
            in a way of its own.
    """
    import transformers

    from ..family_model_ecso import FamilyModel, convert_as_stock
    from ..protect_ecso import check_stock_class

    names = family_names(model_type)
    stock_model: Any = getattr(transformers, names.stock_model)
    check_stock_class(stock_model)
    made_here = {"__module__": __name__}
    fields = {
        "model_type": names.model_type,
        "ecso": None,
        "weights_from": None,
        "__annotations__": {"ecso": Any, "weights_from": dict | None},
    }
    stock_config: Any = getattr(transformers, names.stock_config)
    config = type(names.config, (FamilyConfig, stock_config), {**fields, **made_here})
    inside = {"config_class": config, "processor_class": transformers.AutoProcessor}
    model = type(names.model, (FamilyModel, stock_model), {**inside, **made_here})
    convert_as_stock(config, model, stock_model)
    return FamilyClasses(config, model, stock_model)
