"""No code but this package's is in a repository, named by one, or run to verify one."""

import json
import shutil
import subprocess
import sys

import pytest

from hub_upload.build import build, ecso_config_module
from hub_upload.command import main
from hub_upload.model_json import cleaned, refuse_foreign_code
from hub_upload.push import PushTarget, plan_push
from hub_upload.recipe import load_recipe
from hub_upload.verify import environment_of_checks, verify
from modeling_ecso import ECSOConfig
from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.loading.models import TINY_FOLDER


OTHER = "other/repo--module.Class"
FOREIGN = [
    {"auto_map": {"AutoProcessor": OTHER}},
    {"auto_map": {"AutoProcessor": "module.Class"}},
    {"auto_map": {"AutoTokenizer": [OTHER, None]}},
    {"auto_map": [OTHER, "module.Class"]},
    {"image_processor": {"auto_map": {"AutoImageProcessor": OTHER}}},
    {"image_processor": {"parts": [{"auto_map": {"AutoImageProcessor": "module.Class"}}]}},
    {"audio_tokenizer": {"audio_tokenizer_name_or_path": "other/repo"}},
    {"custom_pipelines": {"image-text-to-text": {"impl": "module.Class"}}},
    {"custom_generate": "other/repo"},
    {"trust_remote_code": True},
    {"code_revision": "main"},
    {"vision_config": {"attn_implementation": "other/kernel"}},
    {"_attn_implementation": {"vision_config": "other/kernel"}},
    {"somewhere": OTHER},
    {"content": {"auto_map": {"AutoProcessor": OTHER}}},
    {"special_tokens": {"auto_map": {"AutoProcessor": OTHER}}},
    {"extra_special_tokens": {"auto_map": {"AutoProcessor": "module.Class"}}},
]
FILES = [
    "config.json",
    "generation_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.json",
]


def add(file, more):
    content = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    file.write_text(json.dumps(merged(content, more)), "utf-8")


def merged(content, more):
    if not isinstance(content, dict) or not isinstance(more, dict):
        return more
    return content | {key: merged(content.get(key), value) for key, value in more.items()}


@pytest.fixture
def base(tmp_path):
    return shutil.copytree(TINY_FOLDER, tmp_path / "base")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "tiny"
    build(load_recipe("tiny"), folder)
    return folder


@pytest.fixture
def built(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "built")


@pytest.fixture
def no_process(monkeypatch):
    """Let no test of a refusal start a process."""

    def start(*args, **kwargs):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "run", start)


@pytest.mark.parametrize("name", FILES)
def test_what_names_other_code_is_left_out_of_every_file_and_said(base, tmp_path, capsys, name):
    template = {"chat_template": (base / "chat_template.jinja").read_text("utf-8")}
    add(base / "chat_template.json", template)
    for more in FOREIGN:
        add(base / name, more)
    add(base / name, {"kept": {"as": ["it", "is"]}})
    out = tmp_path / "out"
    assert main(["build", "tiny", "--base", str(base), "--out", str(out)]) == 0
    text = (out / name).read_text("utf-8")
    for word in ("other/", "module.Class", "custom_", "trust_remote_code", "code_revision"):
        assert word not in text
    assert json.loads(text)["kept"] == {"as": ["it", "is"]}
    assert ("auto_map" in text) == (name == "config.json")
    said = capsys.readouterr().out
    assert f"left out, since it names other code: {name}: auto_map" in said


@pytest.mark.parametrize("more", [{"auto_map": {"AutoProcessor": OTHER}}, "/home/somebody/model"])
def test_the_source_of_weights_hides_no_code_and_no_path(tmp_path, more):
    stored = {"weights_from": more, "kept": 1}
    rest, _ = cleaned(stored)
    assert not rest.get("weights_from") and rest["kept"] == 1
    file = tmp_path / "processor_config.json"
    file.write_text(json.dumps(stored), "utf-8")
    with pytest.raises(ECSOInputError, match="auto_map|weights_from"):
        refuse_foreign_code(file, file.name)


def test_a_base_that_is_an_adapter_is_refused(base, tmp_path):
    (base / "adapter_config.json").write_text('{"base_model_name_or_path": "other/repo"}', "utf-8")
    with pytest.raises(ECSOInputError, match="merge it into its model first"):
        build(load_recipe("tiny"), tmp_path / "out", str(base))


