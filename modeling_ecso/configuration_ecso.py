"""`ECSOLlavaConfig`: LLaVA's configuration plus the ECSO settings, under ``ecso``.

Its ``model_type`` is ``ecso_llava``, never ``llava``: with ``llava``, the Auto classes would load
the stock class without a word when remote code is not trusted, and the protection with it.
"""

from typing import Any

from .requirements_ecso import check_requirements  # first: says what is missing


# isort: split
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
)
from transformers.models.llava.configuration_llava import LlavaConfig

from .errors_ecso import ECSOConfigError
from .settings_ecso import ECSOConfig
from .sources_ecso import checked_source


_CLASS_NAMES = (MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES, MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES)


class ECSOLlavaConfig(LlavaConfig):
    """Configuration of `ECSOLlavaForConditionalGeneration`.

    Takes what `LlavaConfig` takes, and ``ecso``: an `ECSOConfig`, or a complete dictionary of its
    settings; without it, the ``paper`` preset. Assigning a dictionary to ``config.ecso`` later
    changes only the settings it holds. ``weights_from`` names the repository that a thin one takes
    its weights from; see `sources_ecso.py`.

    Raises:
        ECSOConfigError: A setting under ``ecso`` is missing, unknown or not allowed, or
            ``weights_from`` is malformed.
    """

    model_type = "ecso_llava"

    ecso: Any = None  # an ECSOConfig from the first assignment on
    weights_from: dict | None = None

    def __setattr__(self, key: str, value: Any) -> None:
        """Set an attribute; whatever is put under ``ecso`` becomes a validated `ECSOConfig`."""
        if key == "ecso":
            value = self._as_ecso_config(value)
        elif key == "weights_from":
            value = checked_source(value)
        super().__setattr__(key, value)

    def _as_ecso_config(self, value: Any) -> ECSOConfig:
        current = self.__dict__.get("ecso")
        if value is None:
            return current or ECSOConfig.from_preset("paper")
        if isinstance(value, dict):
            return current.updated(value) if current else ECSOConfig.from_dict(value)
        if type(value).__name__ == "ECSOConfig":
            # By name, since code loaded from the Hub has an ECSOConfig of its own.
            return ECSOConfig.from_dict(value.to_dict())
        raise ECSOConfigError(f"ecso must be an ECSOConfig or a dict, not {type(value).__name__}")

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: Any, **kwargs: Any
    ) -> tuple[dict, dict]:
        """Read ``config.json``; a stock LLaVA's is adopted, with the ``paper`` preset."""
        stored, kwargs = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        if stored.get("model_type") == LlavaConfig.model_type:
            stored["model_type"] = cls.model_type
            stored["ecso"] = ECSOConfig.from_preset("paper").to_dict()
        return stored, kwargs

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Return the configuration that ``config.json`` holds; the Auto classes come here too.

        Raises:
            ECSOConfigError: It is that of an ECSO model and holds no settings.
        """
        if config_dict.get("model_type") == cls.model_type and not config_dict.get("ecso"):
            raise ECSOConfigError(
                "ecso is missing from config.json; save the model again with its settings"
            )
        return super().from_dict(config_dict, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain values, ready for JSON."""
        plain = super().to_dict()
        plain["ecso"] = self.ecso.to_dict()
        if self.weights_from is None:
            plain.pop("weights_from", None)
        return plain


def list_for_serving(class_name: str | None) -> None:
    """Put a class on the lists of vision models that `transformers serve` goes by; None: take off.

    Args:
        class_name: Name of the class that stands for this ``model_type``.
    """
    for names in _CLASS_NAMES:
        if class_name:
            names[ECSOLlavaConfig.model_type] = class_name
        else:
            names.pop(ECSOLlavaConfig.model_type, None)


# Before it loads a model, `transformers serve` looks these lists up, and has loaded this file by
# then. The installed package is found through the Auto classes instead: once they know its type,
# they take every listed class for one of transformers' own.
if __name__.startswith("transformers_modules."):
    list_for_serving("ECSOLlavaForConditionalGeneration")
