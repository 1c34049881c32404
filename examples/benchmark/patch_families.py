"""Models that count patches and place them in three dimensions, with and without linear attention.

The geometry of Qwen2.5-VL and Qwen3.5 at sizes that 2 cores run. Their processors need torchvision;
the stand-in here writes what they write and takes pictures of one size.
"""

import re
from typing import Any

import torch
from transformers import (
    BatchFeature,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil


PAD = "<|image_pad|>"
IMAGE = re.escape(PAD)
MERGED = 2  # patches a side that become one token
TOKENS = ("<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c.text }}"
    "{% endif %}{% endfor %}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ROPE = {"rope_type": "default", "rope_theta": 1000000.0}


class PatchProcessor:
    """Writes one token for each square of patches, and says for each picture how many there are.

    Args:
        tokenizer: A tokenizer; is given the tokens that images are written with.
        image_size: Side of the pictures, pixels.
        patch_size: Side of a patch, pixels.
    """

    def __init__(self, tokenizer: Any, image_size: int, patch_size: int):
        """Make the image processor."""
        tokenizer.add_special_tokens({"additional_special_tokens": list(TOKENS)})
        self.tokenizer = tokenizer
        self.chat_template = TEMPLATE
        self.image_size = image_size
        self.image_processor = Qwen2VLImageProcessorPil(
            patch_size=patch_size,
            merge_size=MERGED,
            size={"shortest_edge": image_size**2, "longest_edge": image_size**2},
        )

    def apply_chat_template(self, messages: Any, **arguments: Any) -> Any:
        """Return the messages as text."""
        arguments = {"tokenize": False, "chat_template": self.chat_template, **arguments}
        return self.tokenizer.apply_chat_template(messages, **arguments)

    def __call__(
        self, text: list[str], images: Any = None, padding: bool = False, **_: Any
    ) -> BatchFeature:
        """Return model inputs for prompts and the pictures they show."""
        made: dict[str, Any] = {}
        if images is not None:
            given = [each for row in images for each in (row if isinstance(row, list) else [row])]
            made = dict(self.image_processor(given, return_tensors="pt"))
            counts = iter((made["image_grid_thw"].prod(-1) // MERGED**2).tolist())
            text = [re.sub(IMAGE, lambda _: PAD * next(counts), each) for each in text]
        written = self.tokenizer(
            text, padding=padding, add_special_tokens=False, return_tensors="pt"
        )
        made |= {name: written[name] for name in ("input_ids", "attention_mask")}
        if images is not None:
            token = self.tokenizer.convert_tokens_to_ids(PAD)
            made["mm_token_type_ids"] = written["input_ids"].eq(token).long()
        return BatchFeature(made)


def build_patches(shape: Any, tokenizer: Any) -> tuple[Any, PatchProcessor]:
    """Return a model of the geometry of Qwen2.5-VL, and its processor."""
    processor = PatchProcessor(tokenizer, shape.image_size, shape.patch_size)
    head = shape.text[0] // shape.text[2]
    config = Qwen2_5_VLConfig(
        text_config={
            **_text(shape, tokenizer),
            "rope_parameters": {**ROPE, "mrope_section": _sections(head)},
        },
        vision_config={
            "depth": shape.vision[1],
            "hidden_size": shape.vision[0],
            "intermediate_size": 4 * shape.vision[0],
            "num_heads": shape.vision[2],
            "patch_size": shape.patch_size,
            "out_hidden_size": shape.text[0],
            "fullatt_block_indexes": [shape.vision[1] - 1],
        },
        **_ids(tokenizer),
    )
    return Qwen2_5_VLForConditionalGeneration(config), processor


def build_linear(shape: Any, tokenizer: Any) -> tuple[Any, PatchProcessor]:
    """Return a model of the geometry of Qwen3.5, three layers of four linear, and its processor."""
    processor = PatchProcessor(tokenizer, shape.image_size, shape.patch_size)
    head = shape.text[0] // shape.text[2]
    config = Qwen3_5Config(
        text_config={
            **_text(shape, tokenizer),
            "head_dim": head,
            "rope_parameters": {
                **ROPE,
                "partial_rotary_factor": 0.5,
                "mrope_section": _sections(head // 2),
                "mrope_interleaved": True,
            },
            "layer_types": [
                "full_attention" if layer % 4 == 3 else "linear_attention"
                for layer in range(shape.text[1])
            ],
            "linear_key_head_dim": head,
            "linear_value_head_dim": head,
            "linear_num_key_heads": shape.text[2],
            "linear_num_value_heads": shape.text[2],
        },
        vision_config={
            "depth": shape.vision[1],
            "hidden_size": shape.vision[0],
            "intermediate_size": 4 * shape.vision[0],
            "num_heads": shape.vision[2],
            "patch_size": shape.patch_size,
            "spatial_merge_size": MERGED,
            "out_hidden_size": shape.text[0],
            "num_position_embeddings": (shape.image_size // shape.patch_size) ** 2,
        },
        **_ids(tokenizer),
    )
    model = Qwen3_5ForConditionalGeneration(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("A_log"):
                parameter.fill_(-4)  # else the state forgets a picture within a few words
    return model, processor


def _text(shape: Any, tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.text[0],
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.text[1],
        "num_attention_heads": shape.text[2],
        "num_key_value_heads": shape.text[2],
        "max_position_embeddings": 4096,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _sections(rotated: int) -> list[int]:
    """Return how many pairs of dimensions go with time, height and width."""
    side = rotated // 2 * 3 // 8
    return [rotated // 2 - 2 * side, side, side]


def _ids(tokenizer: Any) -> dict[str, int]:
    keys = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    return dict(zip(keys, tokenizer.convert_tokens_to_ids(list(TOKENS[1:])), strict=True))
