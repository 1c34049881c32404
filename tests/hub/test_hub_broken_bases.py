"""However a base is broken, build says so in one line and leaves nothing behind."""

import json
import shutil

import pytest

from hub_upload.build import build
from hub_upload.command import main
from hub_upload.recipe import load_recipe
from modeling_ecso.loading.models import TINY_FOLDER


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


@pytest.fixture
def base(tmp_path):
    return shutil.copytree(TINY_FOLDER, tmp_path / "base")


def change(file, **more):
    content = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**content, **more}), "utf-8")


def pointer(name):
    return lambda base: (base / name).write_text(POINTER, "utf-8")


def cut(name, keep):
    return lambda base: (base / name).write_bytes((base / name).read_bytes()[:keep])


def write(name, text):
    return lambda base: (base / name).write_text(text, "utf-8")


def without(name):
    return lambda base: (base / name).unlink()


def newer_tokenizer(base):
    tokenizer = json.loads((base / "tokenizer.json").read_text("utf-8"))
    tokenizer["model"]["type"] = "NotInventedYet"
    (base / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")


def too_few_words(base):
    config = json.loads((base / "config.json").read_text("utf-8"))
    config["text_config"]["vocab_size"] = 10
    (base / "config.json").write_text(json.dumps(config), "utf-8")


def unknown_tower(base):
    change(base / "processor_config.json", num_additional_image_tokens=None)
    change(base / "config.json", vision_config={"patch_size": 12})


def looks_where_an_image_stands(base):
    template = base / "chat_template.jinja"
    own = "{% if messages[0].content[0].type != 'image' %}No images. {% endif %}"
    template.write_text(own + template.read_text("utf-8"), "utf-8")


TOO_SIMPLE = "{% for m in messages %}{{ m.role + ': ' + m.content }}{% endfor %}"
IMAGELESS = "{% for m in messages %}{% for c in m.content %}{{ c.text }}{% endfor %}{% endfor %}"

BROKEN = {
    "pointer for weights": (pointer("model.safetensors"), "a pointer of Git LFS"),
    "pointer for tokenizer": (pointer("tokenizer.json"), "a pointer of Git LFS"),
    "pointer for config": (pointer("config.json"), "a pointer of Git LFS"),
    "cut weights": (cut("model.safetensors", 1_000_000), "cut short"),
    "cut header": (cut("model.safetensors", 100), "cut short"),
    "empty weights": (cut("model.safetensors", 0), "cut short"),
    "cut tokenizer": (cut("tokenizer.json", 1000), "its processor cannot be used"),
    "cut config": (cut("config.json", 100), "not JSON; get it again"),
    "config is a list": (write("config.json", "[]"), "not a JSON object"),
    "config of bytes": (lambda b: (b / "config.json").write_bytes(b"\xff\xfe"), "not JSON"),
    "settings too deep": (write("tokenizer_config.json", "[" * 100_000), "not JSON"),
    "newer tokenizer": (newer_tokenizer, "its processor cannot be used"),
    "no tokenizer": (without("tokenizer.json"), "its processor cannot be used"),
    "no settings": (without("tokenizer_config.json"), "no tokenizer_config.json"),
    "too few words": (too_few_words, "it is the tokenizer of another model"),
    "other image token": (
        lambda base: change(base / "config.json", image_token_index=7, image_token_id=7),
        "they belong to different models",
    ),
    "no template": (without("chat_template.jinja"), "no chat template"),
    "template wants strings": (write("chat_template.jinja", TOO_SIMPLE), "its chat template"),
    "template drops images": (write("chat_template.jinja", IMAGELESS), "loses the image"),
    "template is broken": (write("chat_template.jinja", "{% for %}"), "its chat template"),
    "template cannot be read back": (looks_where_an_image_stands, "cannot be framed"),
    "unknown tower": (unknown_tower, "no num_additional_image_tokens, and config.json does not"),
    "wrong values": (
        lambda base: change(base / "config.json", text_config={"hidden_size": "many"}),
        "its config.json cannot be used",
    ),
    "thin": (
        lambda base: change(base / "config.json", weights_from=["odd"]),
        "a thin repository, without weights",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_base_is_one_line(base, tmp_path, capsys, kind):
    spoil, says = BROKEN[kind]
    spoil(base)
    command = ["build", "tiny", "--base", str(base), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.startswith("ecso-hub: ") and says in said and "Traceback" not in said
    assert len(said.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base"]


def test_a_processor_without_the_size_of_a_patch_is_completed_from_the_config(base, tmp_path):
    stored = json.loads((base / "processor_config.json").read_text("utf-8"))
    (base / "processor_config.json").unlink()
    image = stored["image_processor"]
    (base / "preprocessor_config.json").write_text(json.dumps(image), "utf-8")
    build(load_recipe("tiny"), tmp_path / "out", str(base))
    completed = json.loads((tmp_path / "out" / "processor_config.json").read_text("utf-8"))
    for name in ("patch_size", "num_additional_image_tokens", "vision_feature_select_strategy"):
        assert completed[name] == stored[name]
    assert "image_processor" not in completed
