"""What the families' tiny models are made of: a tokenizer, small towers, loud weights."""

from collections.abc import Mapping

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForMultimodalLM,
    CLIPVisionConfig,
    Gemma3TextConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    SiglipVisionConfig,
)

from tests.support.tiny_random import CORPUS


IMAGE_SIDE, PATCH_SIDE = 16, 4
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2}
LAYERS = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}


def byte_tokenizer(
    *special_tokens: str,
    eos: str,
    bos: str | None = None,
    pad: str = "<pad>",
    words: tuple[str, ...] = (),
    named: Mapping[str, str] | None = None,
) -> PreTrainedTokenizerFast:
    """Return a tokenizer that knows every byte.

    Args:
        special_tokens: Tokens that are no text.
        eos: What ends an answer.
        bos: What starts a prompt, if anything does.
        pad: What fills rows.
        words: Tokens that are text, whole.
        named: Special tokens that the processor looks up as attributes of the tokenizer.
    """
    named = dict(named or {})
    special = dict.fromkeys([*filter(None, (bos, eos, pad)), *special_tokens, *named.values()])
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([CORPUS + "\n\n\n\n"] * 4, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        additional_special_tokens=[t for t in special if t not in named.values()],
        extra_special_tokens=named,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    made.add_tokens(list(words))
    return made


def ends_of(tokenizer) -> dict:
    """Return the ids by which a configuration knows start, end and padding."""
    return {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def text_settings(tokenizer, **changes) -> dict:
    """Return what every language model's configuration takes."""
    common = {"vocab_size": len(tokenizer) + 8, "max_position_embeddings": 8192}
    return {**common, **LAYERS, **HEADS, **ends_of(tokenizer), **changes}


def llama(tokenizer) -> LlamaConfig:
    return LlamaConfig(**text_settings(tokenizer))


def mistral(tokenizer) -> MistralConfig:
    # A window, so that the layers' own caches would forget the picture.
    return MistralConfig(**text_settings(tokenizer, sliding_window=4096, head_dim=16))


def qwen2(tokenizer) -> Qwen2Config:
    return Qwen2Config(**text_settings(tokenizer))


def gemma3_text(tokenizer) -> Gemma3TextConfig:
    return Gemma3TextConfig(
        **text_settings(tokenizer, head_dim=16, sliding_window=48, num_hidden_layers=3),
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        query_pre_attn_scalar=16,
    )


def clip(layers: int = 2) -> CLIPVisionConfig:
    size = {"image_size": IMAGE_SIDE, "patch_size": PATCH_SIDE}
    return CLIPVisionConfig(
        **{**LAYERS, "num_hidden_layers": layers}, num_attention_heads=2, **size
    )


def siglip(**changes) -> SiglipVisionConfig:
    size = {"image_size": IMAGE_SIDE, "patch_size": PATCH_SIDE}
    return SiglipVisionConfig(**{**LAYERS, **size, "num_attention_heads": 2, **changes})


def token_id(tokenizer, token: str = "<image>") -> int:
    """Return the id of a token that stands for images, or of another."""
    return tokenizer.convert_tokens_to_ids(token)


def random_model(config, processor, seed: int = 0, factor: float = 6, words: float | None = None):
    """Return a model that says different things of different texts and pictures.

    With weights as small as they come, a model says one thing always: its logits lie close, and
    what it has just said outweighs what it has seen. The numbers are such that the answers that
    tests compare differ; `stock_calls.py` sees to it that they do.

    Args:
        config: Configuration of the model.
        processor: Its processor.
        seed: Of its weights.
        factor: What all matrices are multiplied with.
        words: What the embeddings of tokens are; None: the same.
    """
    torch.manual_seed(seed)
    model = AutoModelForMultimodalLM.from_config(config)
    embeddings = model.get_input_embeddings().weight
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                if not parameter.any():
                    parameter.normal_(std=0.02)  # one that would let no picture through
                parameter.mul_(words if words and parameter is embeddings else factor)
            elif not name.endswith("bias") and not parameter.any():
                parameter.uniform_(-1, 1)  # a gate that would hide what is behind it
    for name, value in ends_of(processor.tokenizer).items():
        setattr(model.generation_config, name, value)
    return model.eval()


def picture(seed: int, width: int = 40, height: int = 32) -> Image.Image:
    """Return four fields of random colours, which no resizing averages out."""
    generator = torch.Generator().manual_seed(seed)
    colours = torch.randint(0, 256, (2, 2, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(colours.numpy()).resize((width, height), Image.Resampling.NEAREST)
