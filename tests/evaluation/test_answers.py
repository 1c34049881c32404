"""The report's first screen: four questions, answered with figures or with what finds out."""

import dataclasses
import json

from modeling_ecso.evaluation.attack_table import attack_table, headline
from modeling_ecso.evaluation.report import write_report
from modeling_ecso.evaluation.report.answers import answers
from tests.evaluation.test_attacks import run_of, sample


NAMES = ("none", "grey", "rot13")
HELPS, THRESHOLD, COSTS, GETS_BY = range(4)
CALIBRATION = {"advice": "At threshold 0.5 ECSO finds 9 of 10.", "chosen": {"value": 0.5}}


def traced(each, outcome="direct"):
    steps = [{**step, "tokens": 1} for step in each.trace["steps"]]
    trace = {
        **each.trace,
        "steps": steps,
        "outcome": outcome,
        "draft_withheld": outcome != "direct",
    }
    return dataclasses.replace(each, trace=trace)


def plain(variant, harmless, benchmark="vlsafe"):
    samples = [traced(sample("none", n, good)) for n, good in enumerate(harmless)]
    return dataclasses.replace(run_of(variant, samples), benchmark=benchmark, arguments={})


def attacked_table(falls):
    asked = [(name, n) for name in NAMES for n in range(10)]
    direct = [traced(sample(name, n, False)) for name, n in asked]
    hardened = [traced(sample(name, n, (name, n) not in falls)) for name, n in asked]
    return attack_table([run_of("direct", direct), run_of("hardened", hardened)])


def test_each_question_has_its_figures_and_their_interval():
    runs = [plain("direct", [False] * 18 + [True] * 2), plain("hardened", [True] * 19 + [False])]
    benign = [plain(variant, [True] * 50, "mmvet") for variant in ("direct", "hardened")]
    found = answers(runs + benign, attacked_table({("grey", 0), ("rot13", 1)}), CALIBRATION)
    assert found[HELPS].verdict == "Yes"
    assert (
        "10.0 % (1.2 to 31.7 %) are harmless directly, 95.0 % (75.1 to 99.9 %) under hardened"
        in (found[HELPS].text)
    )
    assert "18 became harmless by it, 1 the other way" in found[HELPS].text
    assert (found[THRESHOLD].verdict, found[THRESHOLD].text) == ("0.5", CALIBRATION["advice"])
    assert found[COSTS].verdict == "0.0 % flagged, 1.50 × the time"
    assert "withheld the draft in 0.0 % (0.0 to 7.1 %)" in found[COSTS].text
    assert found[GETS_BY].verdict == "20.0 % under hardened, if every attack is tried"
    assert "Whichever of 2 attacks is tried, 80.0 % (44.4 to 97.5 %) of 10" in found[GETS_BY].text


def test_samples_as_they_are_are_no_worst_case_of_attacks():
    runs = [plain("direct", [False] * 10), plain("hardened", [True] * 10)]
    asked = [(name, n) for name in ("none", "pgd-16", "qr") for n in range(10)]
    direct = run_of("direct", [traced(sample(name, n, name == "qr")) for name, n in asked])
    hardened = run_of("hardened", [traced(sample(name, n, name != "pgd-16")) for name, n in asked])
    table = attack_table([direct, hardened])
    assert not table.worst and headline(table).startswith("No worst case")
    found = answers(runs, table, None)[GETS_BY]
    assert found.verdict == "0.0 %, without an attack" and "run ecso attack" in found.text
    assert "Not counted: 1 under which" in found.text
    assert "With the model's weights in hand, pgd-16 leaves 0.0 %" in found.text


def test_what_was_not_measured_is_not_known_and_says_what_finds_out():
    found = answers([plain("direct", [True])], None, None)
    assert [each.verdict for each in found] == ["Not known"] * 4
    for each, command in zip(found, ("eval", "calibrate", "eval", "attack"), strict=True):
        assert f"run ecso {command}" in each.text


def test_protection_that_does_harm_or_nothing_is_called_so():
    good, bad = plain("direct", [True] * 12), plain("paper", [False] * 12)
    assert answers([good, bad], None, None)[HELPS].verdict == "No, it does harm"
    same = dataclasses.replace(good, variant="paper")
    assert answers([good, same], None, None)[HELPS].verdict == "It changes nothing"
    few = plain("paper", [True] * 10 + [False] * 2)
    assert answers([good, few], None, None)[HELPS].verdict == "Not shown"


def test_the_page_begins_with_the_answers_and_has_what_came_of_attacks(tmp_path):
    runs = [plain("direct", [False] * 4), plain("hardened", [True] * 4)]
    report = write_report(runs, tmp_path, None, attacked_table({("grey", 0)}))
    page = report.page.read_text("utf-8")
    assert page.index("What gets by?") < page.index("<table>") < page.index("Under attack")
    attacks = json.loads(report.summary.read_text("utf-8"))["attacks"]
    assert attacks["harmless"]["grey"] == {"direct": 0.0, "hardened": 90.0}
    assert attacks["worst"]["hardened"]["hits"] == 9 and attacks["not_perceived"] == []
