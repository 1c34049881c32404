"""How long a run takes is told before it starts, by tokens counted as the benchmark counts them."""

import pytest

from examples.benchmark import variants
from modeling_ecso.cli import main
from modeling_ecso.evaluation.estimate import (
    QUERY,
    ModelSize,
    Tokens,
    estimate_run,
    gpu_hours,
    model_size,
    tokens_of,
)
from modeling_ecso.loading.models import TINY_FOLDER, load_model
from modeling_ecso.settings_ecso import ECSOConfig


PAPER = ECSOConfig.from_preset("paper")
LLAVA = ModelSize(7.06e9, 576)


def test_the_query_is_that_of_the_benchmark():
    assert QUERY == variants.QUERY


def test_each_step_adds_its_tokens():
    direct = tokens_of(None, 576, 64, is_flagged=False)
    assert direct == Tokens(576 + len(QUERY) / 4, 64)
    benign = tokens_of(PAPER, 576, 64, is_flagged=False)
    assert benign.written == 64 + 1 and benign.read > direct.read + 64
    flagged = tokens_of(PAPER, 576, 64, is_flagged=True)
    assert flagged.written == 64 + 1 + PAPER.caption_max_new_tokens + 64
    shared = tokens_of(PAPER, 576, 64, is_flagged=True, has_draft=True)
    assert flagged.written - shared.written == 64 and flagged.read == shared.read


def test_the_published_latencies_lie_within_what_is_told():
    def seconds(config):
        run = estimate_run("", LLAVA, config, 1, 1024, batch_size=1, has_draft=False)
        return 3600 * run.least, 3600 * run.most

    assert seconds(None) == pytest.approx((1.9, 7.3), abs=0.1)
    assert seconds(PAPER) == pytest.approx((1.9, 21.9), abs=0.1)
    for published, config in ((2.73, None), (4.97, PAPER)):
        least, most = seconds(config)
        assert least < published < most


def test_a_batch_reads_the_weights_once():
    tokens = Tokens(read=0, written=100)
    assert gpu_hours(LLAVA, tokens, 32, 1) == pytest.approx(32 * gpu_hours(LLAVA, tokens, 32, 32))


def test_the_size_is_read_from_the_configuration_alone():
    model = load_model(None).model
    assert model_size(str(TINY_FOLDER)) == (model.num_parameters(), 64)


def test_the_command_tells_and_runs_nothing(capsys, miniatures, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    data = ["eval", "vlsafe", "--data", str(miniatures / "vlsafe"), "--estimate"]
    assert main([*data, "--compare", "--preset", "paper"]) == 0
    out = capsys.readouterr().out
    assert "vlsafe direct" in out and "vlsafe paper" in out and "hours of one A100" in out
    assert not (tmp_path / "eval-logs").exists()
    for model, says in (("inspect:openai/x", "this process loads"), ("nowhere", "cannot be read")):
        assert main([*data, "--model", model]) == 2
        assert says in capsys.readouterr().err
