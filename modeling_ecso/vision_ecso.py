"""Which of a batch's images belong to which row, and how many tokens stand for each.

Covered: architectures that give every image the same number of tokens, such as LLaVA-1.5.
Not covered, and refused: images of varying size.
"""

from typing import Any, NamedTuple

from .errors_ecso import ECSOInputError


class RowImages(NamedTuple):
    """The images of one row.

    Args:
        pixel_values: Float, (images of the row, channels, height, width); None without images.
        token_counts: Number of image tokens of each image.
    """

    pixel_values: Any
    token_counts: list[int]


def images_by_row(
    prompts: list[list[int]], pixel_values: Any, image_token_id: int
) -> list[RowImages]:
    """Return the images of each row.

    Args:
        prompts: Token ids of each row, without padding.
        pixel_values: Float, (images in the batch, channels, height, width); None without images.
        image_token_id: The id that stands for image features in a prompt.

    Raises:
        ECSOInputError: The image tokens cannot be shared out evenly over the images.
    """
    image_tokens = [prompt.count(image_token_id) for prompt in prompts]
    if pixel_values is None:
        if any(image_tokens):
            raise ECSOInputError(
                "the prompt has image tokens and there are no pixel_values; pass both"
            )
        return [RowImages(None, []) for _ in prompts]
    images = len(pixel_values)
    each, rest = divmod(sum(image_tokens), images) if images else (0, 1)
    if rest or not each or any(count % each for count in image_tokens):
        raise ECSOInputError(
            f"{sum(image_tokens)} image tokens do not fit {images} images; "
            "let the processor make input_ids and pixel_values together"
        )
    rows, start = [], 0
    for count in image_tokens:
        end = start + count // each
        rows.append(RowImages(pixel_values[start:end] if count else None, [each] * (end - start)))
        start = end
    return rows
