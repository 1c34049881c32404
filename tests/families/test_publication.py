"""The repository of every family, loaded by the Auto classes, answers as the protected original."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from modeling_ecso.errors_ecso import ECSOInputError
from tests.families.mixed_batch import FAMILIES
from tests.families.publication import NOT_PUBLISHED, is_alike, loaded_again, publish, says


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in NOT_PUBLISHED])
def test_what_is_published_is_whole_and_answers_as_the_protected_original(name, tmp_path):
    assert is_alike(name, tmp_path)


def test_other_weights_and_other_settings_would_be_seen(tmp_path):
    repository = publish("llava_next", tmp_path)
    model, processor, _ = loaded_again(repository)
    answers = [says("llava_next", model, processor, unclear_is_unsafe=so) for so in (True, False)]
    assert answers[0] != answers[1]
    tensors = load_file(repository / "model.safetensors")
    changed = {name: torch.roll(tensor, 1, 0) for name, tensor in tensors.items()}
    save_file(changed, repository / "model.safetensors", metadata={"format": "pt"})
    other, processor, _ = loaded_again(repository)
    assert says("llava_next", other, processor, unclear_is_unsafe=True) != answers[0]


@pytest.mark.parametrize("name", sorted(NOT_PUBLISHED & FAMILIES.keys()))
def test_what_no_auto_class_for_images_knows_is_not_published(name, tmp_path):
    with pytest.raises(ECSOInputError, match="AutoModelForImageTextToText does not know"):
        publish(name, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["base"]
