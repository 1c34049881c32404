"""One tiny random model with its processor for each family; a family is one small function.

Those in `WITHOUT_TORCHVISION` run in every test run. The others' processors need torchvision; see
`environment.py` and ``make families``.
"""

from collections.abc import Callable
from typing import Any

from transformers import (
    AyaVisionConfig,
    AyaVisionProcessor,
    CLIPImageProcessor,
    Cohere2Config,
    Gemma3Config,
    Gemma3Processor,
    Idefics3Config,
    Idefics3Processor,
    LlavaConfig,
    LlavaNextConfig,
    LlavaNextProcessor,
    LlavaProcessor,
    MllamaConfig,
    MllamaProcessor,
    Ovis2Config,
    Ovis2Processor,
    PaliGemmaConfig,
    PaliGemmaProcessor,
    VipLlavaConfig,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import (
    LlavaNextImageProcessorPil,
)
from transformers.models.mllama.configuration_mllama import MllamaTextConfig, MllamaVisionConfig
from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil
from transformers.models.ovis2.configuration_ovis2 import Ovis2VisionConfig
from transformers.models.ovis2.image_processing_pil_ovis2 import Ovis2ImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from tests.families import templates
from tests.families.parts import (
    IMAGE_SIDE,
    LAYERS,
    PATCH_SIDE,
    byte_tokenizer,
    clip,
    gemma3_text,
    llama,
    mistral,
    qwen2,
    random_model,
    siglip,
    text_settings,
    token_id,
)


SQUARE = {"height": IMAGE_SIDE, "width": IMAGE_SIDE}
SHORTEST = {"size": {"shortest_edge": IMAGE_SIDE}, "crop_size": SQUARE}


def _llava_tokenizer() -> Any:
    return byte_tokenizer("<image>", bos="<s>", eos="</s>")


def _llava_processor(tokenizer: Any) -> LlavaProcessor:
    return LlavaProcessor(
        CLIPImageProcessor(**SHORTEST),
        tokenizer,
        patch_size=PATCH_SIDE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=templates.VICUNA,
    )


def llava() -> tuple[Any, Any]:
    tokenizer = _llava_tokenizer()
    processor = _llava_processor(tokenizer)
    config = LlavaConfig(
        vision_config=clip(),
        text_config=llama(tokenizer),
        image_token_index=token_id(tokenizer),
        image_seq_length=16,
    )
    return random_model(config, processor, seed=1, factor=9, words=3), processor


def vipllava() -> tuple[Any, Any]:
    tokenizer = _llava_tokenizer()
    processor = _llava_processor(tokenizer)
    config = VipLlavaConfig(
        vision_config=clip(3),
        text_config=llama(tokenizer),
        image_token_index=token_id(tokenizer),
        vision_feature_layers=[-1, -2],
        vision_feature_layer=[-1, -2],
    )
    return random_model(config, processor, factor=9, words=1), processor


def llava_next() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer("<image>", bos="<s>", eos="</s>", words=("[INST]", "[/INST]"))
    pinpoints = [[16, 32], [32, 16], [32, 32]]
    processor = LlavaNextProcessor(
        LlavaNextImageProcessorPil(**SHORTEST, image_grid_pinpoints=pinpoints),
        tokenizer,
        patch_size=PATCH_SIDE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=templates.MISTRAL,
    )
    config = LlavaNextConfig(
        vision_config=clip(),
        text_config=mistral(tokenizer),
        image_token_index=token_id(tokenizer),
        image_grid_pinpoints=pinpoints,
        image_seq_length=16,
    )
    return random_model(config, processor, seed=9, factor=9, words=3), processor


def idefics3() -> tuple[Any, Any]:
    rows = [f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7)]
    tokenizer = byte_tokenizer(
        *rows, "<global-img>", "<image>", "<fake_token_around_image>", "<|im_start|>",
        eos="<end_of_utterance>",
    )  # fmt: skip
    processor = Idefics3Processor(
        Idefics3ImageProcessorPil(
            size={"longest_edge": 2 * IMAGE_SIDE}, max_image_size={"longest_edge": IMAGE_SIDE}
        ),
        tokenizer,
        image_seq_len=4,
        chat_template=templates.IDEFICS,
    )
    config = Idefics3Config(
        vision_config={**siglip().to_dict(), "model_type": "idefics3_vision"},
        text_config=llama(tokenizer),
        image_token_id=token_id(tokenizer),
        scale_factor=2,
        **{"pad_token_id": tokenizer.pad_token_id},
    )
    return random_model(config, processor), processor


def gemma3() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(
        "<start_of_turn>", "<end_of_turn>", bos="<bos>", eos="<eos>",
        named={
            "image_token": "<image_soft_token>",
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
        },
    )  # fmt: skip
    processor = Gemma3Processor(
        Gemma3ImageProcessorPil(size=SQUARE),
        tokenizer,
        image_seq_length=4,
        chat_template=templates.GEMMA_3,
    )
    config = Gemma3Config(
        text_config=gemma3_text(tokenizer),
        vision_config=siglip(),
        mm_tokens_per_image=4,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        image_token_index=tokenizer.image_token_id,
    )
    model = random_model(config, processor, factor=9, words=1)
    model.generation_config.eos_token_id = [
        tokenizer.eos_token_id,
        tokenizer.convert_tokens_to_ids("<end_of_turn>"),
    ]
    return model, processor


