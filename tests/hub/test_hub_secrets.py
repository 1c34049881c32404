"""No secret goes up: not in a file, not in its name, not behind a link, not in weights."""

import base64
import json
import os
import pickle
import shutil

import pytest

from hub_upload.allowed import files_of
from hub_upload.build import build
from hub_upload.model_json import cleaned
from hub_upload.push import PushTarget, plan_push
from hub_upload.recipe import load_recipe
from hub_upload.secret_patterns import kind_of_secret
from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.loading.models import TINY_FOLDER
from tests.support.built_folder import INDEX, SHARDS, make_folder, write_weights


HEX, WORD, UPPER, DIGITS = "0a1b2c3d4e5f6789", "aB3dE5gH7jK9mN1p", "A2B4C6D8E1F3G5H7", "1234567890"


def of(letters, size):
    return (letters * 20)[:size]


# Put together here, so that none stands in this file as a whole.
SECRETS = {
    "hugging face": "hf" + "_" + of(WORD, 34),
    "aws id": "AK" + "IA" + of(UPPER, 16),
    "aws session": "AS" + "IA" + of(UPPER, 16),
    "aws secret": "aws_secret" + "_access_key = " + of(WORD, 40),
    "google": "AI" + "za" + of(WORD, 35),
    "google client": "GOC" + "SPX-" + of(WORD, 28),
    "google account": '"private_key": "' + "-----BEGIN " + 'PRIVATE KEY-----"',
    "github": "gh" + "p_" + of(WORD, 36),
    "github fine": "github" + "_pat_" + of(WORD, 22) + "_" + of(WORD, 59),
    "gitlab": "gl" + "pat-" + of(WORD, 20),
    "openai": "s" + "k-" + of(WORD, 48),
    "openai project": "s" + "k-proj-" + of(WORD, 100),
    "anthropic": "s" + "k-ant-api03-" + of(WORD, 93),
    "slack bot": "xox" + "b-" + of(DIGITS, 12) + "-" + of(DIGITS, 12) + "-" + of(WORD, 24),
    "slack app": "xa" + "pp-1-" + of(UPPER, 11) + "-" + of(DIGITS, 13) + "-" + of(HEX, 64),
    "slack hook": "https://hooks.slack.com/" + "services/T" + of(UPPER, 8) + "/B" + of(WORD, 24),
    "stripe": "s" + "k_live_" + of(WORD, 24),
    "npm": "np" + "m_" + of(WORD, 36),
    "pypi": "py" + "pi-AgEI" + of(WORD, 80),
    "azure": "AccountName=a;Account" + "Key=" + of(WORD, 86) + "==",
    "azure client": of(WORD, 3) + "8" + "Q~" + of(WORD, 34),
    "jwt": "ey" + "J" + of(WORD, 20) + ".ey" + "J" + of(WORD, 20) + "." + of(WORD, 43),
    "ssh": "-----BEGIN OPENSSH " + "PRIVATE KEY-----",
    "pgp": "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----",
    "twilio": "S" + "K" + of(HEX, 32),
    "sendgrid": "S" + "G." + of(WORD, 22) + "." + of(WORD, 43),
    "telegram": of(DIGITS, 10) + ":A" + "A" + of(WORD, 33),
    "discord": "M" + of(WORD, 23) + "." + of(WORD, 6) + "." + of(WORD, 27),
    "docker": "dckr" + "_pat_" + of(WORD, 27),
    "digital ocean": "do" + "p_v1_" + of(HEX, 64),
    "databricks": "da" + "pi" + of(HEX, 32),
    "weights and biases": "WANDB_" + "API_KEY=" + of(HEX, 40),
    "groq": "gs" + "k_" + of(WORD, 52),
    "vault": "hv" + "s." + of(WORD, 90),
    "netrc": "machine api.example.org login me password " + of(HEX, 40),
    "address": "https://me:" + of(WORD, 12) + "@example.org/model",
    "hugging face oauth": "hf" + "_oauth_" + of(WORD, 34),
    "hugging face jwt": "hf" + "_jwt_" + of(WORD, 30) + "." + of(WORD, 30),
    "kaggle": "KG" + "AT_" + of(HEX, 32),
    "tavily": "tv" + "ly-" + of(WORD, 32),
    "jina": "ji" + "na_" + of(WORD, 60),
    "supabase": "sb" + "_secret_" + of(WORD, 31),
    "modal": "a" + "k-" + of(WORD, 22),
    "bitbucket": "AT" + "BB" + of(WORD, 32),
    "confluence": "AT" + "CTT3" + of(WORD, 180),
    "dropbox": "s" + "l." + of(WORD, 130),
    "meta": "EA" + "AC" + of(WORD, 100),
    "mapbox": "s" + "k.ey" + "J" + of(WORD, 60) + "." + of(WORD, 22),
    "sonarqube": "sq" + "u_" + of(HEX, 40),
    "plaid": "access-" + "sandbox-0a1b2c3d-4e5f-6789-0a1b-2c3d4e5f6789",
    "alibaba": "LT" + "AI5t" + of(WORD, 18),
    "yandex": "AQ" + "VN" + of(WORD, 36),
    "nuget": "oy" + "2" + of("a1b2c3d4e5f6g7h8i9", 43),
    "clojars": "CLO" + "JARS_" + of(HEX, 60),
    "circle": "CCI" + "PAT_" + of(WORD, 22) + "_" + of(HEX, 40),
    "buildkite": "bk" + "ua_" + of(HEX, 40),
    "dynatrace": "dt" + "0c01." + of(UPPER, 24) + "." + of(UPPER, 64),
    "brevo": "xkey" + "sib-" + of(HEX, 64) + "-" + of(WORD, 16),
    "shippo": "shippo" + "_live_" + of(HEX, 40),
    "readme": "rd" + "me_" + of("xn8s9hc2d4k6", 70),
    "prefect": "pn" + "u_" + of(WORD, 36),
    "okta": "SS" + "WS 00" + of(WORD, 40),
    "cloudflare": "v1" + ".0-" + of(HEX, 24) + "-" + of(HEX, 146),
    "google account's key": '"private_key' + '_id": "' + of(HEX, 40) + '"',
    "a service of tomorrow": "zz" + "9_" + of(WORD, 40),
    "another, of one case": "foo" + "-live-" + of(HEX, 32),
    "without a prefix": of(WORD, 32),
    "whatever is called a key": '"api_key": "' + of(WORD, 32) + '"',
}
ORDINARY = [
    '{"eos_token": "</s>", "pad_token": "<|end_of_text_0123456789|>", "token": 12345678901234567}',
    '{"bos_token": {"content": "<s>"}, "added_tokens_decoder": {"32000": {"content": "<image>"}}}',
    "task-specific-fine-tuning-of-large-language-models-with-images, risk-aware",
    "sha256: " + of(HEX, 64) + ", revision " + of(HEX, 40),
    "https://huggingface.co/owner/name/resolve/main/model.safetensors?download=true",
    "T5Gemma2ForConditionalGeneration, Wav2Vec2CTCTokenizer, Glm46VImageProcessorPil, BF16",
    "ECSO-LLaVA-v1.5-7B-hf-Q4_K_M-GGUF, as-described-in-section-2-of-the-paper, sl.abc",
    "sha256-" + of(HEX, 64) + " model-" + of(HEX, 40) + ".bin commit_" + of(HEX, 40),
    "![dot](data:image/png;base64," + of(WORD, 200) + ")",
]


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "built")


