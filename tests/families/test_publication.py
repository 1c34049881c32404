"""The repository of every family, loaded by the Auto classes, answers as the protected original."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.loading.models import load_model
from tests.families.mixed_batch import FAMILIES
from tests.families.parts import picture
from tests.families.publication import NOT_PUBLISHED, is_alike, loaded_again, publish, says


PUBLISHED = [name for name in FAMILIES if name not in NOT_PUBLISHED]
# Their processors need torchvision; `make families` has it.
REFUSED = sorted(NOT_PUBLISHED & FAMILIES.keys())


@pytest.mark.parametrize("weights", ["copy", "thin"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_published_is_whole_and_answers_as_the_protected_original(name, weights, tmp_path):
    assert is_alike(name, tmp_path, weights)
    assert list((tmp_path / name).glob("*.safetensors")) == [] or weights == "copy"


@pytest.mark.parametrize("name", PUBLISHED)
def test_commands_load_the_stock_folder_and_the_repository_made_of_it(name, tmp_path):
    repository = publish(name, tmp_path)
    for folder in (tmp_path / "base", repository):
        loaded = load_model(str(folder))
        inputs = loaded.inputs_for("Is it so?", [picture(1)])
        given = {"max_new_tokens": 3, "processor": loaded.processor}
        output = loaded.model.generate(**inputs, **given, return_dict_in_generate=True)
        assert output.ecso_traces[0].failed_step is None


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


if REFUSED:

    @pytest.mark.parametrize("name", REFUSED)
    def test_what_no_auto_class_for_images_knows_is_not_published(name, tmp_path):
        with pytest.raises(ECSOInputError, match="AutoModelForImageTextToText does not know"):
            publish(name, tmp_path)
        assert [each.name for each in tmp_path.iterdir()] == ["base"]
