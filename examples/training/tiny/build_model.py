"""Builds the untrained tiny LLaVA and its processor, all of stock transformers classes."""

import random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from .drawing import random_scene
from .examples_of_world import (
    SHORT_QUESTION,
    SKILLS_WITH_IMAGE,
    SKILLS_WITHOUT_IMAGE,
    short_answer,
)


IMAGE_SIZE, PATCH_SIZE = 96, 12
PATCHES = (IMAGE_SIZE // PATCH_SIZE) ** 2

BOS, EOS, PAD, IMAGE = SPECIAL_TOKENS = ("<s>", "</s>", "<pad>", "<image>")

VOCABULARY_LIMIT = 1500
CORPUS_EXAMPLES_PER_SKILL = 3000

# Renders as llava-1.5 does: "USER: <image>\nHow do I make this? ASSISTANT:".
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{%- if message.content is string -%}
{%- set parts = [{'type': 'text', 'text': message.content}] -%}
{%- else -%}
{%- set parts = message.content -%}
{%- endif -%}
{%- if message.role != 'system' -%}{{ message.role | upper }}: {% endif -%}
{%- for part in parts if part.type == 'image' -%}{{ '<image>\\n' }}{%- endfor -%}
{%- for part in parts if part.type == 'text' -%}{{ part.text }}{%- endfor -%}
{{ ' ' }}
{%- endfor -%}
{%- if add_generation_prompt -%}ASSISTANT:{%- endif -%}
"""


def build_processor() -> LlavaProcessor:
    """Return the processor: image processor, tokenizer and chat template."""
    image_processor = CLIPImageProcessor(
        size={"shortest_edge": IMAGE_SIZE},
        crop_size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    return LlavaProcessor(
        image_processor=image_processor,
        tokenizer=build_tokenizer(),
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE,
    )


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer in which every word of the world is one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_LIMIT,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A",
        pair=f"{BOS} $A {BOS} $B",
        special_tokens=[(BOS, tokenizer.token_to_id(BOS))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        extra_special_tokens={"image_token": IMAGE},
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )


def build_model(
    processor: LlavaProcessor, text_config: LlamaConfig | None = None
) -> LlavaForConditionalGeneration:
    """Return the model with random weights.

    Args:
        processor: What `build_processor` returns.
        text_config: Of a language model whose weights are to be loaded; a fresh one by default.
    """
    tokenizer = processor.tokenizer
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision_config = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
        projection_dim=128,
    )
    text_config = text_config or LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=160,
        intermediate_size=448,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        **ids,
    )
    config = LlavaConfig(
        vision_config=vision_config,
        text_config=text_config,
        image_token_index=processor.image_token_id,
        image_seq_length=PATCHES,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
        **ids,
    )
    model = LlavaForConditionalGeneration(config)
    model.generation_config = GenerationConfig(do_sample=False, max_new_tokens=48, **ids)
    return model.to(torch.float32)


def _corpus() -> list[str]:
    """Return texts that hold every word of the world, in every place where it can stand."""
    generator = random.Random(0)
    texts = []
    for skill in (*SKILLS_WITH_IMAGE, *SKILLS_WITHOUT_IMAGE, short_answer):
        for _ in range(CORPUS_EXAMPLES_PER_SKILL):
            example = skill(random_scene(generator), generator)
            texts.append(f"USER: {example.prompt} ASSISTANT: {example.answer}")
            # Answers stand at the start of a line in the detect question.
            texts.append(example.answer)
    return [*texts, f"USER:\n{SHORT_QUESTION}"]
