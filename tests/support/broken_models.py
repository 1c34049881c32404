"""Every way a model's folder was seen broken, each as a function that breaks a whole one."""

import json

import torch
from safetensors.torch import load_file, save_file


WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 9\n"
ROLES = "{% for m in messages %}{{ m['role'].upper() }}: "
ANSWER = "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
TEXTS = "{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] }}{% endfor %} "


def written(name, content):
    def break_(folder):
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return break_


def removed(*names):
    def break_(folder):
        for name in names:
            (folder / name).unlink()

    return break_


def cut(name, share):
    def break_(folder):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(len(whole) * share)])

    return break_


def edited(name, *keys, to=None):
    """Set the value at a path of keys; None: take it away."""

    def break_(folder):
        content = json.loads((folder / name).read_text("utf-8"))
        *path, last = keys
        place = content
        for key in path:
            place = place[key]
        if to is None:
            place.pop(last, None)
        else:
            place[last] = to
        (folder / name).write_text(json.dumps(content), "utf-8")

    return break_


def reweighted(change):
    """Put other tensors in place of those of the weights."""

    def break_(folder):
        file = folder / WEIGHTS
        tensors = {name: change(name, weights) for name, weights in load_file(file).items()}
        save_file(tensors, file, metadata={"format": "pt"})

    return break_


def all_of(*breaks):
    def break_(folder):
        for one in breaks:
            one(folder)

    return break_


def weights(change):
    def break_(folder):
        tensors = change(load_file(folder / WEIGHTS))
        save_file(tensors, folder / WEIGHTS, {"format": "pt"})

    return break_


def without(part):
    return weights(lambda tensors: {k: v for k, v in tensors.items() if part not in k})


def embeddings_of_a_hundred(tensors):
    rows = next(len(v) for k, v in tensors.items() if k.endswith("embed_tokens.weight"))
    return {k: v[:100].clone() if len(v) == rows else v for k, v in tensors.items()}


def emptied(folder):
    for file in folder.iterdir():
        file.unlink()


def pickled(folder):
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def sharded(folder):
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    keys, places = sorted(tensors), {}
    for number, part in enumerate((keys[: len(keys) // 2], keys[len(keys) // 2 :]), 1):
        name = f"model-0000{number}-of-00002.safetensors"
        save_file({key: tensors[key] for key in part}, folder / name, {"format": "pt"})
        places |= dict.fromkeys(part, name)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}), "utf-8")


