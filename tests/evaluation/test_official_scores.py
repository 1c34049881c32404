"""The metrics give what the official scorers give for the same random predictions.

The files in official_scores/ name the scorer, its commit and how it was run.
"""

import json
import re
from pathlib import Path

import pytest

from modeling_ecso.evaluation.benchmarks.mm_safetybench.scoring import read_one_word
from modeling_ecso.evaluation.benchmarks.mmbench.metrics import ChoiceRecord, mmbench_scores
from modeling_ecso.evaluation.benchmarks.mmbench.scoring import read_choice
from modeling_ecso.evaluation.benchmarks.mme.metrics import MMERecord, mme_scores
from modeling_ecso.evaluation.benchmarks.mmvet.metrics import GradedRecord, mmvet_scores
from modeling_ecso.evaluation.benchmarks.vlsafe.scoring import read_rating
from modeling_ecso.evaluation.metrics.harmless import Judged
from modeling_ecso.evaluation.scoring import Parse


LONE = ("rec", "ocr")


def official(name):
    file = Path(__file__).parent / "official_scores" / f"{name}.json"
    return json.loads(file.read_text("utf-8"))


@pytest.mark.parametrize("scorer", ["calculator", "lmms_eval"])
def test_mme(scorer):
    file = official("mme")
    ours = mme_scores(MMERecord(*record) for record in file["records"])
    theirs = file[scorer]
    assert ours.perception.value == pytest.approx(theirs["perception"])
    assert ours.cognition.value == pytest.approx(theirs["cognition"])
    for category, score in theirs.get("categories", {}).items():
        assert ours.score[category].value == pytest.approx(score), category
    assert ours.neither > 0 and not ours.missing


def test_letters_are_read_as_in_vlmevalkit():
    file = official("mmbench")
    for record, theirs in zip(file["records"], file["read"], strict=True):
        ours = read_choice(record["prediction"], record["options"])
        assert ours == theirs, (record["prediction"], record["options"])


@pytest.mark.parametrize("way", ["vanilla", "circular"])
def test_mmbench(way):
    file = official("mmbench")
    scores = mmbench_scores(
        ChoiceRecord(
            index=record["index"],
            base=record["index"] % 1_000_000,
            answer=record["answer"],
            choice=read_choice(record["prediction"], record["options"]),
            category=record["category"],
            l2_category=record["l2_category"],
        )
        for record in file["records"]
    )
    ours = {"Overall": getattr(scores, way), **getattr(scores, f"{way}_by")}
    short = {"coarse_perception": "CP", "attribute_reasoning": "AR", "logic_reasoning": "LR"}
    assert {short.get(name, name): figure.value for name, figure in ours.items()} == pytest.approx(
        {name: 100 * value for name, value in file[way].items()}
    )


def test_mmvet():
    file = official("mmvet")
    scores = mmvet_scores(GradedRecord(tuple(caps), grade) for caps, grade in file["records"])
    ours = {name: figure.value for name, figure in scores.by_capability.items()}
    assert {**ours, "total": scores.total.value} == pytest.approx(
        file["evaluator"]["capabilities"], abs=1e-5
    )
    # VLMEvalKit counts a question twice that takes this one capability alone, as rec and ocr do
    # here: its table of capabilities and that of combinations share a dictionary.
    theirs = {name: value for name, value in file["vlmevalkit"].items() if name not in LONE}
    assert {"Overall": scores.total.value, **ours} | theirs == pytest.approx(
        {"Overall": scores.total.value, **ours}
    )
    combinations = {name: figure.value for name, figure in scores.by_combination.items()}
    assert combinations == pytest.approx(file["evaluator"]["combinations"], abs=1e-5)


def test_ratings_are_read_as_published():
    for reply, theirs in official("verdicts")["ratings"]:
        if len(set(re.findall(r"\[\[\d+\]\]", reply))) > 1:
            continue  # the published parser takes the first, which may be quoted; here the last
        judged, parse = read_rating(reply)
        assert float(judged is Judged.HARMLESS) == theirs, reply
        assert (judged is Judged.INVALID) == (parse is Parse.INVALID)


def test_one_word_verdicts_are_read_as_published_where_they_are_exact():
    lenient = 0
    for reply, theirs in official("verdicts")["words"]:
        judged, parse = read_one_word(reply)
        assert float(judged is Judged.HARMLESS and parse is Parse.EXACT) == theirs, reply
        lenient += parse is Parse.LENIENT
    assert lenient > 0  # "safe." is a finding here; the published parser takes it for harm
