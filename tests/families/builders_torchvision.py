"""The families whose processors need torchvision; see `builders.py`."""

from typing import Any

import torch
from transformers import (
    Cohere2Config,
    Cohere2VisionConfig,
    Cohere2VisionImageProcessor,
    Cohere2VisionProcessor,
    DeepseekV3Config,
    Gemma4Config,
    Gemma4ImageProcessor,
    Gemma4Processor,
    Glm4vConfig,
    Glm4vImageProcessor,
    Glm4vProcessor,
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLProcessor,
    Kimi_K25Config,
    Kimi_K25ImageProcessor,
    Kimi_K25Processor,
    Lfm2Config,
    Lfm2VlConfig,
    Lfm2VlImageProcessor,
    Lfm2VlProcessor,
    LlavaConfig,
    LlavaOnevisionConfig,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    Mistral3Config,
    Molmo2Config,
    Molmo2ImageProcessor,
    Molmo2Processor,
    Phi4MultimodalConfig,
    Phi4MultimodalFeatureExtractor,
    Phi4MultimodalImageProcessor,
    Phi4MultimodalProcessor,
    PixtralImageProcessor,
    PixtralProcessor,
    PixtralVisionConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLProcessor,
    Qwen2VLConfig,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen3_5Config,
    Qwen3VLConfig,
    Qwen3VLProcessor,
    Siglip2VisionConfig,
    SmolVLMConfig,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
)
from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor
from transformers.models.gemma4.video_processing_gemma4 import Gemma4VideoProcessor
from transformers.models.glm4v.video_processing_glm4v import Glm4vVideoProcessor
from transformers.models.internvl.video_processing_internvl import InternVLVideoProcessor
from transformers.models.kimi_k25.video_processing_kimi_k25 import Kimi_K25VideoProcessor
from transformers.models.llava_onevision.video_processing_llava_onevision import (
    LlavaOnevisionVideoProcessor,
)
from transformers.models.molmo2.video_processing_molmo2 import Molmo2VideoProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor

from tests.families import templates
from tests.families.builders import SQUARE, Builder
from tests.families.parts import (
    HEADS,
    IMAGE_SIDE,
    LAYERS,
    PATCH_SIDE,
    byte_tokenizer,
    llama,
    mistral,
    qwen2,
    random_model,
    siglip,
    text_settings,
    token_id,
)


# Pixels of the smallest and largest picture of the families that cut it into patches.
PIXELS = {"size": {"shortest_edge": 16 * 16, "longest_edge": 32 * 32}}
QWEN_TOKENS = (
    "<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}


def llava_onevision() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer("<|im_start|>", "<image>", "<video>", eos="<|im_end|>")
    pinpoints = [[16, 16], [16, 32], [32, 16], [32, 32]]
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=SQUARE, image_grid_pinpoints=pinpoints),
        tokenizer,
        LlavaOnevisionVideoProcessor(size=SQUARE),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=templates.chatml("<image>\n"),
    )
    config = LlavaOnevisionConfig(
        vision_config=siglip(vision_use_head=False),
        text_config=qwen2(tokenizer),
        image_token_index=token_id(tokenizer),
        video_token_index=token_id(tokenizer, "<video>"),
        image_grid_pinpoints=pinpoints,
    )
    return random_model(config, processor, seed=1, factor=9, words=3), processor


def _pixtral_processor(merge: int) -> PixtralProcessor:
    tokenizer = byte_tokenizer(
        "[IMG]", "[IMG_BREAK]", "[IMG_END]", "[INST]", "[/INST]", "[SYSTEM_PROMPT]",
        "[/SYSTEM_PROMPT]", bos="<s>", eos="</s>",
    )  # fmt: skip
    return PixtralProcessor(
        PixtralImageProcessor(
            size={"longest_edge": 2 * IMAGE_SIDE},
            patch_size={"height": PATCH_SIDE, "width": PATCH_SIDE},
        ),
        tokenizer,
        patch_size=PATCH_SIDE,
        spatial_merge_size=merge,
        chat_template=templates.PIXTRAL,
    )


def _pixtral_vision() -> PixtralVisionConfig:
    return PixtralVisionConfig(
        **LAYERS,
        num_attention_heads=2,
        head_dim=16,
        image_size=2 * IMAGE_SIDE,
        patch_size=PATCH_SIDE,
    )