def folder_in_place_of(name):
    def break_(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return break_


def processor_of_before(folder):
    """Leave the processor as checkpoints of 2024 have it: image sizes alone."""
    stored = json.loads((folder / "processor_config.json").read_text("utf-8"))
    content = json.dumps(stored["image_processor"])
    (folder / "preprocessor_config.json").write_text(content, "utf-8")
    (folder / "processor_config.json").unlink()


CONFIG, PROCESSOR = "config.json", "processor_config.json"


def quantized(**changes):
    return edited(CONFIG, "quantization_config", to=changes)


# By name: how it is broken, and what the one line says.
BROKEN = {
    "empty": (emptied, "the folder is empty"),
    "no config": (removed(CONFIG), "there is no config.json"),
    "adapter": (
        all_of(removed(CONFIG), written("adapter_config.json", "{}")),
        "a PEFT adapter, not a model; merge it",
    ),
    "config cut": (cut(CONFIG, 0.5), r"config.json, line \d+: not valid JSON"),
    "config empty": (written(CONFIG, ""), "config.json, line 1: not valid JSON"),
    "config list": (written(CONFIG, "[1]"), "config.json is no JSON object"),
    "config deep": (written(CONFIG, "[" * 99_999), "config.json holds JSON that cannot be read"),
    "config latin": (written(CONFIG, b'{"a": "\xe9"}'), "config.json is not UTF-8"),
    "config BOM": (written(CONFIG, b"\xef\xbb\xbf{}"), "config.json, line 1: not valid JSON"),
    "config pointer": (written(CONFIG, POINTER), "config.json is a pointer of Git LFS"),
    "config folder": (folder_in_place_of(CONFIG), r"config.json cannot be read \(Is a directory"),
    "other model": (edited(CONFIG, "model_type", to="bert"), "a model of type 'bert'"),
    "original layout": (edited(CONFIG, "model_type", to="llava_llama"), "ends in -hf"),
    "no text model": (edited(CONFIG, "text_config"), "config.json is in another layout"),
    "no vision model": (edited(CONFIG, "vision_config"), "config.json is in another layout"),
    "unknown text model": (
        edited(CONFIG, "text_config", "model_type", to="newest"),
        "no model could be loaded from there .*newest",
    ),
    "config of text": (
        edited(CONFIG, "text_config", "hidden_size", to="many"),
        "no model could be loaded from there .*expected int, got str",
    ),
    "other sizes": (
        edited(CONFIG, "text_config", "hidden_size", to=64),
        r"the weights do not fit config.json: \d+ mismatched",
    ),
    "odd heads": (
        edited(CONFIG, "text_config", "num_attention_heads", to=7),
        "no model could be loaded from there .*attention heads",
    ),
    "more layers": (
        edited(CONFIG, "text_config", "num_hidden_layers", to=9),
        r"the weights do not fit config.json: \d+ missing, such as \S+layers",
    ),
    "fewer layers": (
        edited(CONFIG, "text_config", "num_hidden_layers", to=2),
        r"the weights do not fit config.json: \d+ unexpected, such as \S+layers",
    ),
    "unknown dtype": (edited(CONFIG, "dtype", to="float99"), "no model could be .*float99"),
    "ECSO settings": (edited(CONFIG, "ecso", "refusal", to=""), "ecso.refusal must be a non-empty"),
    "no ECSO settings": (edited(CONFIG, "ecso"), "ecso is missing from config.json"),
    "image token": (edited(CONFIG, "image_token_index", to=5), "token 5 of config.json; get both"),
    "no such token": (edited(CONFIG, "image_token_index", to=99_999), "token 99999 of config.json"),
    "4 bits": (
        quantized(quant_method="bitsandbytes", load_in_4bit=True),
        "needs a package that is missing here: .*bitsandbytes",
    ),
    "compressed": (
        quantized(quant_method="compressed-tensors", config_groups={}),
        "needs a package that is missing here: compressed-tensors",
    ),
    "gptq": (quantized(quant_method="gptq", bits=4), "needs a package .*optimum"),
    "awq": (quantized(quant_method="awq", bits=4), "needs a package .*gptqmodel"),
    "nameless bits": (quantized(bits=4), "no model could be loaded from there .*quant_method"),
    "no weights": (removed(WEIGHTS), r"there are no weights \(model.safetensors\)"),
    "weights pointer": (written(WEIGHTS, POINTER), "model.safetensors is a pointer of Git LFS"),
    "weights empty": (written(WEIGHTS, ""), "model.safetensors is cut short"),
    "weights cut": (cut(WEIGHTS, 0.5), "model.safetensors is cut short"),
    "weights cut early": (cut(WEIGHTS, 0.0001), "model.safetensors is cut short"),
    "weights page": (written(WEIGHTS, "<html>Not found</html>" * 99), "or no safetensors file"),
    "weights pickled": (pickled, "its weights are pickles, which can run code"),
    "weights gguf": (
        all_of(removed(WEIGHTS), written("model-q4.gguf", "GGUF")),
        "its weights are in the GGUF format",
    ),
    "no part": (
        all_of(sharded, removed("model-00002-of-00002.safetensors")),
        "model-00002-of-00002.safetensors is missing, 1 of 2 parts",
    ),
    "part pointer": (
        all_of(sharded, written("model-00002-of-00002.safetensors", POINTER)),
        "model-00002-of-00002.safetensors is a pointer of Git LFS",
    ),
    "part cut": (
        all_of(sharded, cut("model-00002-of-00002.safetensors", 0.9)),
        "model-00002-of-00002.safetensors is cut short",
    ),
    "index cut": (all_of(sharded, cut(INDEX, 0.5)), f"{INDEX}, line 1: not valid JSON"),
    "index bare": (all_of(sharded, written(INDEX, "{}")), f"{INDEX} lacks weight_map or metadata"),
    "no vision tower": (without("vision"), r"\d+ missing, such as \S*vision_tower"),
    "no output layer": (without("lm_head"), "1 missing, such as lm_head"),
    "further weights": (
        weights(lambda tensors: {**tensors, "other.weight": torch.zeros(3)}),
        "1 unexpected, such as other.weight",
    ),
    "narrow weights": (weights(embeddings_of_a_hundred), r"\d+ mismatched, such as"),
    "narrow vocabulary": (
        all_of(
            weights(embeddings_of_a_hundred),
            edited(CONFIG, "text_config", "vocab_size", to=100),
        ),
        "model embeddings of 100 tokens",
    ),
    "no tokenizer": (removed("tokenizer.json"), r"there is no tokenizer \(tokenizer.json\)"),
    "newer tokenizer": (
        edited("tokenizer.json", "model", "type", to="Newest"),
        "tokenizer.json cannot be read by tokenizers",
    ),
    "newer part of it": (
        edited("tokenizer.json", "pre_tokenizer", to={"type": "Newest"}),
        "tokenizer.json cannot be read by tokenizers",
    ),
    "tokenizer cut": (cut("tokenizer.json", 0.5), r"tokenizer.json, line \d+: not valid JSON"),
    "tokenizer pointer": (written("tokenizer.json", POINTER), "tokenizer.json is a pointer"),
    "tokenizer settings": (cut("tokenizer_config.json", 0.5), "tokenizer_config.json, line"),
    "no processor": (removed(PROCESSOR), "there is no processor"),
    "processor cut": (cut(PROCESSOR, 0.5), r"processor_config.json, line \d+: not valid JSON"),
    "unknown images": (
        edited(PROCESSOR, "image_processor", "image_processor_type", to="Newest"),
        "no model could be loaded from there",
    ),
    "odd image size": (
        edited(PROCESSOR, "image_processor", "size", to={"a": 1}),
        "no model could be loaded from there",
    ),
    "small images": (
        all_of(
            edited(PROCESSOR, "image_processor", "crop_size", to={"height": 48, "width": 48}),
            edited(PROCESSOR, "image_processor", "size", to={"shortest_edge": 48}),
        ),
        "makes images of 48 x 48 pixels and the model takes 96 x 96",
    ),
    "no template": (removed("chat_template.jinja"), "there is no chat template"),
    "empty template": (written("chat_template.jinja", ""), "there is no chat template"),
    "template cut": (written("chat_template.jinja", "{% if %}"), r"not take .*\(TemplateSyntax"),
    "template refuses": (
        written("chat_template.jinja", "{{ raise_exception('no') }}"),
        r"the chat template does not take images and texts \(TemplateError\)",
    ),
    "template of strings": (
        written("chat_template.jinja", ROLES + "{{ 'A ' + m['content'] }} " + ANSWER),
        r"the chat template does not take images and texts \(TypeError\)",
    ),
    "template of lists": (
        written("chat_template.jinja", ROLES + "{{ m['content'] }} " + ANSWER),
        "the chat template does not put in images and texts",
    ),
    "template of texts": (
        written("chat_template.jinja", ROLES + TEXTS + ANSWER),
        "the chat template does not put in images and texts",
    ),
    "pixels by nought": (
        edited(PROCESSOR, "image_processor", "image_std", to=[0, 0, 0]),
        "images whose pixels are no numbers; see image_mean, image_std",
    ),
    "NaN": (
        reweighted(lambda name, weights: weights * float("nan")),
        "its weights hold NaN or infinity in ",
    ),
    "infinite": (
        reweighted(lambda name, weights: weights / (0.0 if "vision_tower" in name else 1.0)),
        r"its weights hold NaN or infinity in model\.vision_tower",
    ),
    "of 8 bits": (
        reweighted(lambda name, weights: (weights * 100).to(torch.int8)),
        r"its weights are quantized, such as \S+ \(I8\)",
    ),
    "beams": (
        edited("generation_config.json", "num_beams", to="many"),
        "no model could be loaded from there",
    ),
    "end token": (
        edited("generation_config.json", "eos_token_id", to="</s>"),
        "no model could be loaded from there",
    ),
}

# What older checkpoints leave out, or have wrong, and the model's own configuration knows.
MENDED = {
    "old processor": processor_of_before,
    "no patch size": edited(PROCESSOR, "patch_size"),
    "other patch size": edited(PROCESSOR, "patch_size", to=8),
    "no strategy": edited(PROCESSOR, "vision_feature_select_strategy"),
    "other strategy": edited(PROCESSOR, "vision_feature_select_strategy", to="full"),
    "no class feature": edited(PROCESSOR, "num_additional_image_tokens"),
    "parts": sharded,
    "no generation settings": removed("generation_config.json"),
}

# What only shows when the model answers.
FAILING = {
    "temperature": all_of(
        edited("generation_config.json", "do_sample", to=True),
        edited("generation_config.json", "temperature", to=0.0),
    ),
}