def mllama() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(
        "<|start_header_id|>", "<|end_header_id|>", "<|image|>", "<|python_tag|>",
        bos="<|begin_of_text|>", eos="<|eot_id|>",
    )  # fmt: skip
    processor = MllamaProcessor(
        MllamaImageProcessorPil(size=SQUARE, max_image_tiles=2),
        tokenizer,
        chat_template=templates.LLAMA_3,
    )
    text = MllamaTextConfig(
        **text_settings(tokenizer, num_hidden_layers=3, vocab_size=len(tokenizer)),
        cross_attention_layers=[1],
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )
    vision = MllamaVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_global_layers=1,
        attention_heads=2,
        image_size=IMAGE_SIDE,
        patch_size=PATCH_SIDE,
        max_num_tiles=2,
        intermediate_layers_indices=[0],
        vision_output_dim=64,
        supported_aspect_ratios=[[1, 1], [1, 2], [2, 1]],
    )
    config = MllamaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=token_id(tokenizer, "<|image|>"),
    )
    return random_model(config, processor, seed=8, words=1), processor


def aya_vision() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(
        "<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>",
        "<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_OF_IMG|>", "<|END_OF_IMG|>",
        "<|IMG_PATCH|>", "<|IMG_LINE_BREAK|>", "TILE", "TILE_GLOBAL", "<image>",
        bos="<BOS_TOKEN>", eos="<|END_OF_TURN_TOKEN|>",
    )  # fmt: skip
    processor = AyaVisionProcessor(
        GotOcr2ImageProcessorPil(size=SQUARE, crop_to_patches=True, max_patches=4),
        tokenizer,
        patch_size=PATCH_SIDE,
        img_size=IMAGE_SIDE,
        downsample_factor=2,
        chat_template=templates.COHERE.replace("IMAGE", "<image>"),
    )
    text = Cohere2Config(
        **text_settings(tokenizer, num_hidden_layers=3, head_dim=16, sliding_window=4096),
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        logit_scale=1.0,
    )
    config = AyaVisionConfig(
        vision_config=siglip(vision_use_head=False),
        text_config=text,
        image_token_index=token_id(tokenizer, "<|IMG_PATCH|>"),
        downsample_factor=2,
        adapter_layer_norm_eps=1e-6,
        alignment_intermediate_size=64,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    return random_model(config, processor, seed=2, factor=9, words=3), processor


def ovis2() -> tuple[Any, Any]:
    markers = ("<IMG_ATOM>", "<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>")
    tokenizer = byte_tokenizer("<|im_start|>", "<image>", *markers, eos="<|im_end|>")
    processor = Ovis2Processor(
        Ovis2ImageProcessorPil(size=SQUARE, crop_to_patches=True, max_patches=4),
        tokenizer,
        image_seq_length=16,
        chat_template=templates.chatml("<image>\n", system="You are a helpful assistant."),
    )
    vision = Ovis2VisionConfig(
        **LAYERS,
        num_attention_heads=2,
        image_size=IMAGE_SIDE,
        patch_size=PATCH_SIDE,
        vocab_size=32,
        hidden_stride=1,
        num_visual_indicator_tokens=5,
    )
    config = Ovis2Config(
        vision_config=vision,
        text_config=qwen2(tokenizer),
        image_token_id=token_id(tokenizer, "<IMG_ATOM>"),
        visual_indicator_token_ids=[token_id(tokenizer, each) for each in markers[1:]],
        vocab_size=len(tokenizer) + 8,
        hidden_size=32,
    )
    return random_model(config, processor, seed=4, factor=12, words=1), processor


def paligemma() -> tuple[Any, Any]:
    """Return a family that nobody chats with: it has no template."""
    tokenizer = byte_tokenizer("<image>", bos="<bos>", eos="<eos>")
    images = SiglipImageProcessorPil(size=SQUARE)
    images.image_seq_length = 16
    config = PaliGemmaConfig(
        vision_config={**siglip(vision_use_head=False).to_dict(), "projection_dim": 32},
        text_config={**text_settings(tokenizer, head_dim=16), "model_type": "gemma"},
        image_token_index=token_id(tokenizer),
        projection_dim=32,
        hidden_size=32,
    )
    processor = PaliGemmaProcessor(images, tokenizer)
    return random_model(config, processor), processor


Builder = Callable[[], tuple[Any, Any]]

WITHOUT_TORCHVISION: dict[str, Builder] = {
    "llava": llava,
    "vipllava": vipllava,
    "llava_next": llava_next,
    "idefics3": idefics3,
    "gemma3": gemma3,
    "mllama": mllama,
    "aya_vision": aya_vision,
    "ovis2": ovis2,
}