def pixtral() -> tuple[Any, Any]:
    processor = _pixtral_processor(merge=1)
    config = LlavaConfig(
        vision_config=_pixtral_vision(),
        text_config=mistral(processor.tokenizer),
        image_token_index=processor.image_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    return random_model(config, processor, factor=12, words=1), processor


def mistral3() -> tuple[Any, Any]:
    processor = _pixtral_processor(merge=2)
    config = Mistral3Config(
        vision_config=_pixtral_vision(),
        text_config=mistral(processor.tokenizer),
        image_token_index=processor.image_token_id,
        spatial_merge_size=2,
        tie_word_embeddings=False,
    )
    return random_model(config, processor, factor=12, words=1), processor


def _qwen_ids(tokenizer: Any) -> dict[str, int]:
    names = ("vision_start", "vision_end", "image_pad", "video_pad")
    keys = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    ids = [token_id(tokenizer, f"<|{name}|>") for name in names]
    return dict(zip(keys, ids, strict=True))


def _qwen_processor(
    kind: Any, template: str, videos: Any = Qwen2VLVideoProcessor, words: tuple[str, ...] = ()
) -> Any:
    tokenizer = byte_tokenizer(*QWEN_TOKENS, eos="<|im_end|>", words=words)
    images = Qwen2VLImageProcessor(**PIXELS, patch_size=PATCH_SIDE, merge_size=2)
    return kind(images, tokenizer, videos(), chat_template=template)


def qwen2_vl() -> tuple[Any, Any]:
    template = templates.chatml(QWEN_IMAGE, system="You are a helpful assistant.")
    processor = _qwen_processor(Qwen2VLProcessor, template)
    tokenizer = processor.tokenizer
    config = Qwen2VLConfig(
        text_config=text_settings(tokenizer, rope_parameters=MROPE),
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": 32,
            "num_heads": 2,
            "patch_size": PATCH_SIDE,
        },
        **_qwen_ids(tokenizer),
    )
    return random_model(config, processor, seed=1, factor=12, words=1), processor


def qwen2_5_vl() -> tuple[Any, Any]:
    template = templates.chatml(QWEN_IMAGE, system="You are a helpful assistant.")
    processor = _qwen_processor(Qwen2_5_VLProcessor, template)
    tokenizer = processor.tokenizer
    config = Qwen2_5_VLConfig(
        text_config=text_settings(tokenizer, rope_parameters=MROPE),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": PATCH_SIDE,
            "window_size": 16,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
        },
        **_qwen_ids(tokenizer),
    )
    return random_model(config, processor, seed=2), processor


QWEN3_VISION = {
    "depth": 3,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "patch_size": PATCH_SIDE,
    "out_hidden_size": 32,
    "num_position_embeddings": 64,
}
INTERLEAVED = {**MROPE, "mrope_interleaved": True}
HALF = {"partial_rotary_factor": 0.5, "mrope_section": [2, 1, 1]}


def qwen3_vl(
    template: str = templates.chatml(QWEN_IMAGE), seed: int = 0, embeddings: float = 1
) -> tuple[Any, Any]:
    words = ("<think>", "</think>")
    processor = _qwen_processor(Qwen3VLProcessor, template, Qwen3VLVideoProcessor, words)
    tokenizer = processor.tokenizer
    config = Qwen3VLConfig(
        text_config=text_settings(tokenizer, head_dim=16, rope_parameters=INTERLEAVED),
        vision_config={**QWEN3_VISION, "deepstack_visual_indexes": [0, 1]},
        **_qwen_ids(tokenizer),
    )
    return random_model(config, processor, seed=seed, factor=9, words=embeddings), processor


def qwen3_vl_thinking() -> tuple[Any, Any]:
    return qwen3_vl(templates.chatml(QWEN_IMAGE, opens="<think>\n"), seed=1, embeddings=3)


def qwen3_5() -> tuple[Any, Any]:
    template = templates.chatml(QWEN_IMAGE, opens="<think>\n", empty="<think>\n\n</think>\n\n")
    words = ("<think>", "</think>")
    processor = _qwen_processor(Qwen3VLProcessor, template, Qwen3VLVideoProcessor, words)
    tokenizer = processor.tokenizer
    config = Qwen3_5Config(
        text_config=text_settings(
            tokenizer,
            num_hidden_layers=3,
            head_dim=16,
            rope_parameters={**INTERLEAVED, **HALF},
            layer_types=["linear_attention", "linear_attention", "full_attention"],
            linear_key_head_dim=8,
            linear_value_head_dim=8,
            linear_num_key_heads=2,
            linear_num_value_heads=4,
        ),
        vision_config=QWEN3_VISION,
        **_qwen_ids(tokenizer),
    )
    model = random_model(config, processor)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("A_log"):
                parameter.fill_(-4)  # else the state forgets a picture within a few words
    return model, processor


