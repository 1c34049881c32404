"""A comparison writes direct answers once: as drafts they lead to the same figures."""

import shutil

import pytest
import torch
from PIL import Image
from transformers import StoppingCriteria

from modeling_ecso.cli import main
from modeling_ecso.evaluation.known_drafts import KnownDrafts
from modeling_ecso.evaluation.side_by_side import read_runs
from modeling_ecso.generation_ecso import PlainGenerate
from modeling_ecso.loading.models import TINY_FOLDER, load_model


class StopsOneRow(StoppingCriteria):
    def __init__(self, row, length):
        self.row, self.length = row, length

    def __call__(self, input_ids, scores, **kwargs):
        done = torch.zeros(len(input_ids), dtype=torch.bool)
        done[self.row] = input_ids.shape[1] >= self.length
        return done


@pytest.fixture
def direct_rows(monkeypatch):
    """The number of rows of every direct generation, as they are written."""
    written = []
    plain = PlainGenerate.__call__

    def counted(self, **arguments):
        if "generation_config" not in arguments:
            written.append(len(arguments["input_ids"]))
        return plain(self, **arguments)

    monkeypatch.setattr(PlainGenerate, "__call__", counted)
    return written


def test_a_comparison_has_the_same_figures_and_writes_each_draft_once(
    miniatures, tmp_path, direct_rows, capsys
):
    # Under a name of its own, so that no provider is left from another test.
    model = shutil.copytree(TINY_FOLDER, tmp_path / "model")

    def compared(*options):
        direct_rows.clear()
        folder = tmp_path / "-".join(["logs", *options])
        data = ["--data", str(miniatures / "mm_safetybench"), "--kind", "SD", "TYPO"]
        presets = ["--compare", "--preset", "reference", "hardened", "--limit", "5"]
        arguments = ["eval", "mm_safetybench", *data, *presets, "--log-dir", str(folder), *options]
        arguments += ["--model", str(model)]
        assert main(arguments) == 0
        capsys.readouterr()
        return sum(direct_rows), [
            (run.kind, run.variant, sample.id, sample.answer, sample.found, shown(sample.trace))
            for run in read_runs(folder)
            for sample in sorted(run.samples, key=lambda sample: sample.id)
        ]

    def shown(trace):
        if trace is None:
            return None
        assert all(step["ms"] > 0 for step in trace["steps"] if step["step"] == "direct")
        steps = [(step["step"], step["tokens"]) for step in trace["steps"]]
        return trace["outcome"], trace["verdict"], steps

    written, figures = compared()
    written_anew, figures_anew = compared("--own-drafts")
    assert (written, written_anew) == (10, 30) and len(figures) == 30
    assert figures == figures_anew


def test_a_known_draft_ends_where_a_criterion_ends_it():
    loaded = load_model(None)
    images = [
        Image.open(TINY_FOLDER / "images" / f"{n}.png").convert("RGB") for n in ("bomb", "kite")
    ]
    turn = {
        "role": "user",
        "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}],
    }
    text = loaded.processor.apply_chat_template([turn], add_generation_prompt=True)
    inputs = loaded.processor(text=[text] * 2, images=images, padding=True, return_tensors="pt")
    settings = {"do_sample": False, "max_new_tokens": 12, "return_dict_in_generate": True}
    generate = loaded.model._protection().generate
    drafts = KnownDrafts()
    written = drafts.around(loaded.model, generate, ["a", "b"])(**inputs, **settings)
    given = drafts.around(loaded.model, generate, ["a", "b"])(**inputs, **settings)
    assert torch.equal(written.sequences, given.sequences)
    for row in range(2):
        stops = {"stopping_criteria": [StopsOneRow(row, inputs["input_ids"].shape[1] + 2)]}
        anew = generate(**inputs, **settings, **stops).sequences
        known = drafts.around(loaded.model, generate, ["a", "b"])(**inputs, **settings, **stops)
        assert torch.equal(anew, known.sequences) and not torch.equal(anew, written.sequences)
