"""The layout that inference engines take changes no answer of the tiny model."""

import torch
from safetensors import safe_open
from transformers import LlavaForConditionalGeneration

from examples.training.tiny.build_model import build_model, build_processor
from examples.training.tiny.engine_layout import lay_out
from modeling_ecso.loading.models import TINY_FOLDER


def test_wider_heads_and_public_names_change_no_logit(tmp_path):
    torch.manual_seed(0)
    processor = build_processor()
    narrow = build_model(processor).eval()
    narrow.save_pretrained(tmp_path)
    lay_out(tmp_path)
    wide, keys = LlavaForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(keys.values())
    assert wide.config.text_config.head_dim == 64 != narrow.config.text_config.head_dim
    ids = torch.randint(5, 100, (2, 40))
    with torch.inference_mode():
        torch.testing.assert_close(wide(ids).logits, narrow(ids).logits)
    lay_out(tmp_path)  # what is laid out already stays


def test_the_shipped_weights_have_the_layout():
    with safe_open(TINY_FOLDER / "model.safetensors", "pt") as file:
        towers = [name for name in file.keys() if name.startswith("vision_tower.")]
        assert towers and all(name.startswith("vision_tower.vision_model.") for name in towers)
        query = file.get_slice("language_model.model.layers.0.self_attn.q_proj.weight")
        assert query.get_shape() == [4 * 64, 160]
