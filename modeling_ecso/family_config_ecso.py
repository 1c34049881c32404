"""`FamilyConfig`: what the ECSO configuration of any family has beside the stock one.

Its ``model_type`` is ``ecso_`` and the stock one's, never the stock one itself: with that, the Auto
classes would load the stock class without a word when remote code is not trusted, and the
protection would be lost with it.
"""

from typing import Any, ClassVar

from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
)

from .errors_ecso import ECSOConfigError
from .settings_ecso import ECSOConfig
from .sources_ecso import checked_source


PREFIX = "ecso_"

_CLASS_NAMES = (MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES, MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES)


def auto_map_of(config_name: str, model_name: str) -> dict[str, str]:
    """Return what ``config.json`` says under ``auto_map``: every Auto class, and its class here.

    Args:
        config_name: Name of the configuration's class.
        model_name: Name of the model's class.
    """
    model = f"modeling_ecso.{model_name}"
    return {
        "AutoConfig": f"configuration_ecso.{config_name}",
        "AutoModel": model,
        "AutoModelForImageTextToText": model,
        "AutoModelForMultimodalLM": model,
    }


class FamilyConfig:
    """Mixin: the configuration of a protected model, before the stock configuration of its family.

    The class it is mixed into has the fields ``ecso`` and ``weights_from``, None by default, and
    the ``model_type`` described above. ``ecso`` takes an `ECSOConfig`, or a complete dictionary of
    its settings; without it, the ``paper`` preset. Assigning a dictionary to ``config.ecso`` later
    changes only the settings it holds. ``weights_from`` names the repository that a thin one takes
    its weights from; see `sources_ecso.py`.

    Raises:
        ECSOConfigError: A setting under ``ecso`` is missing, unknown or not allowed, or
            ``weights_from`` is malformed.
    """

    model_type: ClassVar[str]

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
        """Read ``config.json``; a stock one of the family is adopted, with the ``paper`` preset."""
        parent: Any = super()
        stored, kwargs = parent.get_config_dict(pretrained_model_name_or_path, **kwargs)
        if stored.get("model_type") == cls.model_type.removeprefix(PREFIX):
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
        parent: Any = super()
        return parent.from_dict(config_dict, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain values, ready for JSON."""
        parent: Any = super()
        plain: dict[str, Any] = parent.to_dict()
        plain["ecso"] = vars(self)["ecso"].to_dict()
        if plain.get("weights_from") is None:
            plain.pop("weights_from", None)
        return plain


def list_for_serving(model_type: str, class_name: str | None) -> None:
    """Put a class on the lists of vision models that `transformers serve` goes by; None: take off.

    Args:
        model_type: Of the class's configuration.
        class_name: Name of the class that stands for it.
    """
    for names in _CLASS_NAMES:
        if class_name:
            names[model_type] = class_name
        else:
            names.pop(model_type, None)
