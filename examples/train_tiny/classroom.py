"""Later lessons: the decoder learns the skills, reading pictures through the finished tower.

The tower no longer changes, so that each picture goes through it once and its features are kept.
Each step takes a few small batches of one skill each, so that short prompts are not padded to the
length of long ones. Only answers count in the loss.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from drawing import Scene, random_scene
from examples_of_world import Example, Skill
from picture_pool import PicturePool, to_pixel_values
from schedule import set_learning_rate
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from tower import patch_features
from transformers import LlavaForConditionalGeneration, LlavaProcessor


IGNORED = -100

SKILLS_PER_STEP = 3
REPORT_EVERY_S = 60

_PROMPT_MARK = "\ue100"


@dataclass
class Features:
    """What the tower sees in each picture of a pool.

    Args:
        values: ``(pictures, patches, width)``, half precision.
        pool: The pictures.
    """

    values: torch.Tensor
    pool: PicturePool


class Encoder:
    """Turns examples into token ids, framed as the processor frames them.

    Args:
        processor: The processor that the model will be used with.
        patches: Image tokens of one picture.
    """

    def __init__(self, processor: LlavaProcessor, patches: int):
        """Render the two frames once; the template is the same for every prompt."""
        self._tokenizer = processor.tokenizer
        image_tokens = processor.image_token * patches
        self._frames = {
            shows: render(processor, _PROMPT_MARK, shows).replace(
                processor.image_token, image_tokens
            )
            for shows in (False, True)
        }

    def prompt_ids(self, example: Example) -> list[int]:
        """Return the ids of the prompt, image tokens included."""
        frame = self._frames[example.shows_picture]
        return self._tokenizer(frame.replace(_PROMPT_MARK, example.prompt)).input_ids

    def answer_ids(self, example: Example) -> list[int]:
        """Return the ids that the model is to generate, end token included."""
        ids = self._tokenizer(f" {example.answer}", add_special_tokens=False).input_ids
        return [*ids, self._tokenizer.eos_token_id]

    def batch(self, examples: list[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and labels, padded on the right, which causal attention never looks at."""
        rows = []
        for example in examples:
            prompt, answer = self.prompt_ids(example), self.answer_ids(example)
            rows.append((prompt + answer, [IGNORED] * len(prompt) + answer))
        longest = max(len(ids) for ids, _ in rows)
        pad = self._tokenizer.pad_token_id
        return (
            torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in rows]),
            torch.tensor([labels + [IGNORED] * (longest - len(labels)) for _, labels in rows]),
        )


def render(processor: LlavaProcessor, prompt: str, shows_picture: bool) -> str:
    """Return a conversation of one user turn in the model's chat format."""
    content = [{"type": "image"}] * shows_picture + [{"type": "text", "text": prompt}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )


@torch.no_grad()
def look_at(model: LlavaForConditionalGeneration, pool: PicturePool) -> Features:
    """Run every picture through the tower once."""
    tower = model.model.vision_tower.eval()
    chunks = [
        patch_features(tower, to_pixel_values(pixels.to(model.device))).half()
        for pixels in pool.pixels.split(256)
    ]
    return Features(torch.cat(chunks), pool)


class Classroom:
    """Teaches skills to the decoder.

    Args:
        model: The tiny model, changed in place.
        encoder: Encodes the examples.
        features: Pictures to talk about; None if no skill shows any.
        report: Gets a line of progress now and then.
    """

    def __init__(
        self,
        model: LlavaForConditionalGeneration,
        encoder: Encoder,
        features: Features | None,
        report: Callable[[str], None],
    ):
        """Keep what all lessons share."""
        self._model = model
        self._encoder = encoder
        self._features = features
        self._report = report
        self._generator = random.Random(3)

    def teach(
        self, skills: dict[Skill, int], minutes: float, batch_size: int, peak_learning_rate: float
    ) -> None:
        """Give one lesson.

        Args:
            skills: Skills and how often each is practised, relative to the others.
            minutes: How long.
            batch_size: Examples of one skill in a step; a step takes several skills.
            peak_learning_rate: Highest learning rate of the schedule.
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
        self._report(f"lesson done after {step} steps: {self._scores(skills)}")

    def _answer_logits(self, skill: Skill, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits and targets of all answer tokens of a fresh batch, and their rows."""
        examples, pictures = [], []
        for _ in range(count):
            scene = self._any_scene(pictures)
            examples.append(skill(scene, self._generator))
        device = self._model.device
        ids, labels = (tensor.to(device) for tensor in self._encoder.batch(examples))
        embeddings = self._model.get_input_embeddings()(ids)
        if examples[0].shows_picture:
            seen = self._features.values[pictures].to(embeddings.dtype)
            projected = self._model.model.multi_modal_projector(seen)
            places = (ids == self._model.config.image_token_id).unsqueeze(-1)
            embeddings = embeddings.masked_scatter(places, projected)
        hidden = self._model.model.language_model(inputs_embeds=embeddings).last_hidden_state
        answers = labels[:, 1:] != IGNORED
        return self._model.lm_head(hidden[:, :-1][answers]), labels[:, 1:][answers]

    def _loss(self, skill: Skill, count: int) -> torch.Tensor:
        return cross_entropy(*self._answer_logits(skill, count))

    def _any_scene(self, pictures: list[int]) -> Scene:
        """Return a scene, that of a picture if there are any; note the picture."""
        if self._features is None:
            return random_scene(self._generator)
        pictures.append(self._generator.randrange(len(self._features.pool)))
        return self._features.pool.scene(pictures[-1])

    @torch.no_grad()
    def _scores(self, skills: dict[Skill, int], count: int = 64) -> str:
        """Return the share of answer tokens that are right, by skill, on examples just made up."""
        parts = []
        for skill in skills:
            logits, targets = self._answer_logits(skill, count)
            right = (logits.argmax(-1) == targets).float().mean().item()
            parts.append(f"{skill.__name__} {right:.1%}")
        return ", ".join(parts)
