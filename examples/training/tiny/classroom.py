"""Later lessons: the decoder learns the skills, reading images through the finished tower.

The tower no longer changes, so that each image goes through it once and its features are kept.
Each step takes a few small batches of one skill each, so that short prompts are not padded to the
length of long ones. A row holds several examples about one image, which comes first and once; no
example sees another. Only answers count in the loss.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    LlavaForConditionalGeneration,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from .drawing import random_scene
from .encoder import IGNORED, Batch, Encoder
from .examples_of_world import Example, Skill
from .image_pool import ImagePool, to_pixel_values
from .schedule import set_learning_rate
from .tower import patch_features


SKILLS_PER_STEP = 3
EXAMPLES_PER_IMAGE = 4
REPORT_EVERY_S = 60


@dataclass
class Features:
    """What the tower sees in each image of a pool.

    Args:
        values: ``(images, patches, width)``, half precision.
        pool: The images.
    """

    values: torch.Tensor
    pool: ImagePool


def _attention_in_float32(module, query, key, value, *args, **kwargs):
    """Attend in float32 even where autocast would not: bfloat16 is slow at it on a CPU."""
    with torch.autocast(query.device.type, enabled=False):
        return sdpa_attention_forward(
            module, query.float(), key.float(), value.float(), *args, **kwargs
        )


_FLOAT32_ATTENTION = "sdpa_in_float32"
AttentionInterface.register(_FLOAT32_ATTENTION, _attention_in_float32)
AttentionMaskInterface.register(_FLOAT32_ATTENTION, sdpa_mask)


@torch.no_grad()
def look_at(model: LlavaForConditionalGeneration, pool: ImagePool) -> Features:
    """Run every image through the tower once."""
    tower = model.model.vision_tower.eval()
    chunks = [
        patch_features(tower, to_pixel_values(pixels.to(model.device))).half()
        for pixels in pool.pixels.split(256)
    ]
    return Features(torch.cat(chunks), pool)


def answer_logits(
    model: LlavaForConditionalGeneration, batch: Batch, seen: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and targets of all answer tokens of a batch.

    Args:
        model: The tiny model.
        batch: Rows of examples.
        seen: What the tower sees in the image of each row, ``(rows, patches, width)``; None for
            rows without an image.

    Returns:
        Float, ``(answer tokens, vocabulary)``, and long, ``(answer tokens,)``.
    """
    embeddings = model.get_input_embeddings()(batch.ids)
    if seen is not None:
        projected = model.model.multi_modal_projector(seen.to(embeddings.dtype))
        places = (batch.ids == model.config.image_token_id).unsqueeze(-1)
        embeddings = embeddings.masked_scatter(places, projected.to(embeddings.dtype))
    hidden = model.model.language_model(
        inputs_embeds=embeddings,
        attention_mask=batch.mask(),
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    answers = batch.labels[:, 1:] != IGNORED
    return model.lm_head(hidden[:, :-1][answers]).float(), batch.labels[:, 1:][answers]


class Classroom:
    """Teaches skills to the decoder.

    Args:
        model: The tiny model, changed in place.
        encoder: Encodes the examples.
        features: Images to talk about; None if no skill shows any.
        report: Gets a line of progress now and then.
        in_bfloat16: Whether to multiply matrices in bfloat16, several times as fast on processors
            that have instructions for it and slower on others.
    """

    def __init__(
        self,
        model: LlavaForConditionalGeneration,
        encoder: Encoder,
        features: Features | None,
        report: Callable[[str], None],
        in_bfloat16: bool = False,
    ):
        """Keep what all lessons share."""
        self._in_bfloat16 = in_bfloat16
        if in_bfloat16:
            model.set_attn_implementation(_FLOAT32_ATTENTION)
        self._model = model
        self._encoder = encoder
        self._features = features
        self._report = report
        self._generator = random.Random(3)

    def teach(
        self,
        skills: dict[Skill, int],
        minutes: float,
        batch_size: int,
        peak_learning_rate: float,
        keep: Callable[[], None] | None = None,
    ) -> None:
        """Give one lesson.

        Args:
            skills: Skills and how often each is practised, relative to the others.
            minutes: How long.
            batch_size: Examples of one skill in a step; a step takes several skills.
            peak_learning_rate: Highest learning rate of the schedule.
            keep: Called now and then to save what has been learned so far.
        """
        learned = [
            *self._model.model.multi_modal_projector.parameters(),
            *self._model.model.language_model.parameters(),
            *self._model.lm_head.parameters(),
        ]
        optimizer = torch.optim.AdamW(
            learned, lr=peak_learning_rate, betas=(0.9, 0.98), weight_decay=0.02
        )
        self._model.train()
        started, reported, step = time.monotonic(), 0.0, 0
        while (elapsed := time.monotonic() - started) < minutes * 60:
            set_learning_rate(optimizer, peak_learning_rate, elapsed / (minutes * 60))
            optimizer.zero_grad(set_to_none=True)
            for skill in self._generator.choices(
                list(skills), list(skills.values()), k=SKILLS_PER_STEP
            ):
                (self._loss(skill, batch_size) / SKILLS_PER_STEP).backward()
            clip_grad_norm_(learned, 1.0)
            optimizer.step()
            step += 1
            if elapsed - reported > REPORT_EVERY_S:
                reported = elapsed
                self._report(f"step {step}: {self._scores(skills)}")
                if keep:
                    keep()
        self._report(f"lesson done after {step} steps: {self._scores(skills)}")

    def _answer_logits(self, skill: Skill, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits and targets of all answer tokens of a fresh batch."""
        rows, images = self._fresh_rows(skill, count)
        batch = self._encoder.batch(rows).to(self._model.device)
        seen = self._features.values[images] if images else None
        with torch.autocast(batch.ids.device.type, torch.bfloat16, enabled=self._in_bfloat16):
            return answer_logits(self._model, batch, seen)

    def _loss(self, skill: Skill, count: int) -> torch.Tensor:
        return cross_entropy(*self._answer_logits(skill, count))

    def _fresh_rows(self, skill: Skill, count: int) -> tuple[list[list[Example]], list[int]]:
        """Return new examples and the image of each row, none if the skill shows none."""
        if self._features is None:
            return [
                [skill(random_scene(self._generator), self._generator)] for _ in range(count)
            ], []
        rows, images = [], []
        while sum(map(len, rows)) < count:
            image = self._generator.randrange(len(self._features.pool))
            scene = self._features.pool.scene(image)
            rows.append([skill(scene, self._generator)])
            if rows[-1][0].shows_image:
                images.append(image)
                rows[-1] += [skill(scene, self._generator) for _ in range(EXAMPLES_PER_IMAGE - 1)]
        return rows, images

    @torch.no_grad()
    def _scores(self, skills: dict[Skill, int], count: int = 64) -> str:
        """Return the share of answer tokens that are right, by skill, on examples just made up."""
        parts = []
        for skill in skills:
            logits, targets = self._answer_logits(skill, count)
            right = (logits.argmax(-1) == targets).float().mean().item()
            parts.append(f"{skill.__name__} {right:.1%}")
        return ", ".join(parts)
