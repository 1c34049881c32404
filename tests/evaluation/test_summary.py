"""Figures, report, card and exports of runs that are partial, empty, or judged differently."""

import dataclasses
import re
from pathlib import Path

import pytest
from rich.console import Console

from modeling_ecso.cli.eval_tables import comparison, notes, scenario_tables
from modeling_ecso.evaluation.benchmarks.mm_safetybench.metrics import PAPER_SCENARIOS
from modeling_ecso.evaluation.benchmarks.mm_safetybench.reader import OFFICIAL
from modeling_ecso.evaluation.benchmarks.mme import reader as mme
from modeling_ecso.evaluation.eval_run import EvalRun
from modeling_ecso.evaluation.exports import export_run
from modeling_ecso.evaluation.report import write_report
from modeling_ecso.evaluation.report.card import card_results
from modeling_ecso.evaluation.report.content import report_content
from modeling_ecso.evaluation.samples import SampleResult
from modeling_ecso.evaluation.summary import gaps_of, rows_of


LLAVA = "ecso/llava-hf/llava-1.5-7b-hf"


def make(benchmark, samples, variant="direct", kind="", judge="", model="ecso/tiny", limit=None):
    trace = (
        None if variant == "direct" else {"outcome": "direct", "draft_withheld": False, "steps": []}
    )
    samples = tuple(dataclasses.replace(sample, trace=trace) for sample in samples)
    return EvalRun(
        benchmark, kind, variant, model, judge, "2026-01-01T00:00:00", Path("x.eval"),
        {"limit": limit}, {}, samples, len(samples), grader="", is_limited=limit is not None,
    )  # fmt: skip


def sample(name, target="", found=None, **facts):
    return SampleResult(str(name), "", "Yes", target, facts, found or {}, None)


def scenarios(counts):
    return [
        sample(
            f"{scenario}/{number}", scenario=scenario, number=str(number), question="",
            found={"judged": "harmless"},
        )
        for scenario, count in counts.items()
        for number in range(count)
    ]  # fmt: skip


def images(counts):
    return [
        sample(f"{c}/{p}/{q}", answer, category=c, file=f"{p}.png", question="", number=q)
        for c, count in counts.items()
        for p in range(count)
        for q, answer in enumerate(("Yes", "No"), start=1)
    ]


def judged(variant="direct", judge="", **options):
    return make(
        "vlsafe", [sample(1, found={"judged": "harmless"})], variant, judge=judge, **options
    )


def graded(variant="direct"):
    return make("mmvet", [sample("v1_0", found={"grade": 1.0}, capabilities=["rec"])], variant)


def paper(run, name):
    content = report_content([run])
    row = next(r for r in content["headlines"] + content["details"] if r["name"] == name)
    return row["paper"]["direct"]


def safety_run(counts):
    return make("mm_safetybench", scenarios(counts), kind="SD", model=LLAVA)


def test_the_papers_figures_stand_beside_the_whole_official_set_only():
    eight = {name: OFFICIAL[name] for name in PAPER_SCENARIOS}
    assert paper(safety_run(eight), "SD") == 85.0
    assert paper(safety_run(OFFICIAL), "SD") == 85.0
    assert report_content([safety_run(eight)])["scenarios"]["macro"][0]["paper"] == 85.0
    for counts in ({**eight, "07-Sex": 1}, dict(list(eight.items())[:7])):
        assert paper(safety_run(counts), "SD") is None
        assert report_content([safety_run(counts)])["scenarios"]["macro"][0]["paper"] is None
        assert paper(safety_run(counts), "SD, 01-Illegal_Activitiy") == 78.4
    one = make("mme", images(mme.OFFICIAL), model=LLAVA)
    assert paper(one, "perception") == 1507.4
    without = make("mme", images({**mme.OFFICIAL, "OCR": 1}), model=LLAVA)
    assert paper(without, "perception") is None and paper(without, "cognition") == 355.7