@pytest.fixture
def base(tmp_path):
    return shutil.copytree(TINY_FOLDER, tmp_path / "base")


def without_figures(folder):
    """The recipe of the tiny model for other weights."""
    text = load_recipe("tiny").path.read_text("utf-8")
    (folder / "mine.yaml").write_text(text.replace("[tiny/metrics.json]", "[]"), "utf-8")
    return load_recipe(str(folder / "mine.yaml"))


def refused(folder, says):
    """Both ways out refuse a folder, and say nothing of what is in it."""
    for check in (files_of, lambda f: plan_push(f, PushTarget("a/b"), needs_token=False)):
        with pytest.raises(ECSOInputError, match=says) as caught:
            check(folder)
        for secret in SECRETS.values():
            assert secret not in str(caught.value)


@pytest.mark.parametrize("kind", SECRETS)
def test_every_kind_of_secret_is_found_however_it_is_written(kind):
    secret = SECRETS[kind]
    text = f"It is\n{secret}\nfor now."
    assert kind_of_secret(text.encode())
    assert kind_of_secret(text.encode("utf-16"))
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in secret)
    assert kind_of_secret(f'{{"note": "{escaped}"}}'.encode())


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_texts_are_no_secrets(text):
    assert kind_of_secret(text.encode()) is None


