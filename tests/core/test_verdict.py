import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeling_ecso import ECSOConfig
from modeling_ecso.verdict_ecso import (
    Verdict,
    is_settled,
    probability_unsafe,
    read_exact,
    read_normalized,
    read_probability,
    verdict_on_windows,
)


SAFE, UNSAFE, UNCLEAR = Verdict.SAFE, Verdict.UNSAFE, Verdict.UNCLEAR


@pytest.mark.parametrize(
    ("reply", "exact", "normalized"),
    [
        ("yes", UNSAFE, UNSAFE),
        ("Yes.", UNSAFE, UNSAFE),
        (" YES\n", UNSAFE, UNSAFE),
        ("no", SAFE, SAFE),
        ("No.", SAFE, SAFE),
        ("**Yes**, it is.", UNCLEAR, UNSAFE),
        ('"no"', UNCLEAR, SAFE),
        ("No, the response is fine", UNCLEAR, SAFE),
        ("Ｙｅｓ", UNCLEAR, UNSAFE),
        ("No. Yes.", UNCLEAR, UNCLEAR),
        ("Yes and no", UNCLEAR, UNCLEAR),
        ("not harmful", UNCLEAR, UNCLEAR),
        ("nothing", UNCLEAR, UNCLEAR),
        ("yesterday", UNCLEAR, UNCLEAR),
        ("It is not. No", UNCLEAR, UNCLEAR),
        ("", UNCLEAR, UNCLEAR),
        ("🙂", UNCLEAR, UNCLEAR),
        ("<answer>no</answer>", UNCLEAR, SAFE),
        ("<answer>\n**No.**\n</answer>", UNCLEAR, SAFE),
        ("<|begin_of_box|>no<|end_of_box|>", UNCLEAR, SAFE),
        ("<answer><|begin_of_box|>No.<|end_of_box|></ans", UNCLEAR, SAFE),
        ("<answer>yes</answer>", UNCLEAR, UNSAFE),
        ("<|begin_of_box|>Yes, it is", UNCLEAR, UNSAFE),
        ("<answer>no</answer> yes", UNCLEAR, UNCLEAR),
        ("<yes>no</yes>", UNCLEAR, UNCLEAR),
        ("<yes>hm</yes>", UNCLEAR, UNSAFE),
        ("<answer>no", UNCLEAR, UNCLEAR),
        ("<answer>no idea</answer>", UNCLEAR, UNCLEAR),
        ("<answer>not harmful</answer>", UNCLEAR, UNCLEAR),
        ("<think>no</think>", UNCLEAR, UNCLEAR),
        ("<|START_THINKING|>No.<|END_THINKING|> Harmful", UNCLEAR, UNCLEAR),
        ("It is <answer>no</answer>", UNCLEAR, UNCLEAR),
        ("<is_safe>No</is_safe>", UNCLEAR, UNCLEAR),
        ("<harmless>no</harmless>", UNCLEAR, UNCLEAR),
        ("<analysis>no</analysis> It is harmful.", UNCLEAR, UNCLEAR),
        ("<scratchpad>no</scratchpad>", UNCLEAR, UNCLEAR),
        ("<answer>no</answer> <answer>unsafe</answer>", UNCLEAR, UNCLEAR),
        ("<answer>no<b>t safe</b>", UNCLEAR, UNCLEAR),
        ("<answer><is_safe>no</is_safe></answer>", UNCLEAR, UNCLEAR),
        ("<answer>no</answer> It is harmful.", UNCLEAR, UNCLEAR),
        ("<answer>no</answer><un", UNCLEAR, UNCLEAR),
        ("<answer>no</an", UNCLEAR, SAFE),
        ("<answer>no<", UNCLEAR, SAFE),
        ("<answer></answer>", UNCLEAR, UNCLEAR),
    ],
)
def test_text_rules(reply, exact, normalized):
    assert read_exact(reply) is exact
    assert read_normalized(reply) is normalized


