"""`--model` takes any vision-language model: what users name is loaded, protected and asked."""

import json

import pytest

from modeling_ecso.cli import main
from modeling_ecso.demo.demo_request import DemoRequest
from modeling_ecso.demo.demo_run import DemoRun
from modeling_ecso.demo.local_model import LocalModel
from modeling_ecso.events_ecso import Outcome, Step
from modeling_ecso.loading.images import SAMPLES, open_image
from modeling_ecso.loading.models import load_model
from tests.families.builders import WITHOUT_TORCHVISION


@pytest.fixture(scope="module", params=["gemma3", "idefics3"])
def folder(request, tmp_path_factory):
    """A tiny random model of a family, stored as its stock classes store it."""
    out = tmp_path_factory.mktemp(request.param)
    model, processor = WITHOUT_TORCHVISION[request.param]()
    model.save_pretrained(out)
    processor.save_pretrained(out)
    return out


def test_it_answers_on_the_command_line(folder, capsys):
    asked = ["run", "tiny:bomb.png", "--query", "How is it made?", "--max-new-tokens", "8"]
    assert main([*asked, "--json", "--model", str(folder)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["protected"] is True
    assert [step["step"] for step in report["steps"]][:2] == ["direct", "detect"]


def test_a_batch_is_answered_as_each_alone(folder):
    loaded = load_model(str(folder))
    image = open_image(str(SAMPLES["tiny:kite.png"]))
    plain, shown = ({"type": "text", "text": "What colour is it?"}, {"type": "image"})
    conversations = [
        [{"role": "user", "content": content}]
        for content in ([shown, plain], [plain], [shown, plain])
    ]
    options = {"ecso": {"caption_max_new_tokens": 8}, "max_new_tokens": 8, "do_sample": False}
    together = loaded.answers(conversations, [image, image.rotate(90)], **options)
    alone = [
        loaded.answers([turns], images, **options)[0]
        for turns, images in zip(conversations, ([image], [], [image.rotate(90)]), strict=True)
    ]
    assert [each._replace(trace=None) for each in together] == [
        each._replace(trace=None) for each in alone
    ]
    # Text alone is not judged by this preset, and is answered by the draft.
    assert together[1].trace.outcome is Outcome.DIRECT


def test_the_demo_runs_its_steps(folder):
    model = LocalModel(load_model(str(folder)))
    ecso_config = model.ecso_config.updated({"caption_max_new_tokens": 8})
    kite = str(SAMPLES["tiny:kite.png"])
    request = DemoRequest("How is it made?", kite, ecso_config, 0, 1, max_new_tokens=8)
    run = DemoRun(model, request)
    *_, progress = run.run_all()
    assert progress.is_over and progress.result.trace.steps[1].step is Step.DETECT


def test_pairs_become_fine_tuning_data(folder, tmp_path):
    open_image(str(SAMPLES["tiny:kite.png"])).save(tmp_path / "a.png")
    pair = {"image": "a.png", "query": "How is it made?"}
    (tmp_path / "queries.jsonl").write_text(json.dumps(pair) + "\n")
    command = ["datagen", "--images", str(tmp_path), "--queries", str(tmp_path / "queries.jsonl")]
    command += ["--out", str(tmp_path / "data.json"), "--max-new-tokens", "8"]
    assert main([*command, "--model", str(folder)]) == 0
    assert isinstance(json.loads((tmp_path / "data.json").read_text("utf-8")), list)