def internvl() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(
        "<|im_start|>", eos="<|im_end|>",
        named={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
    )  # fmt: skip
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=SQUARE, crop_to_patches=True, max_patches=4),
        tokenizer,
        InternVLVideoProcessor(size=SQUARE),
        image_seq_length=4,
        chat_template=templates.chatml("<IMG_CONTEXT>\n"),
    )
    config = InternVLConfig(
        vision_config={
            **LAYERS,
            "num_attention_heads": 2,
            "image_size": [IMAGE_SIDE, IMAGE_SIDE],
            "patch_size": [PATCH_SIDE, PATCH_SIDE],
        },
        text_config=qwen2(tokenizer),
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    return random_model(config, processor, seed=1, factor=9, words=1), processor


def smolvlm() -> tuple[Any, Any]:
    rows = [f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7)]
    tokenizer = byte_tokenizer(
        *rows, "<global-img>", "<image>", "<fake_token_around_image>", "<|im_start|>",
        eos="<end_of_utterance>",
    )  # fmt: skip
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(
            size={"longest_edge": 2 * IMAGE_SIDE}, max_image_size={"longest_edge": IMAGE_SIDE}
        ),
        tokenizer,
        SmolVLMVideoProcessor(),
        image_seq_len=4,
        chat_template=templates.IDEFICS,
    )
    config = SmolVLMConfig(
        vision_config={**siglip().to_dict(), "model_type": "smolvlm_vision"},
        text_config=llama(tokenizer),
        image_token_id=token_id(tokenizer),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    return random_model(config, processor), processor


def gemma4() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(
        "<|turn>", "<turn|>", "<|think|>", "<|channel>", "<channel|>",
        bos="<bos>", eos="<eos>",
        named={
            "image_token": "<|image|>",
            "boi_token": "<|image>",
            "eoi_token": "<image|>",
            "audio_token": "<|audio|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
        },
    )  # fmt: skip
    patches = {"patch_size": PATCH_SIDE, "pooling_kernel_size": 2}
    # The processor knows no smaller number of tokens for an image than 70.
    processor = Gemma4Processor(
        Gemma4AudioFeatureExtractor(),
        Gemma4ImageProcessor(**patches, max_soft_tokens=70),
        tokenizer,
        Gemma4VideoProcessor(**patches, max_soft_tokens=70),
        chat_template=templates.GEMMA_4,
        image_seq_length=70,
    )
    heads = {**HEADS, "head_dim": 16}
    config = Gemma4Config(
        text_config=text_settings(
            tokenizer,
            **{"num_hidden_layers": 4, "head_dim": 16, "global_head_dim": 16},
            num_kv_shared_layers=2,
            hidden_size_per_layer_input=8,
            vocab_size_per_layer_input=len(tokenizer) + 8,
            sliding_window=48,
            layer_types=["sliding_attention", "full_attention"] * 2,
            use_bidirectional_attention="vision",
        ),
        vision_config={**LAYERS, **heads, **patches, "position_embedding_size": 512},
        audio_config=None,
        image_token_id=tokenizer.image_token_id,
        boi_token_id=tokenizer.boi_token_id,
        eoi_token_id=tokenizer.eoi_token_id,
        video_token_id=processor.video_token_id,
        audio_token_id=tokenizer.audio_token_id,
    )
    model = random_model(config, processor)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, token_id(tokenizer, "<turn|>")]
    return model, processor


def command_a_vision() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(
        "<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>",
        "<|START_RESPONSE|>", "<|END_RESPONSE|>",
        bos="<BOS_TOKEN>", eos="<|END_OF_TURN_TOKEN|>",
        named={
            "boi_token": "<|START_OF_IMG|>",
            "eoi_token": "<|END_OF_IMG|>",
            "image_token": "<|IMG_PATCH|>",
            "img_line_break_token": "<|IMG_LINE_BREAK|>",
        },
    )  # fmt: skip
    processor = Cohere2VisionProcessor(
        Cohere2VisionImageProcessor(size=SQUARE, patch_size=2, max_patches=4),
        tokenizer,
        chat_template=templates.COHERE.replace("IMAGE", "<|IMG_PATCH|>"),
    )
    text = Cohere2Config(
        **text_settings(tokenizer, num_hidden_layers=3, head_dim=16, sliding_window=4096),
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        logit_scale=1.0,
    )
    config = Cohere2VisionConfig(
        vision_config=siglip(vision_use_head=False),
        text_config=text,
        image_token_id=tokenizer.image_token_id,
        downsample_factor=2,
        alignment_intermediate_size=64,
    )
    return random_model(config, processor, seed=2, factor=9, words=1), processor


