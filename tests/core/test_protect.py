"""`protect()`: a model object answers protected, and stays what it was otherwise."""

import copy
import pickle

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    pipeline,
)

from modeling_ecso import (
    ECSOConfig,
    ECSOConfigError,
    ECSOInputError,
    ECSOProcessorError,
    protect,
)
from tests.support.tiny_random import (
    image,
    make_mixed_inputs,
    make_model,
    make_tokenizer,
    save_stock,
)


SETTINGS = {"unclear_is_unsafe": True, "caption_max_new_tokens": 24}


@pytest.fixture(scope="module")
def folder(processor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    save_stock(processor, folder)
    return folder


@pytest.fixture
def stock(folder):
    return LlavaForConditionalGeneration.from_pretrained(folder)


def test_the_object_answers_as_the_class_does(processor):
    ours = make_model(processor, **SETTINGS)
    other = make_model(processor, **SETTINGS)
    plain = LlavaForConditionalGeneration(other.config)
    plain.load_state_dict(other.state_dict())
    plain.generation_config = copy.deepcopy(ours.generation_config)
    protected = protect(plain.eval(), processor, SETTINGS)
    assert protected is plain
    inputs = make_mixed_inputs(processor)
    expected = ours.generate(**inputs, max_new_tokens=9, return_dict_in_generate=True)
    output = protected.generate(**inputs, max_new_tokens=9, return_dict_in_generate=True)
    assert torch.equal(output.sequences, expected.sequences)
    outcomes = [trace.outcome for trace in output.ecso_traces]
    assert outcomes == [trace.outcome for trace in expected.ecso_traces]
    assert "safe" in outcomes and "direct" in outcomes


def test_it_is_still_an_instance_of_its_class_and_says_that_it_is_protected(stock):
    protected = protect(stock)
    assert isinstance(protected, LlavaForConditionalGeneration)
    assert type(protected).__name__ == "LlavaForConditionalGeneration"
    assert "protected by ECSO" in repr(protected)


def test_the_processor_comes_from_where_the_model_came_from(stock, processor):
    protected = protect(stock)
    assert protected.processor.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
    assert len(protected.generate(**make_mixed_inputs(processor), max_new_tokens=2)) == 4


def test_switched_off_it_is_the_stock_model(stock, processor):
    inputs = make_mixed_inputs(processor)
    expected = stock.generate(**inputs, max_new_tokens=6)
    assert torch.equal(protect(stock).generate(**inputs, max_new_tokens=6, ecso=False), expected)


@pytest.mark.parametrize(
    "ecso, preset, refusal",
    [
        (None, "paper", "I can't help with that."),
        ("hardened", "hardened", "I can't help with that."),
        ({"refusal": "No."}, "paper", "No."),
        ({"preset": "hardened", "refusal": "No."}, "hardened", "No."),
        (ECSOConfig.from_preset("reference"), "reference", "I can't help with that."),
    ],
)
def test_settings_are_a_preset_what_differs_or_an_ecso_config(stock, ecso, preset, refusal):
    settings = protect(stock, ecso=ecso).ecso_config
    assert (settings.preset, settings.refusal) == (preset, refusal)


def test_protecting_again_changes_what_is_said_and_nothing_else(stock):
    protected = protect(stock, ecso="hardened")
    assert protect(protect(protected), ecso={"refusal": "No."}) is protected
    assert protected.ecso_config.preset == "hardened"
    assert protected.ecso_config.refusal == "No."


def test_a_pipeline_is_protected(stock, logs):
    protected = protect(stock, ecso={"unclear_is_unsafe": True, "on_error": "raise"})
    seen, start = [], protected.protected_run
    protected.protected_run = lambda **kwargs: seen.append(start(**kwargs)) or seen[-1]
    pipe = pipeline("image-text-to-text", model=protected, processor=protected.processor)
    content = [{"type": "image", "image": image()}, {"type": "text", "text": "How?"}]
    pipe(text=[{"role": "user", "content": content}], max_new_tokens=4)
    assert [trace.outcome for run in seen for trace in run.traces] == ["safe"]
    assert not any("not supported" in line for line in logs)


def test_a_copy_is_protected(stock, processor):
    copied = copy.deepcopy(protect(stock))
    inputs = make_mixed_inputs(processor)
    output = copied.generate(**inputs, max_new_tokens=2, return_dict_in_generate=True)
    assert len(output.ecso_traces) == 4


def test_nothing_is_saved_that_would_load_unprotected(stock, tmp_path):
    protected = protect(stock)
    with pytest.raises(ECSOInputError, match="would load unprotected"):
        protected.save_pretrained(tmp_path / "saved")
    with pytest.raises(ECSOInputError, match="would load unprotected"):
        protected.push_to_hub("tester/saved")
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(protected)
    assert not (tmp_path / "saved").exists()
    LlavaForConditionalGeneration.save_pretrained(protected, tmp_path / "plain")
    again = LlavaForConditionalGeneration.from_pretrained(tmp_path / "plain")
    assert not hasattr(again, "protected_run")


def test_continuous_batching_does_not_get_around_it(stock):
    with pytest.raises(ECSOInputError, match="continuous batching"):
        protect(stock).init_continuous_batching()


@pytest.mark.parametrize("what", [None, "a name", torch.nn.Linear(1, 1)])
def test_what_is_no_model_is_refused(what):
    with pytest.raises(ECSOInputError, match=f"not a {type(what).__name__}"):
        protect(what)


def model_without_images(**changes):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    return LlamaForCausalLM(LlamaConfig(vocab_size=99, intermediate_size=16, **sizes, **changes))


def test_a_model_that_reads_no_images_is_refused(processor):
    model = model_without_images()
    with pytest.raises(ECSOProcessorError, match="image_token_id is None"):
        protect(model, processor)
    assert type(model) is LlamaForCausalLM


def test_a_tokenizer_where_the_model_came_from_is_no_processor(tmp_path):
    model_without_images().save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ECSOProcessorError, match="there is a .*Tokenizer"):
        protect(LlamaForCausalLM.from_pretrained(tmp_path))


def test_a_model_that_generates_in_a_way_of_its_own_is_refused(processor):
    class Own(LlamaForCausalLM):
        def generate(self, *args, **kwargs):
            return super().generate(*args, **kwargs)

    own = Own(model_without_images().config)
    for model in (own, model_without_images(is_encoder_decoder=True)):
        with pytest.raises(ECSOInputError, match="generates in a way of its own"):
            protect(model, processor)


def test_a_generate_of_its_own_is_refused_since_it_would_stand_in_front(stock):
    stock.generate = stock.generate
    with pytest.raises(ECSOInputError, match="del model.generate"):
        protect(stock)


@pytest.mark.parametrize(
    "wrong, error",
    [
        ({"processor": "a name"}, ECSOProcessorError),
        ({"ecso": {"no_such_setting": 1}}, ECSOConfigError),
        ({"ecso": "no such preset"}, ECSOConfigError),
        ({"ecso": 3}, ECSOConfigError),
    ],
)
def test_after_a_refusal_the_model_is_as_it_was(stock, wrong, error):
    before = dict(vars(stock))
    with pytest.raises(error):
        protect(stock, **wrong)
    assert type(stock) is LlavaForConditionalGeneration
    assert vars(stock) == before
