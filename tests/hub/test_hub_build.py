"""Recipes and builds: what may go in, and what stops everything."""

import json
import shutil

import pytest

from hub_upload.build import build
from hub_upload.recipe import known_recipes, load_recipe
from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.loading.models import TINY_FOLDER


@pytest.fixture
def base(tmp_path):
    """A checkpoint to spoil."""
    return shutil.copytree(TINY_FOLDER, tmp_path / "base")


@pytest.mark.parametrize("name", known_recipes())
def test_the_recipes_are_valid_wherever_their_bases_are(name):
    assert load_recipe(name).ecso_config["enabled"] is True


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("kind: model", "kind: space", "kind must be model or custom_generate; got 'space'"),
        ("weights: copy", "weights: some", "weights must be copy or thin; got 'some'"),
        ("preset: paper", "preset: strict", "'strict' is unknown"),
        ("ecso: {}", "ecso: {verdict_rule: maybe}", "ecso.verdict_rule must be one of"),
        ("ecso: {}", "ecso: {enabled: false}", "ecso.enabled must be true"),
        ("release: v1", "", "release is missing"),
        ("release: v1", "release: main", "release must be a text like v1"),
        ("weights: copy", "weights: copy\nwieghts: thin", "wieghts is no key of a recipe"),
        ("repo_id: embedded", "repo_id: a b", "base.repo_id must be OWNER/NAME"),
        (
            "repo_id: embedded\n  revision: null",
            "repo_id: a/b\n  revision: null",
            "base.revision must be a commit, or a tag or branch that leads to one; got None",
        ),
        ("kind: model", "kind: [", "not a YAML file"),
    ],
)
def test_a_wrong_recipe_names_file_key_and_value(tmp_path, old, new, says):
    text = load_recipe("tiny").path.read_text("utf-8")
    assert old in text
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(ECSOInputError) as caught:
        load_recipe(str(file))
    assert says in str(caught.value) and "mine.yaml" in str(caught.value)


def test_a_build_has_code_weights_processor_and_a_card_with_figures(tmp_path):
    build(load_recipe("tiny"), tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))
    assert stored["model_type"] == "ecso_llava"
    assert len(stored["auto_map"]) == 4 and "weights_from" not in stored
    assert not (tmp_path / "out" / "images").exists()
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "100.0%" in card and "python -m examples.training.tiny.measure" in card


def test_the_tokenizer_that_transformers_takes_for_the_stock_type_is_named(base, tmp_path):
    file = base / "tokenizer_config.json"
    stored = json.loads(file.read_text("utf-8"))
    # As LLaVA's checkpoints have it; by their type, transformers knows better.
    file.write_text(json.dumps({**stored, "tokenizer_class": "LlamaTokenizer"}), "utf-8")
    build(load_recipe("tiny"), tmp_path / "out", str(base))
    built = json.loads((tmp_path / "out" / file.name).read_text("utf-8"))
    assert built == stored


def test_a_card_without_a_result_file_says_so(tmp_path):
    build(load_recipe("custom-generate"), tmp_path / "out")
    assert "there is no result file" in (tmp_path / "out" / "README.md").read_text("utf-8")


def pickle_weights(base):
    (base / "model.safetensors").rename(base / "pytorch_model.bin")


def cut_weights(base):
    whole = (base / "model.safetensors").read_bytes()
    (base / "model.safetensors").write_bytes(whole[:-10])


def name_missing_shard(base):
    (base / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1.safetensors"}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


def add_env(base):
    (base / ".env").write_text("", "utf-8")


def add_token(base):
    (base / "NOTICE").write_text("hf_" + "a" * 34, "utf-8")


def other_type(base):
    (base / "config.json").write_text('{"model_type": "bert"}', "utf-8")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (pickle_weights, "pickled .* convert them first"),
        (cut_weights, "cut short"),
        (name_missing_shard, "missing, and the index names it"),
        (add_env, "name is that of a secret"),
        (add_token, "looks like a token"),
        (other_type, "a model of type 'bert'"),
    ],
)
def test_a_base_that_cannot_be_used_stops_the_build(base, tmp_path, spoil, says):
    spoil(base)
    with pytest.raises(ECSOInputError, match=says):
        build(load_recipe("tiny"), tmp_path / "out", str(base))
    assert not (tmp_path / "out").exists() and len(list(tmp_path.iterdir())) == 1


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "mine").write_text("", "utf-8")
    with pytest.raises(ECSOInputError, match="there is something already"):
        build(load_recipe("tiny"), tmp_path)