def test_what_looks_random_in_base64_is_no_secret_in_a_list_of_tokens(folder):
    words = [
        base64.b64encode(word).decode() for word in (b" responsibilities", b" 12 Internationals")
    ]
    (folder / "tekken.json").write_text(json.dumps({"vocab": words}), "utf-8")
    files_of(folder)
    (folder / "tekken.json").write_text(json.dumps({"vocab": [SECRETS["github"]]}), "utf-8")
    refused(folder, "GitHub token")


@pytest.mark.parametrize(
    "name", ["LICENSE", "README.md", "config.json", "tokenizer_config.json", "chat_template.jinja"]
)
def test_a_secret_in_any_file_stops_push_and_verify(folder, name):
    secret = SECRETS["github"]
    (folder / name).write_text(json.dumps({"note": secret}), "utf-8")
    refused(folder, r"looks like a token or a private key \(GitHub token\)")


@pytest.mark.parametrize(
    "metadata",
    [
        {"note": SECRETS["aws id"]},
        {"training": json.dumps({"key": SECRETS["hugging face"]})},
        {SECRETS["openai"]: "x"},
    ],
    ids=["value", "nested", "key"],
)
def test_a_secret_in_the_metadata_of_weights_stops_push_and_build(folder, base, tmp_path, metadata):
    write_weights(folder / SHARDS[0], metadata=metadata)
    refused(folder, "looks like a token")
    write_weights(base / "model.safetensors", metadata=metadata)
    with pytest.raises(ECSOInputError, match="looks like a token"):
        build(without_figures(tmp_path), tmp_path / "out", str(base))


@pytest.mark.parametrize(
    "path", ["/home/me/run 3/model", "~/runs", "C:\\Users\\me\\x", "file:///a/b"]
)
def test_a_path_of_this_machine_in_the_metadata_of_weights_is_refused(folder, path):
    write_weights(folder / SHARDS[0], metadata={"format": "pt", "source": path})
    refused(folder, "its metadata names a path of this machine under 'source'")


def test_a_path_of_this_machine_in_the_index_of_weights_is_refused(folder):
    index = json.loads((folder / INDEX).read_text("utf-8"))
    index["metadata"] = {"saved_from": "/home/me/runs"}
    (folder / INDEX).write_text(json.dumps(index), "utf-8")
    refused(folder, "saved_from names a path of this machine")


def test_weights_that_no_index_names_are_refused(folder):
    write_weights(folder / "consolidated.safetensors")
    refused(folder, "weights that no index names")


def test_a_pickle_that_is_called_safetensors_is_refused(folder):
    (folder / SHARDS[1]).write_bytes(pickle.dumps({"a": 1}))
    refused(folder, "cut short, or not a safetensors file")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.ckpt", "optimizer.pt"])
def test_pickled_weights_are_refused(folder, name):
    (folder / name).write_bytes(pickle.dumps({"a": 1}))
    refused(folder, "does not belong")


