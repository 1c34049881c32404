"""`ecso calibrate`: the threshold, how sure it is, and a settings file that everything takes."""

import json
from pathlib import Path

import pytest

from hub_upload.recipe import load_recipe
from modeling_ecso.cli import main
from modeling_ecso.datagen.pairs import ImageQueryPair
from modeling_ecso.endpoint import server_pool
from modeling_ecso.endpoint.model_server import (
    Completion,
    Fault,
    ModelServerError,
    ServerTraits,
)
from modeling_ecso.endpoint.server_pool import ServerPool
from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.evaluation.calibration.calibration import advice, calibrated, calibration_to_json
from modeling_ecso.evaluation.calibration.curves import area_under_roc, curve
from modeling_ecso.evaluation.calibration.drawing import PairSource, ServerDrawing
from modeling_ecso.evaluation.calibration.facts import facts_of
from modeling_ecso.evaluation.calibration.scores import DraftScore
from modeling_ecso.evaluation.calibration.threshold import allowed_alarms, threshold_within
from modeling_ecso.evaluation.metrics.interval import exact_interval, least_count
from modeling_ecso.loading.models import load_model
from modeling_ecso.settings_ecso import ECSOConfig
from tests.support.failing_server import FailingServer


def scores(*p_unsafe, declines=False):
    return [DraftScore(p, declines, 10.0, 5.0) for p in p_unsafe]


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    # As tables of Clopper and Pearson's interval have them.
    [(0, 10, 0.0, 30.85), (1, 10, 0.25, 44.50), (5, 10, 18.71, 81.29), (10, 10, 69.15, 100.0)],
)
def test_intervals_are_exact(hits, count, low, high):
    assert exact_interval(hits, count) == pytest.approx((low, high), abs=0.005)


def test_as_many_samples_are_wanted_as_show_the_budget():
    count = least_count(1)
    assert count == 368
    assert exact_interval(0, count).high <= 1 < exact_interval(0, count - 1).high


def test_the_area_is_the_share_of_pairs_in_order():
    assert area_under_roc([0.1, 0.2], [0.8, 0.9]).value == 1
    assert area_under_roc([0.1, 0.5], [0.5, 0.3]).value == (1 + 1 + 0.5 + 0) / 4
    # Hanley and McNeil's own example: 0.893 over 58 and 51 images has the error 0.032.
    benign = [1] * 33 + [2] * 6 + [3] * 6 + [4] * 11 + [5] * 2
    harmful = [1] * 3 + [2] * 2 + [3] * 2 + [4] * 11 + [5] * 33
    area = area_under_roc(benign, harmful)
    assert (area.value, area.standard_error) == pytest.approx((0.893, 0.032), abs=0.001)


def test_each_point_of_the_curves_says_what_its_threshold_does():
    points = curve([0.1, 0.6], [0.6, 0.9])
    assert [tuple(point) for point in points] == [
        (0.9, 0.0, 0.5, 1.0),
        (0.6, 0.5, 1.0, 2 / 3),
        (0.1, 1.0, 1.0, 0.5),
    ]


def test_the_threshold_keeps_the_budget_and_finds_what_it_can():
    benign = [0.01] * 98 + [0.3, 0.7]
    found = threshold_within(1, benign, [0.4, 0.6, 0.95])
    assert 0.3 < found.value <= 0.4 and (found.flagged, found.found) == (1, 3)
    assert threshold_within(0.5, benign, [0.4, 0.6, 0.95]).found == 1
    assert allowed_alarms(1, 99) == 0 and allowed_alarms(1, 100) == 1


def test_without_harmful_samples_it_stays_near_the_default():
    assert threshold_within(1, [0.5, 0.2], []).value > 0.5
    assert 0.2 < threshold_within(1, [0.2, 0.1], []).value < 0.5


def test_no_threshold_lets_pass_what_is_certain_or_unclear():
    certain = calibrated("m", "hardened", 1, scores(1.0, *[0.1] * 50), scores(*[0.9] * 9), None)
    assert certain.ecso_config() is None and advice(certain).startswith("No threshold keeps")
    unclear = calibrated("m", "hardened", 1, scores(None, *[0.1] * 50), scores(*[0.9] * 9), None)
    assert unclear.ecso_config() is None and unclear.unclear == 1


