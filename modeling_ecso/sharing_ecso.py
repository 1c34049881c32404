"""Whether a model gives the same answer when it goes on from a prefix: tried once, on its logits.

Not every model may: where text changes how an image before it is seen, as in a prefix language
model, what was computed for one prompt is wrong for another. Equal words prove nothing, since many
logits lead to one word. So the first prompt of a step that could go on from a prefix is run both
ways, and the model never shares if the logits differ by more than rounding.
"""

from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers.utils import logging


logger = logging.get_logger(__name__)

# For each model whether it goes on from prefixes as if there were none; absent until tried.
MAY_SHARE: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()

# How far logits may be apart, as a share of how far they spread. In single precision orders of
# magnitude above what is seen; in half precision a few times its own grain.
LEAST_DIFFERENCE, GRAINS = 1e-3, 8


def note_logits(model: Any, shared: torch.Tensor, whole: torch.Tensor) -> bool:
    """Take note of the logits that a model gives either way, and return whether it may share.

    Args:
        model: The model.
        shared: Logits of one prompt that went on from a prefix, (vocabulary,).
        whole: Those of the same prompt, run from its beginning.
    """
    shared, whole = shared.float(), whole.float()
    finite = whole.isfinite() & shared.isfinite()  # some models mask tokens they never say
    spread = (whole - whole[finite].mean())[finite].norm()
    difference = float((shared - whole)[finite].norm() / spread.clamp(min=1e-12))
    limit = max(LEAST_DIFFERENCE, GRAINS * torch.finfo(model.dtype).eps)
    is_same = bool(torch.equal(whole.isfinite(), shared.isfinite())) and difference <= limit
    if not is_same:
        logger.warning(
            "ECSO: this model does not go on from an image prefix as it reads a whole prompt "
            f"(its logits differ by {difference:.2g} of their spread), so no prefix is shared; "
            "same answers, slower"
        )
    MAY_SHARE[model] = is_same
    return is_same
