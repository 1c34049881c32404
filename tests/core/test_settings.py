import json

import pytest

from modeling_ecso import ECSOConfig, ECSOConfigError, ECSOLlavaConfig
from modeling_ecso.presets_ecso import PRESETS
from tests.support.plain_loop import PUBLISHED


@pytest.mark.parametrize("name", ["reference", "paper"])
def test_prompts_are_the_published_ones_character_for_character(name):
    stored = PRESETS[name]
    fields = {"query": "Q {x}", "response": "R", "caption": "C"}
    assert stored["detect_prompt"].format(**fields) == PUBLISHED["tell"].format("Q {x}", "R")
    assert stored["caption_prompt"].format(**fields) == PUBLISHED["cap"].format("Q {x}")
    assert stored["safe_prompt"].format(**fields) == PUBLISHED["gen"].format("C", "Q {x}")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_complete_and_valid(name):
    ecso_config = ECSOConfig.from_preset(name)
    assert ecso_config.preset == name
    assert ECSOConfig.from_dict(json.loads(json.dumps(ecso_config.to_dict()))) == ecso_config


def test_what_the_presets_promise():
    reference, paper, hardened = map(ECSOConfig.from_preset, ("reference", "paper", "hardened"))
    assert (reference.draft_view, reference.window_chars) == ("head", 1927)
    assert reference.verdict_rule == "exact" and not reference.unclear_is_unsafe
    assert reference.detect_max_new_tokens == reference.safe_max_new_tokens == 1024
    assert paper.draft_view == "windows" and paper.unclear_is_unsafe
    assert (
        hardened.verdict_rule == "logits"
        and hardened.judge_text_only
        and hardened.judge_safe_answer
    )
    assert not any(preset.image_in_safe_step for preset in (reference, paper, hardened))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("detect_prompt", "no placeholder"),
        ("detect_prompt", "{query} only"),
        ("detect_prompt", "{query.__class__} {response}"),
        ("detect_prompt", "{query!r} {response}"),
        ("detect_prompt", "{query:>9999999999} {response}"),
        ("detect_prompt", "{query} {response} {config}"),
        ("detect_prompt", "{query} {response} {"),
        ("detect_prompt", "{query} {response} {0}"),
        ("detect_prompt", "{query[0]} {response}"),
        ("caption_prompt", None),
        ("safe_prompt", "{query}"),
        ("text_only_safe_prompt", "{caption} {query}"),
        ("preset", "strict"),
        ("enabled", "yes"),
        ("enabled", 1),
        ("window_chars", 0),
        ("window_chars", True),
        ("window_overlap_chars", 1927),
        ("verdict_rule", "regex"),
        ("unsafe_threshold", 0),
        ("unsafe_threshold", float("nan")),
        ("detect_max_new_tokens", None),
        ("safe_max_new_tokens", 0),
        ("refusal", " "),
        ("on_error", "ignore"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_key(key, value):
    stored = {**PRESETS["paper"], key: value}
    with pytest.raises(ECSOConfigError, match=rf"ecso\.{key}"):
        ECSOConfig.from_dict(stored)


def test_a_missing_or_unknown_key_is_an_error_that_names_it():
    incomplete = dict(PRESETS["paper"])
    del incomplete["refusal"]
    with pytest.raises(ECSOConfigError, match=r"ecso\.refusal is missing"):
        ECSOConfig.from_dict(incomplete)
    with pytest.raises(ECSOConfigError, match=r"ecso\.thresold"):
        ECSOConfig.from_dict({**PRESETS["paper"], "thresold": 1})
    with pytest.raises(ECSOConfigError, match=r"ecso\.enable "):
        ECSOConfig.from_preset("paper").enable = False


def test_settings_can_be_set_and_are_checked():
    ecso_config = ECSOConfig.from_preset("paper")
    ecso_config.enabled = False
    assert ecso_config.enabled is False
    with pytest.raises(ECSOConfigError, match=r"ecso\.enabled"):
        ecso_config.enabled = "no"
    assert ecso_config.updated({"preset": "hardened", "refusal": "No."}).verdict_rule == "logits"


def test_config_round_trips_through_a_folder(tmp_path):
    config = ECSOLlavaConfig()
    assert config.ecso.preset == "paper"
    config.ecso = {"preset": "hardened", "refusal": "No."}
    config.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert stored["model_type"] == "ecso_llava"
    assert stored["ecso"]["refusal"] == "No."
    loaded = ECSOLlavaConfig.from_pretrained(tmp_path)
    assert loaded.ecso == config.ecso
    changed = ECSOLlavaConfig.from_pretrained(tmp_path, ecso={"preset": "paper"})
    assert changed.ecso.verdict_rule == "normalized"
    assert "ecso" in repr(loaded)


@pytest.mark.parametrize("damage", ["all", "refusal"])
def test_a_stored_config_with_settings_missing_does_not_load(tmp_path, damage):
    ECSOLlavaConfig().save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    stored = json.loads(file.read_text("utf-8"))
    if damage == "all":
        del stored["ecso"]
    else:
        del stored["ecso"]["refusal"]
    file.write_text(json.dumps(stored), "utf-8")
    with pytest.raises(ECSOConfigError, match=r"ecso(\.refusal)? is missing"):
        ECSOLlavaConfig.from_pretrained(tmp_path)
