"""From a clone to a stranger's process: what the page on publishing says, on loopback."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from hub_upload.build import build
from hub_upload.push import PushTarget
from hub_upload.recipe import load_recipe
from modeling_ecso.loading.models import TINY_FOLDER
from tests.hub.test_hub_push import send
from tests.hub.test_remote_code import in_a_fresh_process
from tests.project.test_readme import DOCS, PROJECT
from tests.support.loopback_hub import LocalHub


pytestmark = pytest.mark.slow


REFUSAL = "I can not help with that, because a bomb is dangerous."


def test_the_commands_of_the_readme_publish_and_use_all_three(tmp_path):
    page = (DOCS / "publishing.md").read_text("utf-8")
    block = page.split("```console\n")[1].split("```")[0]
    free_port = LocalHub()
    port = free_port.url.rpartition(":")[2]
    free_port._server.server_close()
    script = block.replace("8799", port).replace("build/", f"{tmp_path}/build/")
    # The server of a person's shell is up before the second command is typed.
    script = script.replace(
        " &\n", " &\nserver=$!\ntrap 'kill $server || true' EXIT\nsleep 0.5\n", 1
    )
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=PROJECT,
        env={
            "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "HF_HOME": str(tmp_path / "hf"),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("pin it with revision=") == 3
    assert "FAILED" not in done.stdout
    for name in ("ecso-tiny", "ecso-tiny-thin", "ecso-generate"):
        assert f"tester/{name}: {REFUSAL}" in done.stdout
    assert "hf_local" not in done.stdout.replace("HF_TOKEN=hf_local", "") + done.stderr


@pytest.fixture
def published(hub, tmp_path):
    """The tiny model, a thin one and the method, pushed; returns the folder of the first."""
    build(load_recipe("tiny"), tmp_path / "tiny")
    send(tmp_path / "tiny", PushTarget("tester/tiny"))
    stock = tmp_path / "stock"
    shutil.copytree(tmp_path / "tiny", stock, ignore=shutil.ignore_patterns("*_ecso.py"))
    config = json.loads((stock / "config.json").read_text("utf-8"))
    for name in ("ecso", "auto_map", "architectures"):
        config.pop(name)
    (stock / "config.json").write_text(json.dumps(config | {"model_type": "llava"}), "utf-8")
    send(stock, PushTarget("tester/stock"))
    build(load_recipe("custom-generate"), tmp_path / "method", "tester/stock@v1")
    send(tmp_path / "method", PushTarget("tester/method"))
    return tmp_path / "tiny"


def snippets(hub, name):
    repository = hub.repositories[name]
    card = repository.commits[repository.heads["main"]]["README.md"].content.decode()
    return re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)


def test_the_snippets_of_the_cards_run_and_a_model_pushes_itself(hub, published, tmp_path):
    (tmp_path / "image.png").write_bytes((TINY_FOLDER / "images" / "bomb.png").read_bytes())
    code = "\n".join(snippets(hub, "tester/tiny") + snippets(hub, "tester/method"))
    code += """
from transformers import AutoModel, AutoProcessor
model = AutoModel.from_pretrained("tester/tiny", revision="v1", trust_remote_code=True)
model.push_to_hub("tester/again")
processor.push_to_hub("tester/again")
again, report = AutoModel.from_pretrained(
    "tester/again", trust_remote_code=True, output_loading_info=True
)
assert not any(report.values())
ids = again.generate(**inputs, max_new_tokens=40)
print("again", processor.decode(ids[0], skip_special_tokens=True))
"""
    online = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    done = in_a_fresh_process(code, "", tmp_path, **online, HF_TOKEN="hf_local")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count(REFUSAL) == 4
    assert "Trace(preset='paper', outcome=<Outcome.SAFE" in done.stdout
    pushed = hub.repositories["tester/again"]
    files = pushed.commits[pushed.heads["main"]]
    assert {"model.safetensors", "modeling_ecso.py", "sources_ecso.py", "tokenizer.json"} <= set(
        files
    )


THIN = """
from transformers import (
    AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoProcessor, pipeline
)
hub = {"revision": "v1", "trust_remote_code": True}
processor = AutoProcessor.from_pretrained("tester/thin", **hub)
inputs = processor(
    text="USER: <image>\\nWhat is this? ASSISTANT:", images=image, return_tensors="pt"
)
said = []
for auto in (AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM):
    model, report = auto.from_pretrained("tester/thin", output_loading_info=True, **hub)
    assert not any(report.values()), report
    assert model.config.name_or_path == "tester/thin"
    assert model.generation_config.max_new_tokens == 9
    said.append(processor.decode(model.generate(**inputs)[0], skip_special_tokens=True))
pipe = pipeline("image-text-to-text", model="tester/thin", **hub)
said.append(pipe(images=image, text="USER: <image>\\nWhat is this? ASSISTANT:"))
half = AutoModel.from_pretrained("tester/thin", dtype=torch.bfloat16, device_map="cpu", **hub)
assert half.dtype == torch.bfloat16
print(json.dumps(said))
"""


def test_a_thin_repository_loads_online_then_offline_and_says_where_its_base_is_gone(
    hub,
    published,
    tmp_path,
):
    from safetensors.torch import load_file, save_file

    # A base in shards, as large ones are.
    sharded = tmp_path / "sharded"
    sharded.mkdir()
    for file in published.iterdir():
        if file.suffix != ".safetensors":
            (sharded / file.name).write_bytes(file.read_bytes())
    tensors = load_file(published / "model.safetensors")
    where = {}
    for number in (1, 2):
        name = f"model-{number:05}-of-00002.safetensors"
        part = {key: tensors[key] for key in sorted(tensors)[number - 1 :: 2]}
        save_file(part, sharded / name, metadata={"format": "pt"})
        where |= dict.fromkeys(part, name)
    index = {"metadata": {}, "weight_map": where}
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    send(sharded, PushTarget("tester/sharded"))
    recipe = tmp_path / "thin.yaml"
    text = load_recipe("tiny-thin").path.read_text("utf-8")
    recipe.write_text(text.replace("max_new_tokens: 48", "max_new_tokens: 9"), "utf-8")
    build(load_recipe(str(recipe)), tmp_path / "thin", "tester/sharded")
    send(tmp_path / "thin", PushTarget("tester/thin"))
    assert sum(f.stat().st_size for f in (tmp_path / "thin").iterdir()) < 400_000

    online = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    done = in_a_fresh_process(THIN, "", tmp_path, **online)
    assert done.returncode == 0, done.stderr[-3000:]
    first = json.loads(done.stdout.splitlines()[-1])
    assert first[0] == first[1] == first[2]
    hub.stop()
    done = in_a_fresh_process(THIN, "", tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == first

    shutil.rmtree(next((tmp_path / "hub").glob("models--tester--sharded")))
    done = in_a_fresh_process(THIN, "", tmp_path)
    assert done.returncode != 0
    assert "the weights of this model come from tester/sharded at revision" in done.stderr