def test_code_beside_the_base_is_not_copied(base, tmp_path):
    for name in ("module.py", "sources_ecso.py", "custom_generate/generate.py", "requirements.txt"):
        (base / name).parent.mkdir(exist_ok=True)
        (base / name).write_text("raise SystemExit\n", "utf-8")
    build(load_recipe("tiny"), tmp_path / "out", str(base))
    assert not (tmp_path / "out" / "module.py").exists()
    assert not (tmp_path / "out" / "requirements.txt").exists()
    assert not (tmp_path / "out" / "custom_generate").exists()
    assert "SystemExit" not in (tmp_path / "out" / "sources_ecso.py").read_text("utf-8")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("more", FOREIGN, ids=json.dumps)
def test_a_folder_that_names_other_code_is_refused_before_anything_runs(
    built, no_process, name, more
):
    if name == "config.json" and "auto_map" in more:
        stored = json.loads((built / name).read_text("utf-8"))
        values = more["auto_map"]
        more = {"auto_map": {**stored["auto_map"], **(values if type(values) is dict else {})}}
        if type(values) is list:
            more = {"auto_map": values}
    add(built / name, more)
    checks = {check.name: check for check in verify(built)}
    assert not checks["files"].passed and name in checks["files"].detail
    assert not checks["fresh process"].passed and "not started" in checks["fresh process"].detail
    with pytest.raises(ECSOInputError, match=name):
        plan_push(built, PushTarget("tester/model"), needs_token=False)


@pytest.mark.parametrize(
    "name",
    ["module.py", "custom_generate/generate.py", "adapter_config.json", "requirements.txt", "x.so"],
)
def test_a_file_that_could_run_is_refused_before_anything_runs(built, no_process, name):
    (built / name).parent.mkdir(exist_ok=True)
    (built / name).write_text("{}", "utf-8")
    checks = {check.name: check for check in verify(built)}
    assert not checks["files"].passed and "does not belong" in checks["files"].detail
    assert not checks["fresh process"].passed


def test_the_stored_ecso_config_is_that_and_nothing_that_runs(tmp_path, no_process):
    build(load_recipe("custom-generate"), tmp_path / "method")
    file = tmp_path / "method" / "custom_generate" / "ecso_config.py"
    text = file.read_text("utf-8")
    assert text == ecso_config_module(ECSOConfig.from_preset("paper").to_dict())
    for more in ("import os\n", "ECSO_CONFIG['enabled'] = print('run')\n", "# note\n"):
        for changed in (text + more, more + text):
            file.write_text(changed, "utf-8")
            checks = {check.name: check for check in verify(tmp_path / "method")}
            assert "ecso_config.py is not what build writes" in checks["code"].detail
            assert not checks["fresh process"].passed


def test_the_verifying_process_finds_no_token_and_no_network(tmp_path, monkeypatch):
    home, checks_home = tmp_path / "home", tmp_path / "empty"
    checks_home.mkdir()
    token = "hf_" + "secret" * 6
    places = [".cache/huggingface/token", "hf/token", "elsewhere", ".netrc", ".git-credentials"]
    for place in places:
        (home / place).parent.mkdir(parents=True, exist_ok=True)
        (home / place).write_text(f"machine 127.0.0.1 login me password {token}", "utf-8")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "GH_TOKEN"):
        monkeypatch.setenv(name, token)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setenv("HF_TOKEN_PATH", str(home / "elsewhere"))
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    code = f"""
import os, runpy, sys, socket
fresh_process = runpy.run_path({sys.modules["hub_upload.fresh_process"].__file__!r})
from huggingface_hub import constants, get_token
from huggingface_hub.utils import build_hf_headers
assert get_token() is None and "authorization" not in build_hf_headers(token=None)
assert constants.HF_HUB_OFFLINE
assert {token!r} not in str(dict(os.environ)) and {str(home)!r} not in str(dict(os.environ))
assert os.listdir(os.path.expanduser("~")) == []
sys.addaudithook(fresh_process["_refuse_network"])
for reach in (lambda: socket.create_connection(("127.0.0.1", 9)), lambda: socket.socket(
    socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)), lambda:
    socket.getaddrinfo("localhost", 80)):
    try:
        reach()
    except ConnectionError as error:
        assert "without network" in str(error), error
    else:
        sys.exit("reached")
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment_of_checks(str(checks_home)),
        cwd=checks_home,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "done\n", done.stderr
