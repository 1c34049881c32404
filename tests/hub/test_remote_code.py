"""What ships to the Hub: the rules of the loader, and every way to load it in a fresh process.

The fresh processes cannot import `modeling_ecso`: they see the saved folder and the installed
libraries alone.
"""

import ast
import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.tiny_random import make_model, save_stock


PACKAGE = Path(__file__).parents[2] / "modeling_ecso"
MODULES = sorted(PACKAGE.glob("*_ecso.py"))
ALLOWED = {"torch", "transformers"} | set(sys.stdlib_module_names)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_shipped_modules_import_siblings_torch_and_transformers_alone(module):
    source = module.read_text("utf-8")
    names = {path.stem for path in MODULES}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= ALLOWED
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module.split(".")[0] in ALLOWED
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1 and node.module in names, ast.dump(node)
    # The loader reads lines, not syntax: one inside a docstring would count as an import.
    relative = set(re.findall(r"^\s*from\s+\.(\S+)\s+import", source, flags=re.MULTILINE))
    assert relative <= names


def test_the_modeling_file_names_every_sibling():
    source = (PACKAGE / "modeling_ecso.py").read_text("utf-8")
    for module in MODULES:
        if module.stem != "modeling_ecso":
            assert f"from .{module.stem} import" in source, module.stem


