"""First lesson: the vision tower learns to tell things, colours and letters apart.

The heads read exactly the patch features that the projector will get later. Each patch is also
asked on its own for the thing and the letter it shows: far more to learn from than one label per
image, which matters for rendered words most of all. The heads are thrown away afterwards.
"""

import time
from collections.abc import Callable
from string import ascii_lowercase

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from .drawing import KINDS
from .image_pool import COLOUR_NAMES, THING_NAMES, ImagePool, to_pixel_values
from .schedule import set_learning_rate


PEAK_LEARNING_RATE = 1.2e-3


class Classifier(nn.Module):
    """The tower with heads for whole images and for patches.

    Args:
        vision_tower: A CLIP vision model.
    """

    def __init__(self, vision_tower: nn.Module):
        """Add the heads."""
        super().__init__()
        self.vision_tower = vision_tower
        width = vision_tower.config.hidden_size
        self.norm = nn.LayerNorm(width)
        self.image_heads = nn.ModuleList(
            nn.Linear(width, len(names)) for names in (THING_NAMES, COLOUR_NAMES, KINDS)
        )
        self.patch_heads = nn.ModuleList(
            nn.Linear(width, len(names) + 1) for names in (THING_NAMES, ascii_lowercase)
        )

    def forward(self, pixel_values: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return logits of the image heads and of the patch heads."""
        features = self.norm(patch_features(self.vision_tower, pixel_values))
        pooled = features.mean(dim=1)
        return (
            [head(pooled) for head in self.image_heads],
            [head(features) for head in self.patch_heads],
        )


def patch_features(vision_tower: nn.Module, pixel_values: torch.Tensor) -> torch.Tensor:
    """Return what the projector sees: the last layer without the class token."""
    output = vision_tower(pixel_values, output_hidden_states=True)
    return output.hidden_states[-1][:, 1:]  # (batch, patches, width)


def train_tower(
    vision_tower: nn.Module,
    pool: ImagePool,
    held_out: ImagePool,
    minutes: float,
    batch_size: int,
    report: Callable[[str], None],
) -> None:
    """Train the tower in place.

    Args:
        vision_tower: A CLIP vision model.
        pool: Images to learn from.
        held_out: Images to measure on.
        minutes: How long.
        batch_size: Images per step.
        report: Gets a line of progress now and then.
    """
    device = next(vision_tower.parameters()).device
    classifier = Classifier(vision_tower).to(device).train()
    optimizer = torch.optim.AdamW(
        classifier.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.05
    )
    shuffle = torch.Generator().manual_seed(1)
    started, reported, step = time.monotonic(), 0.0, 0
    while (elapsed := time.monotonic() - started) < minutes * 60:
        set_learning_rate(optimizer, PEAK_LEARNING_RATE, elapsed / (minutes * 60))
        chosen = torch.randint(len(pool), (batch_size,), generator=shuffle)
        loss = _loss(classifier, pool, chosen, device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
        optimizer.step()
        step += 1
        if elapsed - reported > 45:
            reported = elapsed
            report(f"tower step {step} loss {loss.item():.3f}; {_scores(classifier, held_out)}")
    report(f"tower done after {step} steps; {_scores(classifier, held_out)}")


def _loss(
    classifier: Classifier, pool: ImagePool, chosen: torch.Tensor, device: torch.device
) -> torch.Tensor:
    pixel_values = to_pixel_values(pool.pixels[chosen].to(device))
    with torch.autocast(device.type, dtype=torch.bfloat16):
        of_image, of_patches = classifier(pixel_values)
    labels = pool.labels[chosen].to(device)
    loss = sum(cross_entropy(logits.float(), labels[:, i]) for i, logits in enumerate(of_image))
    for logits, targets in zip(of_patches, (pool.patch_things, pool.patch_letters), strict=True):
        loss = loss + cross_entropy(
            logits.float().flatten(0, 1), targets[chosen].to(device).flatten()
        )
    return loss


@torch.no_grad()
def _scores(classifier: Classifier, pool: ImagePool) -> str:
    """Return the shares of things and colours that are recognised, by kind of image."""
    device = next(classifier.parameters()).device
    right = []
    for start in range(0, len(pool), 256):
        batch = to_pixel_values(pool.pixels[start : start + 256].to(device))
        with torch.autocast(device.type, dtype=torch.bfloat16):
            of_image, _ = classifier(batch)
        guesses = torch.stack([logits.argmax(-1) for logits in of_image[:2]], dim=1).cpu()
        right.append(guesses == pool.labels[start : start + 256, :2])
    right = torch.cat(right).float()
    parts = []
    for number, kind in enumerate(KINDS):
        thing, colour = right[pool.labels[:, 2] == number].mean(dim=0).tolist()
        parts.append(f"{kind} {thing:.1%} colour {colour:.1%}")
    return ", ".join(parts)