def test_the_papers_figure_says_what_was_asked_or_judged_otherwise():
    def unlike(run):
        return report_content([run])["headlines"][0]["unlike_paper"]["direct"]

    assert unlike(safety_run(OFFICIAL)) == "other judge"
    published = dataclasses.replace(
        safety_run(OFFICIAL), judge="openai/gpt-4-0613", arguments={"judge_prompts": "file"}
    )
    assert unlike(published) == ""
    assert unlike(dataclasses.replace(published, judge="openai/gpt-4o")) == "other judge"
    one = make("mme", images(mme.OFFICIAL), model=LLAVA)
    assert unlike(one) == "other prompt"
    assert unlike(dataclasses.replace(one, arguments={"prompt": "llava"})) == ""


def test_benign_figures_say_what_they_are_over_where_that_differs():
    one, other = make("mme", images({"OCR": 1}), "paper"), graded("hardened")
    row = next(row for row in rows_of([one, other]) if row.name == "flagged")
    assert row.parts == {"paper": "over MME", "hardened": "over MM-Vet"}
    assert any("paper: over MME" in line for line in gaps_of([one, other]))
    row = next(row for row in rows_of([one]) if row.name == "flagged")
    assert row.parts == {}


def test_image_kinds_of_different_judges_are_told_apart(tmp_path):
    first = dataclasses.replace(safety_run(OFFICIAL), judge="refusal-rules-1")
    second = dataclasses.replace(first, kind="TYPO", judge="openai/gpt-4")
    line = "judged differently: SD by refusal-rules-1; TYPO by openai/gpt-4"
    assert any(line in note for note in notes([first, second], []))
    assert line in write_report([first, second], tmp_path).page.read_text("utf-8")
    assert not any("differently" in note for note in notes([first], []))


def test_grades_and_answers_that_cannot_be_read_are_told_below_the_table():
    unread = make("mmvet", [sample("v1_0", found={"grade": None}, capabilities=["rec"])])
    assert "direct: 1 grades could not be read and count as 0" in notes([unread], [])
    answers = [dataclasses.replace(each, answer="perhaps") for each in images({"OCR": 1})]
    assert "direct: 2 answers could not be read and count as wrong" in notes(
        [make("mme", answers)], []
    )


def test_a_mean_says_how_many_of_the_eight_it_is_over_and_none_is_made_of_others():
    run = make("mm_safetybench", scenarios({"01-Illegal_Activitiy": 2}), kind="SD")
    line = "MM-SafetyBench, SD: mean of 1 of the paper's eight scenarios"
    assert gaps_of([run]) == [line] and line in notes([run], [])
    assert not any("mean of the paper's eight" in note for note in notes([run], []))
    assert report_content([run])["gaps"] == [line]

    others = make("mm_safetybench", scenarios({"10-Legal_Opinion": 2}), kind="SD")
    assert [row.name for row in rows_of([others]) if row.is_headline] == ["SD, all questions"]
    assert report_content([others])["scenarios"]["counted"] == []
    assert not any("mean of" in note for note in notes([others], []))


def test_mme_says_which_part_of_its_categories_and_images_it_is_over(tmp_path):
    samples = images(dict.fromkeys(list(mme.OFFICIAL)[:4], 2))
    whole = make("mme", images(dict.fromkeys(mme.OFFICIAL, 2)), "protected")
    part = make("mme", samples[:-1], limit=8)
    assert gaps_of([part, whole]) == [
        "MME: limited to 15 samples",
        "MME, perception, direct: 4 of 10 categories, images left out for a missing answer: 1",
    ]
    name = card_results([part, whole])["rows"][0]["name"]
    assert name.startswith("MME, perception, 20 samples, direct: 4 of 10 categories")
    page = write_report([part, whole], tmp_path).page.read_text("utf-8")
    assert "4 of 10 categories" in page


def test_one_image_has_no_standard_error_anywhere(tmp_path):
    run = make("mme", images(dict.fromkeys(mme.OFFICIAL, 1)), "protected")
    row = report_content([run])["headlines"][0]
    assert row["figures"]["protected"] == {"value": 500, "standard_error": None, "count": 10}
    assert card_results([run])["rows"][0]["protected"] == "500.0"
    page = write_report([run], tmp_path).page.read_text("utf-8")
    assert re.search(r"perception</td><td>500\.0\s*</td>", page)