def test_a_thin_repository_with_weights_is_refused(folder):
    source = {"repo_id": "owner/name", "revision": of(HEX, 40)}
    (folder / "config.json").write_text(json.dumps({"weights_from": source}), "utf-8")
    refused(folder, "a thin repository holds no weights")


@pytest.mark.parametrize("name", ["NOTICE", "config.json", "additional_chat_templates"])
def test_a_link_is_refused_wherever_it_leads(folder, tmp_path, name):
    place = folder / name
    if name == "additional_chat_templates":
        (tmp_path / "elsewhere").mkdir()
        target = tmp_path / "elsewhere"
    else:
        target = tmp_path / "elsewhere"
        target.write_text("{}", "utf-8")
    place.unlink(missing_ok=True)
    place.symlink_to(target)
    refused(folder, "a link")
    place.unlink()
    place.symlink_to(tmp_path / "nowhere")
    if name != "config.json":
        refused(folder, "a link")


def test_a_hard_link_is_refused_where_build_makes_none(folder, tmp_path):
    (tmp_path / "elsewhere").write_text("words of mine", "utf-8")
    os.link(tmp_path / "elsewhere", folder / "NOTICE")
    refused(folder, "a link")
    (folder / "NOTICE").unlink()
    os.link(folder / SHARDS[0], tmp_path / "weights")
    files_of(folder)


def test_what_is_no_file_is_refused_and_not_waited_for(folder):
    os.mkfifo(folder / "NOTICE")
    refused(folder, "does not belong")


def test_a_link_in_the_base_that_leads_out_of_it_stops_the_build(base, tmp_path):
    (tmp_path / "elsewhere").write_text("words of mine", "utf-8")
    (base / "NOTICE").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ECSOInputError, match="a link out of the folder"):
        build(load_recipe("tiny"), tmp_path / "out", str(base))


def test_a_base_in_the_cache_of_the_hub_is_all_links_and_builds(base, tmp_path):
    snapshot, blobs = tmp_path / "cache" / "snapshots" / "a", tmp_path / "cache" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for file in base.iterdir():
        if file.is_file():
            shutil.copy(file, blobs / file.name)
            (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
    build(load_recipe("tiny"), tmp_path / "out", str(snapshot))
    assert not any(path.is_symlink() for path in (tmp_path / "out").iterdir())


def test_paths_of_this_machine_are_left_out_of_every_settings_file(base, tmp_path):
    more = {
        "_name_or_path": "/model",
        "name_or_path": "me/checkpoints",
        "tokenizer_file": "/root/.cache/huggingface/hub/x/tokenizer.json",
        "special_tokens_map_file": "/home/me/my models/special_tokens_map.json",
        "vision_config": {"_name_or_path": "C:\\models\\clip", "hidden": 1},
    }
    for name in ("tokenizer_config.json", "processor_config.json", "generation_config.json"):
        content = json.loads((base / name).read_text("utf-8"))
        (base / name).write_text(json.dumps({**content, **more}), "utf-8")
    config = json.loads((base / "config.json").read_text("utf-8"))
    config["text_config"]["_name_or_path"] = "/home/me/vicuna"
    (base / "config.json").write_text(json.dumps({**config, "_name_or_path": "~/x"}), "utf-8")
    build(load_recipe("tiny"), tmp_path / "out", str(base))
    for file in (tmp_path / "out").glob("*.json"):
        text = file.read_text("utf-8")
        assert "_path" not in text and "/home" not in text and "models" not in text, file
    stored = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text("utf-8"))
    assert stored["vision_config"] == {"hidden": 1} and stored["eos_token"] == "</s>"


