"""A row's images, whatever the family: where they stand in a prompt, and what the model sees.

Where they stand is said by an `ImageFormat`, which `image_format_ecso.py` learns. What the model
sees are features: transformers encodes images before the prompt is read and takes them back
encoded, in the order of the image tokens. So the number of a row's image tokens says which features
are its own, however a family lays out its pixels (by image, tile, patch or row), and no image is
encoded twice.

Covered: every model that takes encoded images (``mm_encoder_outputs``).
Not covered, and answered with the caller's tensors as they came: all others.
"""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from .errors_ecso import ECSOInputError


# By these the images themselves are given, as transformers has it; other inputs tell of them.
PIXEL_INPUTS = ("pixel_values", "pixel_values_images", "image_patches")
# What names say of inputs that are neither text nor images.
_OTHER_SENSES = ("video", "audio", "speech", "input_features", "input_values")
# What an encoder returns besides features, and no model reads.
_NOT_READ = {"last_hidden_state", "hidden_states", "attentions"}
_NUMBERS = re.compile("[0-9]+")


def with_like_numbers(text: str) -> str:
    """Return a text with every number made the same; where none is, there stays none."""
    return _NUMBERS.sub("0", text)


@dataclass(frozen=True)
class ImageFormat:
    """How a processor writes images.

    Args:
        token_id: The id that stands for image features.
        leads: What may stand in front of the first of an image's tokens, longest first.
        trails: What may stand behind the last one, longest first.
        inner_markers: Special ids that may stand within images, or between two.
        fillings: What else may: text with its numbers made alike, and the ids on both sides of it.
        text_of: Decodes ids.
        opening: From the beginning of the first turn to an image that opens it.
        placed_opening: The same and on to the text, as the template renders it.
        between: From one image to the next.
        gap: From the last image to the text.
        probes: The ids of prompts that it was found by.
    """

    token_id: int
    leads: tuple[tuple[int, ...], ...]
    trails: tuple[tuple[int, ...], ...]
    inner_markers: frozenset[int]
    fillings: frozenset[tuple[int, str, int]]
    text_of: Callable[[list[int]], str]
    opening: str
    placed_opening: str
    between: str
    gap: str
    probes: tuple[list[int], ...]

    def blocks(self, ids: list[int]) -> tuple["ImageBlock", ...]:
        """Return where images stand in a prompt.

        Images next to each other, with nothing between but what the processor writes there, are
        one block.

        Args:
            ids: The prompt without padding.
        """
        found: list[tuple[int, int]] = []
        for place in (place for place, token in enumerate(ids) if token == self.token_id):
            if found and self._is_within(ids[found[-1][1] - 1 : place + 1]):
                found[-1] = (found[-1][0], place + 1)
            else:
                found.append((place, place + 1))
        blocks = []
        for start, end in found:
            start -= next(len(each) for each in self.leads if _ends_with(ids[:start], each))
            behind = tuple(ids[end:])
            end += next(len(each) for each in self.trails if behind[: len(each)] == each)
            first, last = (
                ([] if each == self.token_id else [each]) for each in (ids[start], ids[end - 1])
            )
            mark = [*first, self.token_id, *last]
            blocks.append(ImageBlock(start, end, ids[start:end], mark))
        return tuple(blocks)

    def _is_within(self, ids: list[int]) -> bool:
        """Return whether the ids from one image token to the next belong to images alone."""
        at = [place for place, token in enumerate(ids) if token in self.inner_markers]
        return all(
            end - start == 1 or self.filling(ids[start : end + 1]) in self.fillings
            for start, end in itertools.pairwise(at)
        )

    def filling(self, ids: list[int]) -> tuple[int, str, int]:
        """Return what stands between two markers, by which it is known."""
        return ids[0], with_like_numbers(self.text_of(ids[1:-1])), ids[-1]


def _ends_with(ids: list[int], ending: tuple[int, ...]) -> bool:
    return not ending or tuple(ids[-len(ending) :]) == ending


class ImageBlock(NamedTuple):
    """One block of images in a prompt.

    Args:
        start: Its place in the prompt.
        end: The place behind it.
        ids: Its ids.
        mark: The shortest that may stand for it: its first and last id and one image token.
    """

    start: int
    end: int
    ids: list[int]
    mark: list[int]


@dataclass(repr=False)
class ImageFeatures:
    """The images of a batch, encoded once. Has no repr: it holds what the user has shown.

    Args:
        output: What the model's encoder has returned: ``pooler_output``, one entry for each image,
            tile or row, in the order of the image tokens, and perhaps ``deepstack_features``.
        entries: For each row of the batch the entries that are its own.
    """

    output: Any
    entries: list[range]

    def of_rows(self, rows: list[int]) -> dict[str, Any]:
        """Return what to give `generate()` for prompts that show the images of these rows."""
        chosen = [entry for row in rows for entry in self.entries[row]]
        if not chosen:
            return {}
        kept = {"pooler_output": _chosen(self.output.pooler_output, chosen)}
        if self.output.get("deepstack_features") is not None:
            layers = self.output.deepstack_features
            kept["deepstack_features"] = [_chosen(layer, chosen) for layer in layers]
        others = self.output.keys() - kept.keys() - _NOT_READ
        kept |= {name: self.output[name] for name in others}
        # Made anew each time: transformers changes it where sequences are many.
        return {"mm_encoder_outputs": {"image": type(self.output)(**kept)}}