@pytest.fixture(scope="module")
def folder(processor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    make_model(processor, caption_max_new_tokens=16).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def stock_folder(processor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    save_stock(processor, folder)
    return folder


PRELUDE = """
import json, torch, transformers
from PIL import Image
image = Image.new("RGB", (8, 8), "red")
chat = [{"role": "user", "content": [{"type": "image", "image": image},
                                     {"type": "text", "text": "How do I make this?"}]}]
"""


def in_a_fresh_process(code, folder, tmp_path, **environment):
    """Run code where modeling_ecso cannot be imported; return the finished process."""
    libraries = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    start = (
        f"import sys; folder = {str(folder)!r}\n"
        "try:\n    import modeling_ecso\nexcept ImportError:\n    pass\n"
        "else:\n    sys.exit('modeling_ecso can be imported')\n"
    )
    # -S leaves out the .pth files that make an editable installation importable, PYTHONPATH lets
    # the libraries in again.
    return subprocess.run(
        [sys.executable, "-S", "-c", start + PRELUDE + code],
        cwd=tmp_path,
        env={
            "HF_HOME": str(tmp_path),
            "HF_HUB_OFFLINE": "1",
            "PATH": "/usr/bin:/bin",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(libraries),
            **environment,
        },
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )


def test_every_auto_class_loads_the_protected_model(folder, tmp_path):
    code = """
from transformers import (
    AutoConfig, AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoProcessor
)
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
inputs = processor(
    text=processor.apply_chat_template(chat, add_generation_prompt=True),
    images=image, return_tensors="pt",
)
config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
answers = [config.ecso.preset]
for auto in (AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM):
    model, report = auto.from_pretrained(folder, trust_remote_code=True, output_loading_info=True)
    output = model.generate(**inputs, max_new_tokens=5, return_dict_in_generate=True)
    answers.append([type(model).__name__, any(report.values()), len(output.ecso_traces),
                    output.ecso_traces[0].outcome, output.sequences[0].tolist()])
model.save_pretrained("again")
processor.save_pretrained("again")
again = AutoModel.from_pretrained("again", trust_remote_code=True)
answers.append(again.generate(**inputs, max_new_tokens=5)[0].tolist())
from transformers.models.auto.modeling_auto import MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES as names
assert "ecso_llava" in names
os.symlink(package, "modeling_ecso")
importlib.invalidate_caches()
import modeling_ecso.modeling_ecso
assert "ecso_llava" not in names
print(json.dumps(answers))
"""
    code = f"import importlib, os; package = {str(PACKAGE)!r}" + code
    done = in_a_fresh_process(code, folder, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    preset, *loaded, again = json.loads(done.stdout.splitlines()[-1])
    assert preset == "paper"
    assert len(loaded) == 3
    for name, has_problems, traces, outcome, ids in loaded:
        assert (name, has_problems, traces) == ("ECSOLlavaForConditionalGeneration", False, 1)
        assert outcome == "safe"
        assert ids == loaded[0][-1] == again


def test_the_pipeline_is_protected(folder, tmp_path):
    code = """
pipe = transformers.pipeline("image-text-to-text", model=folder, trust_remote_code=True)
runs = []
original = pipe.model.protected_run
def counting(**kwargs):
    run = original(**kwargs)
    runs.append(run)
    return run
pipe.model.protected_run = counting
one = pipe(text=chat, max_new_tokens=5)
two = pipe(text=[chat, chat], max_new_tokens=5, batch_size=2)
written = "USER: <image>\\nHow do I make this? ASSISTANT:"
three = pipe(images=image, text=written, max_new_tokens=5)
four = pipe(images=[[image], [image]], text=[written] * 2, max_new_tokens=5, batch_size=2)
say = lambda result: result[0]["generated_text"][-1]["content"]
texts = [result["generated_text"] for result in (three[0], *four)]
print(json.dumps([say(one), say(two[0]), say(two[1]), texts,
                  [trace.outcome for run in runs for trace in run.traces]]))
"""
    done = in_a_fresh_process(code, folder, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    one, first, second, texts, outcomes = json.loads(done.stdout.splitlines()[-1])
    assert one == first == second
    assert all(text.endswith(one) for text in texts)
    assert outcomes == ["safe"] * 6
    assert "custom code" not in done.stdout
    for line in done.stderr.splitlines():
        assert "is not supported" not in line and "Error" not in line, line


def test_placement_precision_and_stock_weights(folder, stock_folder, tmp_path):
    code = """
from transformers import AutoModelForImageTextToText, AutoProcessor
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
inputs = processor(
    text=processor.apply_chat_template(chat, add_generation_prompt=True),
    images=image, return_tensors="pt",
)
def load(**arguments):
    return AutoModelForImageTextToText.from_pretrained(
        folder, trust_remote_code=True, **arguments
    )
def answer(model, inputs=inputs):
    output = model.generate(**inputs, max_new_tokens=5, return_dict_in_generate=True)
    assert len(output.ecso_traces) == 1 and output.ecso_traces[0].failed_step is None
    return output.sequences[0].tolist()
plain = load()
expected = answer(plain)
assert answer(load(device_map="auto")) == expected
on_disk = {"model.vision_tower": "cpu", "model.multi_modal_projector": "cpu",
           "model.language_model": "disk", "lm_head": "cpu"}
offloaded = load(device_map=on_disk, offload_folder="offload")
assert "disk" in offloaded.hf_device_map.values()
assert answer(offloaded) == expected
half = load(dtype=torch.bfloat16)
assert half.dtype == torch.bfloat16
answer(half, inputs.to(torch.bfloat16))
stock, report = type(plain).from_pretrained(stock, output_loading_info=True)
assert not any(report.values()), report
parent = transformers.LlavaForConditionalGeneration.from_pretrained(stock_again)
theirs, ours = parent.state_dict(), stock.state_dict()
assert theirs.keys() == ours.keys()
assert all(torch.equal(theirs[key], ours[key]) for key in theirs)
assert answer(stock)
print("done")
"""
    start = f"stock = stock_again = {str(stock_folder)!r}\n"
    done = in_a_fresh_process(start + code, folder, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "done"


def test_with_the_package_imported_the_auto_classes_give_its_own_class(folder):
    from transformers import AutoConfig, AutoModelForImageTextToText

    from modeling_ecso import ECSOLlavaConfig, ECSOLlavaForConditionalGeneration

    assert type(AutoConfig.from_pretrained(folder)) is ECSOLlavaConfig
    for trust in ({}, {"trust_remote_code": True}):
        model = AutoModelForImageTextToText.from_pretrained(folder, **trust)
        assert type(model) is ECSOLlavaForConditionalGeneration


@pytest.mark.parametrize("trust", ["", "trust_remote_code=False"])
def test_without_trust_nothing_loads(folder, tmp_path, trust):
    code = f"""
for name in ("AutoModel", "AutoModelForImageTextToText", "AutoModelForMultimodalLM"):
    try:
        getattr(transformers, name).from_pretrained(folder, {trust})
    except ValueError as error:
        assert "custom code" in str(error), error
    else:
        sys.exit(name + " loaded an unprotected model")
try:
    transformers.pipeline("image-text-to-text", model=folder, {trust})
except ValueError:
    print("refused")
"""
    done = in_a_fresh_process(code, folder, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1].endswith("refused")
