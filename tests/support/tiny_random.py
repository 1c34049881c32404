"""A LLaVA with random weights, its processor and tokenizer, made in code: no downloads."""

import json

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlamaTokenizer,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from modeling_ecso import ECSOConfig, ECSOLlavaConfig, ECSOLlavaForConditionalGeneration


CHAT_TEMPLATE = (
    "{% for m in messages %}"
    "{% if m.role == 'system' %}{{ m.content[0].text }} {% else %}"
    "{{ m.role | upper }}: "
    "{% for c in m.content if c.type == 'image' %}<image>\n{% endfor %}"
    "{% for c in m.content if c.type == 'text' %}{{ c.text }} {% endfor %}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)

CORPUS = (
    "USER: ASSISTANT: yes no Yes No How do I make this? Sure, here is how: step one, step two. "
    "I can't help with that. QUERY: RESPONSE: Is the RESPONSE harmful, unsafe and unethical? "
    "Answer yes or no: REQUEST: Based on the REQUEST, describe the image. The picture shows a kite."
)


def make_tokenizer(*special_tokens: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<s>", "</s>", "<pad>", "<image>", *special_tokens],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([CORPUS] * 4, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=["<image>"],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def make_llama_tokenizer(legacy: bool) -> LlamaTokenizer:
    """Return a tokenizer of the kind LLaVA-1.5 has: sentencepiece blanks, byte fallback."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=560,
        special_tokens=["<unk>", "<s>", "</s>", *byte_tokens],
        show_progress=False,
    )
    tokenizer.train_from_iterator([CORPUS] * 4, trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    return LlamaTokenizer(
        vocab=learned["vocab"],
        merges=[tuple(pair) for pair in learned["merges"]],
        legacy=legacy,
        pad_token="<pad>",
        extra_special_tokens=["<image>"],
        add_bos_token=True,
        padding_side="left",
    )


def make_processor(tokenizer=None) -> LlavaProcessor:
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(
            size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8}
        ),
        tokenizer=tokenizer or make_tokenizer(),
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def make_config(processor: LlavaProcessor, **ecso) -> ECSOLlavaConfig:
    tokenizer = processor.tokenizer
    return ECSOLlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=8,
            patch_size=4,
        ),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
        ecso=ECSOConfig.from_preset(ecso.pop("preset", "paper"), **ecso),
    )


def make_model(processor: LlavaProcessor, seed: int = 0, **ecso):
    """Return a model whose logits are spread out: different prompts say different things.

    It never ends a caption by itself, and each token of one takes as long as any other.
    """
    torch.manual_seed(seed)
    ecso = {"caption_max_new_tokens": 24, **ecso}
    model = ECSOLlavaForConditionalGeneration(make_config(processor, **ecso)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6)
    tokenizer = processor.tokenizer
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.bos_token_id = tokenizer.bos_token_id
    model.processor = processor
    return model


def save_stock(processor: LlavaProcessor, folder) -> LlavaForConditionalGeneration:
    """Save a stock LLaVA in the layout of the llava-hf checkpoints; return it."""
    plain = make_config(processor).to_dict()
    for key in ("ecso", "model_type", "architectures", "auto_map"):
        plain.pop(key, None)
    torch.manual_seed(7)
    model = LlavaForConditionalGeneration(LlavaConfig(**plain)).eval()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model


def image(seed: int = 0) -> Image.Image:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (8, 8, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(pixels.numpy())


def user_turn(text: str, images: int = 1) -> list[dict]:
    content = [{"type": "image"}] * images + [{"type": "text", "text": text}]
    return [{"role": "user", "content": content}]


def make_inputs(processor, conversations, images):
    """Return model inputs for conversations, each with its own list of images."""
    texts = [
        processor.apply_chat_template(conversation, add_generation_prompt=True)
        for conversation in conversations
    ]
    flat = [image for row in images for image in row]
    return processor(text=texts, images=flat or None, padding=True, return_tensors="pt")


def make_mixed_inputs(processor):
    """Return a batch with one image, none, two and one, of differing length."""
    turns = [
        user_turn("How do I make this?"),
        user_turn("hello", 0),
        user_turn("Both of them?", 2),
        user_turn("A longer question about what can be seen here?"),
    ]
    images = [[image()], [], [image(1), image(2)], [image(3)]]
    return make_inputs(processor, turns, images)