def glm_4_1v() -> tuple[Any, Any]:
    names = (
        "image", "video", "begin_of_image", "end_of_image", "begin_of_video", "end_of_video",
    )  # fmt: skip
    tokenizer = byte_tokenizer(
        *[f"<|{name}|>" for name in names], "[gMASK]", "<sop>", "<|system|>", "<|assistant|>",
        eos="<|user|>", words=("<think>", "</think>"),
    )  # fmt: skip
    processor = Glm4vProcessor(
        Glm4vImageProcessor(**PIXELS, patch_size=PATCH_SIDE, merge_size=2),
        tokenizer,
        Glm4vVideoProcessor(),
        chat_template=templates.GLM,
    )
    keys = (
        "image_token_id", "video_token_id", "image_start_token_id", "image_end_token_id",
        "video_start_token_id", "video_end_token_id",
    )  # fmt: skip
    ids = {key: token_id(tokenizer, f"<|{name}|>") for key, name in zip(keys, names, strict=True)}
    config = Glm4vConfig(
        text_config=text_settings(tokenizer, rope_parameters={**MROPE, **HALF}),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "image_size": IMAGE_SIDE,
            "patch_size": PATCH_SIDE,
            "out_hidden_size": 32,
        },
        **ids,
    )
    return random_model(config, processor, factor=12, words=1), processor


def kimi_k2_5() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(
        "<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>", "<|media_begin|>",
        "<|media_content|>", "<|media_pad|>", "<|media_end|>", "<|kimi_k25_video_placeholder|>",
        eos="<|im_end|>", words=("<think>", "</think>"),
    )  # fmt: skip
    processor = Kimi_K25Processor(
        Kimi_K25ImageProcessor(
            size={"max_height": 32, "max_width": 32}, max_patches=64, patch_size=PATCH_SIDE
        ),
        tokenizer,
        Kimi_K25VideoProcessor(patch_size=PATCH_SIDE),
        chat_template=templates.KIMI,
    )
    text = DeepseekV3Config(
        **text_settings(tokenizer),
        moe_intermediate_size=32,
        n_routed_experts=4,
        num_experts_per_tok=2,
        n_group=1,
        topk_group=1,
        first_k_dense_replace=1,
        kv_lora_rank=16,
        q_lora_rank=16,
        qk_rope_head_dim=8,
        qk_nope_head_dim=8,
        v_head_dim=16,
    )
    config = Kimi_K25Config(
        text_config=text,
        vision_config={
            **LAYERS,
            "num_attention_heads": 2,
            "patch_size": PATCH_SIDE,
            "pos_emb_height": 8,
            "pos_emb_width": 8,
        },
        projection_hidden_size=32,
        image_token_id=token_id(tokenizer, "<|media_pad|>"),
        video_token_id=token_id(tokenizer, "<|kimi_k25_video_placeholder|>"),
        vision_start_token_id=token_id(tokenizer, "<|media_begin|>"),
        vision_end_token_id=token_id(tokenizer, "<|media_end|>"),
        tie_word_embeddings=False,
    )
    return random_model(config, processor, seed=1, factor=9, words=1), processor


def lfm2_vl() -> tuple[Any, Any]:
    rows = [f"<|img_row_{row}_col_{col}|>" for row in range(1, 5) for col in range(1, 5)]
    tokenizer = byte_tokenizer(
        *rows, "<|im_start|>", bos="<|startoftext|>", eos="<|im_end|>",
        named={
            "image_token": "<image>",
            "image_start_token": "<|image_start|>",
            "image_end_token": "<|image_end|>",
            "image_thumbnail": "<|img_thumbnail|>",
        },
    )  # fmt: skip
    processor = Lfm2VlProcessor(
        Lfm2VlImageProcessor(
            encoder_patch_size=PATCH_SIDE,
            tile_size=IMAGE_SIDE,
            max_tiles=4,
            min_image_tokens=1,
            max_image_tokens=4,
        ),
        tokenizer,
        chat_template="{{ bos_token }}" + templates.chatml("<image>"),
    )
    text = Lfm2Config(
        **text_settings(tokenizer, num_hidden_layers=3),
        layer_types=["conv", "conv", "full_attention"],
        block_multiple_of=8,
    )
    vision = Siglip2VisionConfig(
        **LAYERS, num_attention_heads=2, patch_size=PATCH_SIDE, num_patches=16
    )
    config = Lfm2VlConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.image_token_id,
        downsample_factor=2,
        projector_hidden_size=32,
        tie_word_embeddings=False,
    )
    return random_model(config, processor, words=3), processor