def test_a_verdict_that_tells_nothing_is_not_to_be_relied_on():
    found = calibrated("m", "hardened", 10, scores(*[0.2, 0.6] * 20), scores(0.2, 0.6), None)
    assert advice(found) == "This model's verdict is no better than chance: do not rely on it."
    assert found.ecso_config() is None


def test_drafts_that_decline_are_no_harmful_drafts_to_find():
    harmful = scores(0.9, 0.8) + scores(0.01, declines=True)
    found = calibrated("m", "hardened", 10, scores(*[0.1] * 40), harmful, None)
    assert (found.harmful, found.declined) == (2, 1)
    assert "finds 100.0 % of the harmful drafts" in advice(found)
    assert any("1 harmful pairs are left out" in fact for fact in facts_of(_plain(found)))


def _plain(found):
    return json.loads(json.dumps(calibration_to_json(found)))


def test_too_few_samples_for_the_budget_are_said():
    few = calibrated("m", "hardened", 1, scores(*[0.1] * 60), scores(0.9, 0.9), None)
    assert "60 benign samples are too few to show 1 %: it takes 368" in advice(few)
    enough = calibrated("m", "hardened", 1, scores(*[0.1] * 368), scores(0.9, 0.9), None)
    assert enough.is_shown and advice(enough).endswith("false alarms.")


def test_contextual_calibration_takes_off_what_the_model_says_of_nothing():
    # Everything leans towards yes, as a draft without content does.
    found = calibrated("m", "hardened", 10, scores(*[0.8] * 30), scores(*[0.99] * 30), 0.9)
    assert found.contextual.helps and found.contextual.threshold.value == 0.9
    assert found.contextual.threshold.flagged == 0 and found.contextual.threshold.found == 30
    assert calibrated("m", "hardened", 10, scores(0.1), [], 0.9).contextual.helps is None
    assert calibrated("m", "hardened", 10, scores(0.1), [], None).contextual is None


def test_other_presets_are_given_the_rule_that_has_a_threshold():
    for preset in ("reference", "paper", "hardened"):
        changes = calibrated("m", preset, 10, scores(0.1), scores(0.9), None).ecso_config()
        config = ECSOConfig.from_preset("paper").updated(changes)
        assert config.verdict_rule == "logits" and config.preset == preset
        assert 0.1 < config.unsafe_threshold <= 0.9


@pytest.fixture(scope="module")
def calibration(miniatures, tmp_path_factory):
    """The tiny model, calibrated on 40 benign and 10 harmful pairs."""
    folder, data = tmp_path_factory.mktemp("calibration"), miniatures / "calibration"
    files = ["--benign", str(data / "benign.jsonl"), "--harmful", str(data / "harmful.jsonl")]
    assert main(["calibrate", *files, "--max-flagged", "5%", "--out", str(folder)]) == 0
    return folder


def test_the_tiny_model_is_calibrated_and_everything_takes_the_settings(
    capsys, calibration, miniatures, tmp_path, monkeypatch
):
    plain = json.loads((calibration / "calibration.json").read_text("utf-8"))
    assert plain["harmful"] == 10 and plain["chosen"]["found"]["value"] == 100
    assert plain["chosen"]["flagged"]["value"] <= 5
    assert plain["price"]["withheld_ms"] > plain["price"]["alone_ms"] > 0
    assert (calibration / "calibration.png").read_bytes().startswith(b"\x89PNG")
    text = (calibration / "calibration.json").read_text("utf-8")
    assert "step one" not in text and "How" not in text  # neither drafts nor queries
    file = calibration / "ecso_config.json"
    stored = json.loads(file.read_text("utf-8"))
    assert set(stored) == {"preset", "unsafe_threshold"}

    loaded = load_model(None)
    inputs = loaded.inputs_for("What colour is it?", [])
    loaded.model.protected_run(**inputs, ecso=stored, processor=loaded.processor)

    text = Path("configuration/recipes/tiny.yaml").read_text("utf-8")
    text = text.replace("ecso: {}", "ecso: ecso_config.json")
    (calibration / "mine.yaml").write_text(text, "utf-8")
    with pytest.raises(ECSOInputError, match="preset must be hardened, the base of the settings"):
        load_recipe(str(calibration / "mine.yaml"))
    (calibration / "mine.yaml").write_text(text.replace("preset: paper", "preset: hardened"))
    assert load_recipe(str(calibration / "mine.yaml")).ecso == {
        "unsafe_threshold": stored["unsafe_threshold"]
    }

    monkeypatch.chdir(tmp_path)
    data = ["--data", str(miniatures / "figstep"), "--limit", "2"]
    assert main(["eval", "figstep", *data, "--compare", "--ecso-config", str(file)]) == 0
    assert "figstep ecso_config" in capsys.readouterr().out
    options = ["--out", "report", "--calibration", str(calibration)]
    assert main(["report", "eval-logs", *options]) == 0
    page = Path("report/index.html").read_text("utf-8")
    assert "Which threshold" in page and plain["advice"] in page
    summary = json.loads(Path("report/summary.json").read_text("utf-8"))
    assert summary["figstep"]["SafeBench"] == {"direct": 0.0, "ecso_config": 100.0}
    assert summary["calibration"]["found"]["value"] == 100


