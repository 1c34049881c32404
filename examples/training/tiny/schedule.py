"""The learning rate over one lesson, by time, since lessons are given minutes and not steps."""

import math

import torch


WARM_UP_SHARE = 0.04


def set_learning_rate(optimizer: torch.optim.Optimizer, peak: float, progress: float) -> None:
    """Warm up in a straight line, then fall along a cosine to a fiftieth of the peak.

    Args:
        optimizer: Gets the rate in all its groups.
        peak: The highest rate.
        progress: Share of the lesson that is over, from 0 to 1.
    """
    if progress < WARM_UP_SHARE:
        factor = 0.02 + 0.98 * progress / WARM_UP_SHARE
    else:
        fall = (progress - WARM_UP_SHARE) / (1 - WARM_UP_SHARE)
        factor = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(fall, 1.0)))
    for group in optimizer.param_groups:
        group["lr"] = peak * factor
