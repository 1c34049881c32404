"""The benchmark's shapes with patches answer in every way, and share their prefix."""

from dataclasses import replace

import pytest

from examples.benchmark.bench import UNSHARED, Cell, Job, cells, measure, variants
from examples.benchmark.forced_words import force_words
from examples.benchmark.keeping import Stop
from examples.benchmark.results_shown import show
from examples.benchmark.shapes import SHAPES, build
from examples.benchmark.variants import Bench
from modeling_ecso.reply_ecso import ReplyReader


TINY = {"text": (64, 4, 2), "vision": (32, 2, 2), "feed_forward": 64, "vocabulary": 2048}
SIDES = {"qwen2.5-vl": 112, "qwen3.5": 128}  # 16 image tokens


@pytest.fixture(params=SIDES)
def bench(request, monkeypatch):
    # What `force_words` puts around it ends with the test.
    monkeypatch.setattr(
        ReplyReader, "_logits_along_speculation", ReplyReader._logits_along_speculation
    )
    model, processor = build(
        replace(SHAPES[request.param], image_size=SIDES[request.param], **TINY), "cpu"
    )
    return Bench(model, processor, force_words(model))


def test_every_way_is_measured_and_shown_without_a_floor(bench, capsys):
    for cell in cells([3], 8, is_brief=True):
        rows = measure(cell, variants(bench, cell, is_brief=True), 1, Stop(), is_brief=True)
        assert [row["variant"] for row in rows] == ["direct", "published", "ours", UNSHARED]
        assert not any("ratio_to_floor" in row for row in rows)
        assert not any("peak_mb" in row for row in rows)
        show(rows, cell.path)
    out = capsys.readouterr().out
    assert out.count("published") >= 2 and "peak MB" not in out
    show([{**row, "peak_mb": 987.6} for row in rows], "all of it")
    out = capsys.readouterr().out
    assert "peak MB" in out and out.count("987.6") == 4
    assert "floor" not in variants(bench, cell)


def test_a_shared_prefix_is_read_fewer_times(bench):
    read = []
    bench.model.model.language_model.register_forward_pre_hook(
        lambda _module, _args, given: read.append(given["inputs_embeds"].shape[1]), with_kwargs=True
    )
    cell = Cell("flagged", "paper", Job(3, (True,)))
    tokens = {}
    for name, run in variants(bench, cell, is_brief=True).items():
        read.clear()
        run(cell.job)
        tokens[name] = sum(read)
    assert tokens["ours"] < tokens[UNSHARED] and tokens["direct"] < tokens["ours"]
    assert tokens[UNSHARED] - tokens["ours"] >= 2 * 16  # detect and caption see the image's tokens