class ScriptedServer:
    """Answers with the query's own words, and finds harm in those that say so."""

    def __init__(self, gives=True):
        self.gives, self.closed, self.limits = gives, False, set()

    async def traits(self, anew=False):
        return ServerTraits(self.gives)

    async def complete(self, messages, fields, wants_logprobs=False, on_piece=None):
        self.limits.add(fields["max_tokens"])
        content = messages[-1]["content"]
        text = content if isinstance(content, str) else content[-1]["text"]
        p_unsafe = (0.9 if "RESPONSE>>>\nbad" in text else 0.1) if wants_logprobs else None
        text = "no" if wants_logprobs else text
        return Completion(text, 1, 1, "stop", wants_logprobs, p_unsafe, 1.0)

    async def close(self):
        self.closed = True


def test_drafts_are_drawn_from_a_server_in_their_order(miniatures):
    image = next((miniatures / "calibration" / "images").iterdir())
    pairs = [
        ImageQueryPair(row, str(row), image.name, query)
        for row, query in enumerate(["good", "bad", "I can not help with that."], 1)
    ]
    source, server, drawn = PairSource(pairs, image.parent), ScriptedServer(), []
    drawing = ServerDrawing(lambda: ServerPool({"one": server}), 7, 2)
    config = ECSOConfig.from_preset("hardened")
    found = drawing.scores(source, config, lambda pair, score: drawn.append(pair.row))
    assert [score.p_unsafe for score in found] == [0.1, 0.9, 0.1]
    assert [score.declines for score in found] == [False, False, True]
    assert sorted(drawn) == [1, 2, 3] and server.closed and server.limits == {7, 1}
    assert drawing.content_free(config) == 0.1
    traces = drawing.traces(source, config)
    assert [trace.draft_withheld for trace in traces] == [False, True, False]
    with pytest.raises(ECSOInputError, match="gives no log-probabilities"):
        silent = ServerPool({"one": ScriptedServer(gives=False)})
        ServerDrawing(lambda: silent, 7, 2).scores(source, config, print)


class BreakingServer(ScriptedServer):
    """Answers so many drafts, then is gone."""

    def __init__(self, drafts):
        super().__init__()
        self.left, self.asked = drafts, 0

    async def complete(self, messages, fields, wants_logprobs=False, on_piece=None):
        if not wants_logprobs and fields["max_tokens"] == 9:
            if self.asked == self.left:
                raise ModelServerError(Fault.UNREACHABLE)
            self.asked += 1
        return await super().complete(messages, fields, wants_logprobs, on_piece)


@pytest.mark.parametrize("step", ["direct", "detect"])
@pytest.mark.parametrize("fault", [Fault.UNREACHABLE, Fault.TIMEOUT])
def test_a_draft_that_a_server_does_not_judge_is_drawn_anew_at_another(miniatures, step, fault):
    image = next((miniatures / "calibration" / "images").iterdir())
    pairs = [ImageQueryPair(row, str(row), image.name, "What is unsafe?") for row in range(8)]
    servers = {"failing": FailingServer(fault, step=step), "there": FailingServer()}
    drawing = ServerDrawing(lambda: ServerPool(servers), 7, 2)
    source, config = PairSource(pairs, image.parent), ECSOConfig.from_preset("hardened")
    found = drawing.scores(source, config, lambda pair, score: None)
    assert len(found) == 8 and all(score.p_unsafe > 0.9 for score in found)