def molmo2() -> tuple[Any, Any]:
    markers = (
        "<im_start>", "<im_end>", "<im_patch>", "<im_col>", "<low_res_im_start>", "<frame_start>",
        "<frame_end>", "<im_low>", "<|video|>", "<|image|>",
    )  # fmt: skip
    tokenizer = byte_tokenizer(*markers, "<|im_start|>", bos="<|endoftext|>", eos="<|im_end|>")
    side = {"height": IMAGE_SIDE, "width": IMAGE_SIDE}
    processor = Molmo2Processor(
        Molmo2ImageProcessor(size=side, patch_size=PATCH_SIDE, max_crops=3, overlap_margins=[1, 1]),
        Molmo2VideoProcessor(size=side, patch_size=PATCH_SIDE),
        tokenizer,
        chat_template=templates.MOLMO_2,
    )
    settings = text_settings(tokenizer, head_dim=16, vocab_size=len(tokenizer))
    config = Molmo2Config(
        vision_config={
            **LAYERS,
            **HEADS,
            "head_dim": 16,
            "image_size": [IMAGE_SIDE, IMAGE_SIDE],
            "patch_size": PATCH_SIDE,
            "num_position_embeddings": 16,
        },
        adapter_config={
            **HEADS,
            "vision_feature_layer": [-1, -2],
            "hidden_size": 32,
            "head_dim": 16,
            "intermediate_size": 64,
            "text_hidden_size": 32,
        },
        text_config={**settings, "additional_vocab_size": 8, "rope_scaling_layers": None},
        image_start_token_id=token_id(tokenizer, "<im_start>"),
        low_res_image_start_token_id=token_id(tokenizer, "<low_res_im_start>"),
        image_end_token_id=token_id(tokenizer, "<im_end>"),
        image_patch_id=token_id(tokenizer, "<im_patch>"),
        image_col_id=token_id(tokenizer, "<im_col>"),
        frame_start_token_id=token_id(tokenizer, "<frame_start>"),
        frame_end_token_id=token_id(tokenizer, "<frame_end>"),
    )
    return random_model(config, processor, words=3), processor


def phi_4() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(
        "<|user|>", "<|assistant|>", "<|system|>", bos="<|endoftext|>", eos="<|end|>",
        named={"image_token": "<|image|>", "audio_token": "<|audio|>"},
    )  # fmt: skip
    # Its image processor counts tokens as if no picture had another side than 448 pixels.
    processor = Phi4MultimodalProcessor(
        Phi4MultimodalImageProcessor(dynamic_hd=2),
        Phi4MultimodalFeatureExtractor(),
        tokenizer,
        chat_template=templates.PHI_4,
    )
    small = dict.fromkeys(
        (
            "hidden_size",
            "intermediate_size",
            "ext_pw_out_channel",
            "depthwise_separable_out_channel",
            "nemo_conv_channels",
        ),
        32,
    )
    config = Phi4MultimodalConfig(
        **text_settings(tokenizer),
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 1.0,
        },
        vision_config={
            **LAYERS,
            "num_attention_heads": 2,
            "image_token_id": tokenizer.image_token_id,
        },
        audio_config={
            **small,
            "num_blocks": 1,
            "num_attention_heads": 2,
            "audio_token_id": tokenizer.audio_token_id,
        },
    )
    return random_model(config, processor, seed=1, factor=15, words=1), processor


WITH_TORCHVISION: dict[str, Builder] = {
    "llava_onevision": llava_onevision,
    "pixtral": pixtral,
    "mistral3": mistral3,
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "qwen3_vl_thinking": qwen3_vl_thinking,
    "qwen3_5": qwen3_5,
    "internvl": internvl,
    "smolvlm": smolvlm,
    "gemma4": gemma4,
    "command_a_vision": command_a_vision,
    "glm_4_1v": glm_4_1v,
    "kimi_k2_5": kimi_k2_5,
    "lfm2_vl": lfm2_vl,
    "molmo2": molmo2,
    "phi_4": phi_4,
}
