"""ECSO as a `custom_generate` function, for vision-language models that know nothing of it.

The same modules, the same protocol and the same promises as in the model class and as `protect()`
gives; what differs is where the settings are stored: beside this file.
"""

import functools
from typing import Any

from .requirements_ecso import check_requirements  # first: says what is missing


# isort: split
import torch
from transformers import AutoProcessor

from .ecso_config import ECSO_CONFIG
from .generation_ecso import PlainGenerate, Protection
from .protect_ecso import check_can_be_protected
from .settings_ecso import ECSOConfig


# Say where this code came from; transformers hands them on as if they were the model's.
OF_THE_REPOSITORY = ("revision", "token", "cache_dir", "local_files_only", "force_download")


@torch.no_grad()
def generate(model: Any, *, ecso: Any = None, processor: Any = None, **kwargs: Any) -> Any:
    """Return an answer that has passed the protocol.

    Args:
        model: A stock model that answers prompts of text and images.
        ecso: False: the model's plain `generate()`. True: protect, even where the stored settings
            are switched off. A dictionary or an `ECSOConfig`: settings for this call. None: those
            stored with this code.
        processor: The model's processor. Without it: ``tokenizer`` if that is a processor, else
            loaded from where the model came from.
        **kwargs: Arguments of the model's `generate()`.

    Raises:
        ECSOInputError: The model generates in a way of its own, or an argument cannot be used with
            the protocol.
        ECSOProcessorError: There is no processor, or none whose prompts can be read and written.
        ECSOStepError: A step after the draft failed and ``on_error`` is ``raise``.
        Whatever the model's own `generate()` raises for the direct step.
    """
    check_can_be_protected(model)
    # That of the class: one of the instance may be this very function.
    plain = functools.partial(type(model).generate, model)
    protection = Protection(
        model=model,
        generate=PlainGenerate(model, plain),
        ecso_config=ECSOConfig.from_dict(ECSO_CONFIG),
        processor_class=AutoProcessor,
        processor=getattr(model, "processor", None),
        hub_arguments={},
        # Trust was given to this repository, not to the model's.
        trusts_repository=False,
    )
    arguments = {name: value for name, value in kwargs.items() if name not in OF_THE_REPOSITORY}
    if protection.is_off(ecso):
        return protection.generate(**arguments)
    return protection.run(ecso, processor, arguments).run_to_end()