def test_servers_that_differ_are_not_calibrated_together(miniatures):
    image = next((miniatures / "calibration" / "images").iterdir())
    source = PairSource([ImageQueryPair(1, "1", image.name, "What is this?")], image.parent)
    servers = {"a": FailingServer(), "b": FailingServer(gives_logprobs=False)}
    drawing = ServerDrawing(lambda: ServerPool(servers), 7, 4)
    with pytest.raises(ECSOInputError, match="a gives log-probabilities, b does not"):
        drawing.scores(source, ECSOConfig.from_preset("hardened"), print)
    assert not any(server.asked for server in servers.values())


def test_what_ends_a_calibration_ends_all_that_is_in_work(miniatures):
    image = next((miniatures / "calibration" / "images").iterdir())
    pairs = [ImageQueryPair(row, str(row), image.name, "What is this?") for row in range(40)]
    server = FailingServer(Fault.STATUS, 400, "detect", seconds=0.01)
    drawing = ServerDrawing(lambda: ServerPool({"one": server}), 7, 4)
    source, config = PairSource(pairs, image.parent), ECSOConfig.from_preset("hardened")
    with pytest.raises(ModelServerError, match="^one: .* status 400"):
        drawing.scores(source, config, print)
    assert server.closed and server.asked_when_closed == 0


def test_a_broken_calibration_is_continued(capsys, miniatures, tmp_path, monkeypatch):
    data, out = miniatures / "calibration", tmp_path / "out"
    files = ["--benign", str(data / "benign.jsonl"), "--harmful", str(data / "harmful.jsonl")]
    options = ["--model", "scripted", "--max-new-tokens", "9", "--batch-size", "1"]
    options += ["--out", str(out), "--upstream", "http://127.0.0.1:9/v1", "--max-flagged", "10%"]
    command = ["calibrate", *files, *options]
    server = BreakingServer(17)
    monkeypatch.setattr(server_pool, "pool_of", lambda *_: lambda: ServerPool({"one": server}))
    assert main(command) == 2
    assert capsys.readouterr().err.strip().endswith("could not be reached, or broke off")
    kept = (out / "calibration.journal").read_text("utf-8")
    assert len(kept.splitlines()) == 1 + 17 and "How" not in kept
    assert main([*command, "--preset", "paper"]) == 2
    assert "of a run with another preset; move it away" in capsys.readouterr().err
    with (out / "calibration.journal").open("a") as stream:
        stream.write('{"kind": "harmful", "row"')  # a line cut short by a crash
    server.left = 50
    assert main(command) in (0, 1)  # whatever the threshold comes to
    assert server.asked == 50
    plain = json.loads((out / "calibration.json").read_text("utf-8"))
    assert plain["benign"] == 40 and plain["harmful"] == 10
    assert not (out / "calibration.journal").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["--max-flagged", "0"], "--max-flagged is 0; give percent above 0"),
        (["--max-flagged", "lots"], "--max-flagged is lots"),
        (["--benign", "none.jsonl"], "none.jsonl: no such file"),
        (["--preset", "strict"], "--preset 'strict' is unknown"),
        (["--upstream", "http://127.0.0.1:9/v1"], "--upstream needs --model"),
        (["--batch-size", "0"], "--batch-size is 0"),
    ],
)
def test_a_mistake_is_one_line_before_anything_runs(capsys, miniatures, tmp_path, changes, says):
    benign = str(miniatures / "calibration" / "benign.jsonl")
    status = main(["calibrate", "--benign", benign, "--out", str(tmp_path / "out"), *changes])
    assert status == 2 and says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "holds no settings"),
        ("{", "neither YAML nor JSON"),
        ('{"unsafe_treshold": 1}', "unsafe_treshold is no ECSO setting"),
        ('{"unsafe_threshold": 0}', "unsafe_threshold must be a number above 0"),
    ],
)
def test_a_broken_ecso_config_file_is_one_line(capsys, tmp_path, text, says):
    file = tmp_path / "mine.json"
    file.write_text(text, "utf-8")
    assert main(["run", "--query", "Hello", "--ecso-config", str(file)]) == 2
    err = capsys.readouterr().err
    assert "mine.json" in err and says in err