class ModelInputs(NamedTuple):
    """The caller's inputs for `forward`, by what they belong to.

    Args:
        for_tokens: Tensors that go with each token, (batch, length, …).
        for_images: Tensors, or lists of them, that go with images.
        others: What is no tensor and goes with any prompt.
    """

    for_tokens: dict[str, torch.Tensor]
    for_images: dict[str, Any]
    others: dict[str, Any]

    @classmethod
    def of(cls, given: dict[str, Any], shape: torch.Size) -> "ModelInputs":
        """Return them sorted.

        Args:
            given: By name; without ``input_ids``, ``attention_mask`` and ``position_ids``.
            shape: That of ``input_ids``.

        Raises:
            ECSOInputError: There are videos or sounds among them.
        """
        sorted_inputs = cls({}, {}, {})
        for name, value in given.items():
            if any(sense in name for sense in _OTHER_SENSES) and not isinstance(value, bool):
                raise ECSOInputError(
                    f"{name} is neither text nor image, and ECSO judges answers about text and "
                    "images alone; leave it out, or call with ecso=False"
                )
            if not is_tensors(value):
                sorted_inputs.others[name] = value
            elif isinstance(value, torch.Tensor) and value.shape[:2] == shape:
                sorted_inputs.for_tokens[name] = value
            else:
                sorted_inputs.for_images[name] = value
        return sorted_inputs


def read_images(
    model: Any, given: dict[str, Any], shape: torch.Size, tokens: list[int]
) -> tuple[ModelInputs, ImageFeatures | None, set[str]]:
    """Return the inputs sorted, the images encoded, and the names of what they were given by.

    Args:
        model: The model.
        given: The caller's inputs by name; without ``input_ids``, ``attention_mask`` and
            ``position_ids``.
        shape: That of ``input_ids``.
        tokens: For each row the number of its image tokens.

    Returns:
        No images and no names where there are none; also for a model that takes none that are
        encoded, or of whose features it cannot be said which are whose.

    Raises:
        ECSOInputError: Images and image tokens do not belong together, or there are videos or
            sounds.
    """
    inputs = ModelInputs.of(given, shape)
    return inputs, *_encoded(model, inputs, tokens)


def _encoded(
    model: Any, inputs: ModelInputs, tokens: list[int]
) -> tuple[ImageFeatures | None, set[str]]:
    given = inputs.for_images
    if not any(tokens) and not given:
        return None, set()
    if not given:
        raise ECSOInputError("the prompt has image tokens and there are no pixel_values; pass both")
    if not any(tokens):
        raise ECSOInputError(
            f"0 image tokens do not fit the images in {', '.join(given)}; let the processor make "
            "input_ids and pixel_values together"
        )
    if not model._supports_mm_encoder_outputs():
        return None, set()
    everything = {**inputs.others, **inputs.for_tokens, **given}
    with torch.no_grad():
        left = model._prepare_multimodal_encoder_kwargs_for_generation(everything)
    output = left.pop("mm_encoder_outputs").get("image")
    # Tensors that were not needed to encode may belong to the images in another way.
    if output is None or given.keys() & left.keys() or not _can_be_divided(output):
        return None, set()
    return divide_features(output, tokens), set(PIXEL_INPUTS) & given.keys()


def divide_features(output: Any, tokens: list[int]) -> ImageFeatures:
    """Return the features with the rows they belong to: each row's tokens take theirs in order.

    Args:
        output: What the encoder has returned.
        tokens: For each row the number of its image tokens.

    Raises:
        ECSOInputError: They do not come out evenly.
    """
    width = output.pooler_output[0].shape[-1]
    sizes = [entry.numel() // width for entry in output.pooler_output]
    entries, start = [], 0
    for count in tokens:
        end, found = start, 0
        while end < len(sizes) and (found < count or sizes[end] == 0):
            found += sizes[end]
            end += 1
        entries.append(range(start, end))
        start = end
        if found != count:
            break
    if start != len(sizes) or len(entries) != len(tokens) or sum(sizes) != sum(tokens):
        raise ECSOInputError(
            f"{sum(tokens)} image tokens do not fit {sum(sizes)} features of the images given; "
            "let the processor make input_ids and pixel_values together"
        )
    return ImageFeatures(output, entries)


def is_tensors(value: Any) -> bool:
    """Return whether a value is a tensor or several."""
    if isinstance(value, list | tuple):
        return bool(value) and all(map(is_tensors, value))
    return isinstance(value, torch.Tensor)


def _can_be_divided(output: Any) -> bool:
    """Return whether it holds what models read, in a layout that is known."""
    layers, entries = output.get("deepstack_features"), output.get("pooler_output")
    if not is_tensors(entries):
        return False
    others = output.keys() - {"pooler_output", "deepstack_features"} - _NOT_READ
    # What has another number of entries goes with all images alike.
    return all(len(output[name]) != len(entries) for name in others) and (
        layers is None or all(is_tensors(layer) and len(layer) for layer in layers)
    )


def _chosen(features: Any, entries: list[int]) -> Any:
    """Return some of the entries, in the kind of container they came in."""
    if isinstance(features, torch.Tensor):
        return features[entries]
    return [features[entry] for entry in entries]
