"""Models to measure: the geometry of real ones, random weights, forced words.

What is said costs the same whatever it is, so weights are random and the words are given: each
benchmark decides how long an answer is and what the verdict says.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaProcessor,
)

from modeling_ecso import (
    ECSOConfig,
    ECSOLlavaConfig,
    ECSOLlavaForConditionalGeneration,
    protect,
)
from modeling_ecso.loading.models import TINY_FOLDER

from .patch_families import build_linear, build_patches


@dataclass(frozen=True)
class Shape:
    """Dimensions of a model.

    Args:
        image_size: Side of the image, pixels.
        patch_size: Side of a patch, pixels; (image_size / patch_size)² image tokens.
        vision: Hidden size, layers and heads of the tower.
        text: Hidden size, layers and heads of the decoder.
        feed_forward: Size of the decoder's feed-forward layers.
        vocabulary: Number of tokens.
        dtype: Type of the weights.
        family: Which kind of model it is: LLaVA, patches and positions in three dimensions, or the
            same with linear attention.
    """

    image_size: int
    patch_size: int
    vision: tuple[int, int, int]
    text: tuple[int, int, int]
    feed_forward: int
    vocabulary: int
    dtype: torch.dtype = torch.float32
    family: Literal["llava", "patches", "linear"] = "llava"


SHAPES = {
    # Seconds on 2 cores: shows that the benchmark runs, not what protection costs.
    "small": Shape(96, 12, (64, 2, 2), (128, 2, 4), 256, 2000),
    # The token geometry of LLaVA-1.5 (ViT-L/14 at 336 pixels: 576 image tokens) at about 120 M
    # parameters, so that 2 cores suffice.
    "llava-1.5": Shape(336, 14, (384, 8, 6), (640, 14, 10), 1728, 32064),
    # 576 image tokens out of 2304 patches, in the layout of Qwen2.5-VL and of Qwen3.5, at about
    # 60 M parameters.
    "qwen2.5-vl": Shape(672, 14, (192, 6, 3), (512, 8, 8), 1408, 32064, family="patches"),
    "qwen3.5": Shape(768, 16, (192, 6, 3), (512, 8, 8), 1408, 32064, family="linear"),
    # LLaVA-1.5-7B.
    "7b": Shape(336, 14, (1024, 24, 16), (4096, 32, 32), 11008, 32064, torch.bfloat16),
}


def build(shape: Shape, device: str) -> tuple[Any, Any]:
    """Return a protected model of a shape with random weights, and a processor that fits it."""
    tokenizer = AutoTokenizer.from_pretrained(TINY_FOLDER, trust_remote_code=False)
    if shape.family == "llava":
        return _build_llava(shape, tokenizer, device)
    torch.manual_seed(0)
    make = build_patches if shape.family == "patches" else build_linear
    with torch.device(device):
        model, processor = make(shape, tokenizer)
    return protect(_ended(model.to(shape.dtype).eval(), tokenizer), processor, "paper"), processor


def _build_llava(shape: Shape, tokenizer: Any, device: str) -> tuple[Any, Any]:
    side = shape.image_size
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}
        ),
        tokenizer=tokenizer,
        patch_size=shape.patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=(TINY_FOLDER / "chat_template.jinja").read_text("utf-8"),
    )
    config = ECSOLlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=shape.vision[0],
            intermediate_size=4 * shape.vision[0],
            num_hidden_layers=shape.vision[1],
            num_attention_heads=shape.vision[2],
            image_size=side,
            patch_size=shape.patch_size,
        ),
        text_config=LlamaConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.text[0],
            intermediate_size=shape.feed_forward,
            num_hidden_layers=shape.text[1],
            num_attention_heads=shape.text[2],
            num_key_value_heads=shape.text[2],
            max_position_embeddings=4096,
            # Llama's own is another token here; a call that does not end there can run on.
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(side // shape.patch_size) ** 2,
        ecso=ECSOConfig.from_preset("paper"),
    )
    torch.manual_seed(0)
    with torch.device(device):
        torch.set_default_dtype(shape.dtype)
        model = ECSOLlavaForConditionalGeneration(config).eval()
        torch.set_default_dtype(torch.float32)
    model.processor = processor
    return _ended(model, tokenizer), processor


def _ended(model: Any, tokenizer: Any) -> Any:
    """Return the model, which knows where prompts begin and answers end."""
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(model.generation_config, name, getattr(tokenizer, name))
    return model