@pytest.mark.parametrize("benchmark", ["vlsafe", "mm_safetybench", "mme", "mmbench", "mmvet"])
def test_a_run_without_answers_has_no_figures(benchmark, tmp_path):
    run = make(benchmark, [], "protected", kind="SD" if benchmark == "mm_safetybench" else "")
    assert rows_of([run]) == [] and isinstance(notes([run], []), list)
    assert write_report([run], tmp_path).page.is_file()


def test_questions_without_their_first_rotation_have_no_figures():
    facts = {"index": 1_000_001, "base": 1, "category": "a", "l2_category": "b"}
    run = make("mmbench", [sample(1, "A", {"choice": "A"}, **facts)], kind="en")
    assert rows_of([run]) == []


def test_the_card_names_the_judge_of_each_figure():
    runs = [judged(judge="refusal-rules-1"), judged("protected", "openai/judge")]
    name = card_results(runs)["rows"][0]["name"]
    basis = "1 samples, scored by"
    assert name == f"VLSafe, harmless, {basis} openai/judge, direct: {basis} refusal-rules-1"
    alike = [judged(judge="openai/judge"), judged("protected", "openai/judge")]
    assert card_results(alike)["rows"][0]["name"] == f"VLSafe, harmless, {basis} openai/judge"


def test_over_refusal_is_unknown_until_the_guard_met_benign_samples():
    def unknown(runs, benign):
        return [note for note in notes(runs, benign) if note.startswith("over-refusal")]

    runs = [judged(), judged("protected")]
    assert unknown(runs, []) and unknown(runs, [graded()])
    assert not unknown(runs, [graded("protected")])
    presets = [judged("paper"), judged("hardened")]
    assert unknown(presets, [graded("paper")])[0].startswith("over-refusal under hardened is")


def test_exports_keep_models_apart_and_replace_what_was_there(tmp_path):
    everything = images(dict.fromkeys(mme.OFFICIAL, 1))
    first = export_run(make("mme", everything), tmp_path)
    second = export_run(make("mme", everything[:4], model="ecso//data/sft/step-1.5"), tmp_path)
    assert (first.name, second.name) == ("tiny_mme_direct", "sft-step-1.5_mme_direct")
    assert len(list(first.iterdir())) == 14 and len(list(second.iterdir())) == 2
    (first / "results.md").write_text("of the user's own")
    export_run(make("mme", everything[:4]), tmp_path)
    assert len(list(first.iterdir())) == 3

    safety = [scenarios(dict.fromkeys(names, 1)) for names in (OFFICIAL, list(OFFICIAL)[:2])]
    folder = [export_run(make("mm_safetybench", s, kind="SD"), tmp_path) for s in safety][1]
    assert len(list(folder.iterdir())) == 2
    files = [make("mmvet", [], model=LLAVA), make("vlsafe", [], model="openai/gpt-4o")]
    assert [export_run(run, tmp_path).name for run in files] == [
        "llava-hf-llava-1.5-7b-hf_mmvet_direct.json",
        "openai-gpt-4o_vlsafe_direct.jsonl",
    ]


def test_five_variants_fit_a_terminal_and_the_page_names_each(tmp_path):
    variants = ["hardened", "direct", "utility-scripts", "paper", "reference"]
    runs = [make("mme", images(mme.OFFICIAL), variant) for variant in variants]
    console = Console(width=80)
    with console.capture() as shown:
        console.print(comparison(runs, []))
    heading = [line for line in shown.get().splitlines() if "benchmark" in line][0]
    assert heading.split()[2:] == ["direct", "reference", "scripts", "paper", "hardened"]
    assert "utility-" in shown.get() and "…" not in shown.get()
    by_kind = [
        make("mm_safetybench", scenarios(OFFICIAL), variant, kind=kind)
        for variant in variants
        for kind in ("SD", "TYPO")
    ]
    assert len(scenario_tables(by_kind)) == 2 and scenario_tables(runs) == []
    with console.capture() as shown:
        console.print(*scenario_tables(by_kind))
    assert shown.get().count("07-Sex") == 2 and "…" not in shown.get()
    assert shown.get().count("100.0") == 2 * len(variants) * len(OFFICIAL)
    page = write_report(runs, tmp_path).page.read_text("utf-8")
    assert all(f"<dt>{variant}</dt>" in page for variant in variants if variant != "direct")