@pytest.mark.parametrize("value", ["/home/me/model", "/model", "~/model", "../model", "D:\\model"])
@pytest.mark.parametrize("key", ["_name_or_path", "name_or_path"])
def test_a_local_origin_in_a_built_folder_is_refused(folder, key, value):
    (folder / "config.json").write_text(json.dumps({"text_config": {key: value}}), "utf-8")
    refused(folder, f"{key} names a path of this machine")
    (folder / "config.json").write_text(json.dumps({key: "llava-hf/llava-1.5-7b-hf"}), "utf-8")
    files_of(folder)


@pytest.mark.parametrize(
    "more",
    [
        {"/home/me/x": 1},
        {"note": {"C:\\Users\\me\\x": 1}},
        {"note": "It was trained from /home/me/run 3, then merged."},
        {"note": ["of /scratch/me/run"]},
        {"image_token": "/home/me/x"},
        {"extra_special_tokens": ["<a>", "/root/x"]},
        {"added_tokens_decoder": {"5": {"content": "/Users/me/x"}}},
    ],
    ids=str,
)
def test_a_path_of_this_machine_is_found_wherever_it_stands_in_settings(folder, more):
    (folder / "tokenizer_config.json").write_text(json.dumps(more), "utf-8")
    refused(folder, "a path of this machine")
    rest, left_out = cleaned(more)
    assert "me" not in str(rest) or isinstance(list(more.values())[0], list)
    assert not left_out


def test_what_is_no_path_stays_in_settings(folder):
    settings = {
        "extra_special_tokens": ["</s>", "/a/", "<a/b>", "https://example.org/home/me"],
        "pad_token": "~/x",
        "note": "See https://example.org/data/a/b; and/or either/or/both.",
        "chat_template": "{% if a %}</home/x>{% endif %} in /tmp",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    files_of(folder)
    assert cleaned(settings) == (settings, [])


@pytest.mark.parametrize("path", ["/home/me/data", "/Users/me/x", "/root/x", "C:\\Users\\me"])
def test_a_home_in_the_command_of_a_result_file_is_not_published(base, tmp_path, path):
    recipe = load_recipe("tiny").path.read_text("utf-8")
    (tmp_path / "mine.yaml").write_text(recipe.replace("tiny/metrics.json", "mine.json"), "utf-8")
    rows = [{"name": "share", "direct": 0.5, "protected": 1.0}]
    table = {"command": f"ecso eval mme --data {path}/mme", "rows": rows}
    (tmp_path / "mine.json").write_text(json.dumps(table), "utf-8")
    with pytest.raises(ECSOInputError, match="names a folder in somebody's home"):
        build(load_recipe(str(tmp_path / "mine.yaml")), tmp_path / "out")


ORDINARY_FILES = [
    "added_tokens.json",
    "special_tokens_map.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "video_preprocessor_config.json",
    "additional_chat_templates/tool_use.jinja",
]


# transformers leaves the files of further templates open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_the_ordinary_files_of_a_tokenizer_are_published(base, tmp_path):
    for name in ORDINARY_FILES:
        (base / name).parent.mkdir(exist_ok=True)
        (base / name).write_text("{}", "utf-8")
    (base / "vocab.json").write_text('{"auto_map": 0, "/home/me": 1, "a--b.c": 2}', "utf-8")
    build(load_recipe("tiny"), tmp_path / "out", str(base))
    paths = {file.path for file in files_of(tmp_path / "out")}
    assert set(ORDINARY_FILES) <= paths


@pytest.mark.parametrize(
    "name",
    [
        "token.json",
        "my_tokens.json",
        "tokens.txt",
        ".netrc",
        ".npmrc",
        "server.pem",
        "id_rsa",
        "service-account-1.json",
        ".git-credentials",
        "credentials",
    ],
)
def test_the_name_of_a_secret_stops_build_and_push(folder, base, tmp_path, name):
    (folder / name).write_text("{}", "utf-8")
    refused(folder, "its name is that of a secret")
    (base / name).write_text("{}", "utf-8")
    with pytest.raises(ECSOInputError, match="its name is that of a secret"):
        build(load_recipe("tiny"), tmp_path / "out", str(base))