SETTLED = [
    ("yes", False, False),
    ("yes.", False, False),
    ("no", False, False),
    ("No, it", True, False),
    ("yes it", True, False),
    ("No. Yes.", True, True),
    ("I would", True, True),
    ("I", True, False),
    ("  ye", False, False),
    ("not ", True, True),
    ("", False, False),
    ("**Yes** and", True, False),
    ("<", True, False),
    ("<answer", True, False),
    ("<answer>", True, False),
    ("<answer>\n<b>", True, True),
    ("<answer>\n<|begin_of_", True, False),
    ("<answer>no", True, False),
    ("<answer>no</", True, False),
    ("<answer>It ", True, True),
    ("<yes>it ", True, False),
    ("<answer>no</answer> yes ", True, True),
]


@pytest.mark.parametrize(("so_far", "exact", "normalized"), SETTLED)
def test_settled_means_that_nothing_can_change_the_verdict(so_far, exact, normalized):
    assert is_settled(so_far, "exact") is exact
    assert is_settled(so_far, "normalized") is normalized


@given(st.sampled_from([so_far for so_far, *_ in SETTLED]), st.text(max_size=8))
def test_no_continuation_changes_a_settled_verdict(so_far, rest):
    for rule, read in (("exact", read_exact), ("normalized", read_normalized)):
        if is_settled(so_far, rule):
            assert read(so_far + rest) is read(so_far)


PIECES = [
    "<",
    ">",
    "/",
    "|",
    "yes",
    "no",
    "answer",
    "<answer>",
    "</answer>",
    "is_safe",
    " ",
    ".",
    "a",
]


@given(st.lists(st.sampled_from(PIECES)))
def test_marks_turn_no_yes_into_a_no(pieces):
    reply = "".join(pieces)
    words = re.findall(r"\w+", reply)
    if words[:1] == ["yes"] and "no" not in words:
        assert read_normalized(reply) is UNSAFE
    if "yes" in words:
        assert read_normalized(reply) is not SAFE


@given(st.lists(st.sampled_from(PIECES)))
def test_between_marks_no_is_safe_only_where_it_is_all_that_is_said(pieces):
    reply = "<answer>" + "".join(pieces)
    words = set(re.findall(r"\w+", reply)) - {"answer", "no", "a"}  # the last may begin a mark
    if words:
        assert read_normalized(reply) is not SAFE


@given(st.lists(st.sampled_from(PIECES)), st.lists(st.sampled_from(PIECES)))
def test_no_piece_changes_a_settled_verdict(pieces, further):
    so_far, rest = "".join(pieces), "".join(further)
    if is_settled(so_far, "normalized"):
        assert read_normalized(so_far + rest) is read_normalized(so_far)


def test_probability_is_the_share_of_yes():
    assert probability_unsafe(0.6, 0.2) == pytest.approx(0.75)
    assert probability_unsafe(0.0, 1.0) == 0.0


@pytest.mark.parametrize("masses", [(0.1, 0.2), (0.0, 0.0), (float("nan"), 0.5)])
def test_no_probability_where_the_model_says_something_else(masses):
    assert probability_unsafe(*masses) is None


def test_threshold_counts_as_unsafe():
    assert read_probability(0.5, 0.5) is UNSAFE
    assert read_probability(0.49, 0.5) is SAFE
    assert read_probability(None, 0.5) is UNCLEAR


def test_one_bad_window_spoils_the_text():
    paper = ECSOConfig.from_preset("paper")
    hardened = ECSOConfig.from_preset("hardened")
    for windows, chances, verdict in (
        (["no", "hm", "yes", "no"], [0.1, None, 0.9, 0.1], UNSAFE),
        (["no", "hm"], [0.1, None], UNCLEAR),
        (["no", "no"], [0.1, 0.2], SAFE),
        ([], [], UNCLEAR),
    ):
        assert verdict_on_windows(windows, [], paper) is verdict
        assert verdict_on_windows([], chances, hardened) is verdict
