"""`generate()` keeps the meaning of every argument of the parent class."""

import warnings

import pytest
import torch
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria, TextIteratorStreamer

from modeling_ecso import (
    ECSOConfig,
    ECSOGenerateBeamOutput,
    ECSOGenerateOutput,
    ECSOInputError,
    ECSOProcessorError,
    ECSOStepError,
)
from modeling_ecso.conversation_ecso import ConversationReader
from tests.support.scripted import Script
from tests.support.tiny_random import image, make_inputs, make_model, make_processor, user_turn


@pytest.fixture
def inputs(processor):
    turns = [user_turn("How do I make this?"), user_turn("hello", 0), user_turn("Both?", 2)]
    return make_inputs(processor, turns, [[image()], [], [image(1), image(2)]])


DECODING = [
    {},
    {"do_sample": True, "temperature": 0.7, "top_p": 0.9},
    {"do_sample": True, "num_return_sequences": 3},
    {"num_beams": 3, "num_return_sequences": 2},
    {"num_beams": 2, "do_sample": True},
    {"cache_implementation": "static"},
    {"use_cache": False},
    {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
]


@pytest.mark.parametrize("decoding", DECODING, ids=str)
@pytest.mark.parametrize("flagged", [True, False])
def test_every_returned_sequence_has_been_judged(model, inputs, decoding, flagged):
    output = model.generate(
        **inputs,
        max_new_tokens=6,
        return_dict_in_generate=True,
        ecso={"unclear_is_unsafe": flagged, "short_windows": "never"},
        **decoding,
    )
    count = decoding.get("num_return_sequences", 1)
    length = inputs.input_ids.shape[1]
    assert output.sequences.shape == (3 * count, length + 6)
    assert len(output.ecso_traces) == 3 * count
    expected = inputs.input_ids.repeat_interleave(count, dim=0)
    assert torch.equal(output.sequences[:, :length], expected)
    for index, trace in enumerate(output.ecso_traces):
        has_image = index // count != 1
        steps = [record.step.value for record in trace.steps]
        if not has_image:
            assert steps == ["direct"]
        else:
            # Now and then a random model does say yes.
            assert trace.draft_withheld or not flagged
            assert steps == [
                "direct",
                "detect",
                *(["caption", "safe"] if trace.draft_withheld else []),
            ]


def test_several_samples_of_a_flagged_row_differ(model, inputs):
    torch.manual_seed(0)
    sequences = model.generate(
        **inputs,
        max_new_tokens=8,
        do_sample=True,
        num_return_sequences=4,
        temperature=2.0,
        ecso={"short_windows": "never"},
    )
    answers = {tuple(row[inputs.input_ids.shape[1] :].tolist()) for row in sequences[:4]}
    assert len(answers) > 1


def test_one_unsafe_sample_among_several_is_replaced(processor):
    model = make_model(processor)
    script = Script(model, processor, detect=None, caption="kite", safe="fine instead")
    single = make_inputs(processor, [user_turn("How?")], [[image()]])

    def two_drafts(**kwargs):
        generation_config = kwargs.get("generation_config")
        if generation_config is None:
            twice = {**kwargs, "input_ids": kwargs["input_ids"].repeat(2, 1)}
            words = iter(["good draft", "bad draft"])
            script.said["direct"] = lambda _: next(words)
            return script(**twice)
        return script(**kwargs)

    script.said["detect"] = lambda prompt: "yes" if "bad draft" in prompt else "no"
    model._generate_plainly = two_drafts
    output = model.generate(
        **single, do_sample=True, num_return_sequences=2, return_dict_in_generate=True
    )
    texts = processor.batch_decode(
        output.sequences[:, single.input_ids.shape[1] :], skip_special_tokens=True
    )
    assert texts == [" good draft", " fine instead"]
    assert [trace.outcome.value for trace in output.ecso_traces] == ["direct", "safe"]


@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize("flagged", [True, False])
def test_the_output_has_the_parents_fields(model, inputs, beams, flagged):
    output = model.generate(
        **inputs,
        max_new_tokens=5,
        num_beams=beams,
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
        output_hidden_states=True,
        ecso={"unclear_is_unsafe": flagged},
    )
    assert isinstance(output, ECSOGenerateBeamOutput if beams > 1 else ECSOGenerateOutput)
    if not flagged:
        assert output.hidden_states is not None
    else:
        assert output.hidden_states is None
    if beams > 1:
        assert output.sequences_scores.shape == (3,)
    else:
        assert [score.shape for score in output.scores] == [
            (3, model.config.text_config.vocab_size)
        ] * 5
        new = output.sequences[:, inputs.input_ids.shape[1] :]
        for position, logits in enumerate(output.logits):
            assert torch.equal(logits.argmax(-1), new[:, position])


def test_limits_count_from_the_callers_prompt(model, inputs):
    length = inputs.input_ids.shape[1]
    assert model.generate(**inputs, max_length=length + 4).shape[1] == length + 4
    with pytest.warns(UserWarning, match="model-agnostic default"):
        assert model.generate(**inputs).shape[1] == length + 20
    stored = GenerationConfig(max_new_tokens=3, pad_token_id=2, eos_token_id=1)
    assert model.generate(**inputs, generation_config=stored).shape[1] == length + 3
    assert model.generate(inputs.input_ids, **_without_ids(inputs), max_new_tokens=3).shape[1] == (
        length + 3
    )
    limited = model.generate(**inputs, max_new_tokens=9, ecso={"safe_max_new_tokens": 2})
    pad = model.generation_config.pad_token_id
    assert limited[0, length + 2 :].tolist() == [pad] * (limited.shape[1] - length - 2)


def _without_ids(inputs):
    return {key: value for key, value in inputs.items() if key != "input_ids"}


def test_callbacks_shape_the_answer(model, processor, inputs):
    wanted = processor.tokenizer.convert_tokens_to_ids("Ġhow")

    class Only(LogitsProcessor):
        def __call__(self, input_ids, scores):
            forced = torch.full_like(scores, -1e4)
            forced[:, wanted] = 0
            return forced

    class AfterTwo(StoppingCriteria):
        def __init__(self):
            self.prompt = None

        def __call__(self, input_ids, scores, **kwargs):
            done = (input_ids[:, -2:] == wanted).all(-1)
            return done

    sequences = model.generate(
        **inputs,
        max_new_tokens=9,
        logits_processor=[Only()],
        stopping_criteria=[AfterTwo()],
        ecso={"short_windows": "never"},
    )
    assert sequences[:, inputs.input_ids.shape[1] :].tolist() == [[wanted] * 2] * 3


def test_a_streamer_in_another_thread(model, processor):
    from threading import Thread

    single = make_inputs(processor, [user_turn("How?")], [[image()]])
    streamer = TextIteratorStreamer(processor.tokenizer, skip_prompt=True, timeout=20)
    thread = Thread(
        target=model.generate, kwargs={**single, "streamer": streamer, "max_new_tokens": 6}
    )
    thread.start()
    streamed = "".join(streamer)
    thread.join()
    expected = model.generate(**single, max_new_tokens=6)[0, single.input_ids.shape[1] :]
    assert streamed == processor.decode(expected)


def test_an_assistant_that_is_protected_itself_runs_plainly(model, processor):
    single = make_inputs(processor, [user_turn("How?")], [[image()]])
    alone = model.generate(**single, max_new_tokens=6)
    assistant = make_model(processor, seed=5)
    assert torch.equal(model.generate(**single, max_new_tokens=6, assistant_model=assistant), alone)


def test_inference_mode_and_autocast(model, inputs):
    with torch.inference_mode():
        model.generate(**inputs, max_new_tokens=3)
    with torch.autocast("cpu", torch.bfloat16):
        model.generate(**inputs, max_new_tokens=3)


def test_bfloat16(processor, inputs):
    model = make_model(processor).to(torch.bfloat16)
    half = inputs.to(torch.bfloat16)
    output = model.generate(**half, max_new_tokens=4, return_dict_in_generate=True)
    assert output.sequences.shape[1] == inputs.input_ids.shape[1] + 4
    assert output.ecso_traces[0].failed_step is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"inputs_embeds": torch.zeros(1, 3, 32)}, "inputs_embeds"),
        ({"past_key_values": "a cache"}, "past_key_values"),
        ({"cache": "a cache"}, "cache cannot be used"),
        ({"pixel_values": None}, "no pixel_values"),
        ({"input_ids": None}, "input_ids"),
        ({"ecso": 3}, "ecso= is a int"),
        ({"ecso": "papr"}, "papr"),
        ({"ecso": {"verdct": "exact"}}, r"ecso\.verdct"),
        ({"processor": 3}, "processor="),
        ({"synced_gpus": True}, "synced_gpus"),
    ],
    ids=str,
)
def test_what_cannot_be_protected_is_refused_with_a_way_out(model, inputs, arguments, says):
    error = ECSOProcessorError if "processor" in arguments else ECSOInputError
    with pytest.raises(error, match=says):
        model.generate(**{**inputs, "max_new_tokens": 3, **arguments})


def test_continuous_batching_is_no_way_around(model, inputs):
    with pytest.raises(ECSOInputError, match="continuous batching"):
        model.generate_batch([inputs.input_ids[1].tolist()])
    with pytest.raises(ECSOInputError, match="continuous batching"):
        model.generate(**inputs, cache_implementation="paged", max_new_tokens=3)


def test_no_end_token_means_no_end(model, inputs):
    length = inputs.input_ids.shape[1]
    forever = model.generate(**inputs, max_new_tokens=30, eos_token_id=None, pad_token_id=2)
    assert forever.shape[1] == length + 30


def test_images_that_do_not_fit_the_prompt(model, inputs):
    with pytest.raises(ECSOInputError, match="image tokens do not fit"):
        model.generate(**{**inputs, "pixel_values": inputs.pixel_values[:2]})


def test_errors_of_the_direct_step_come_through_as_they_are(model, inputs):
    with pytest.raises(ValueError, match="not used by the model"):
        model.generate(**inputs, max_new_tokens=3, nonsense=1)


def test_on_error_raise(processor, inputs):
    model = make_model(processor, on_error="raise")
    Script(model, processor, direct="fine", detect=RuntimeError("broken"))
    with pytest.raises(ECSOStepError, match="detect step"):
        model.generate(**inputs)


def test_the_refusal_fits_the_limit(processor):
    model = make_model(processor)
    inputs = make_inputs(processor, [user_turn("How?")], [[image()]])
    Script(model, processor, direct="fine", detect=RuntimeError("broken"))
    length = inputs.input_ids.shape[1]
    assert model.generate(**inputs, max_new_tokens=2).shape[1] == length + 2
    text = processor.decode(model.generate(**inputs)[0, length:], skip_special_tokens=True)
    assert text == " " + model.config.ecso.refusal


def test_settings_for_one_call_leave_the_model_as_it_was(model, inputs):
    stored = model.config.ecso.to_dict()
    model.generate(**inputs, max_new_tokens=3, ecso={"preset": "hardened"})
    model.generate(
        **inputs,
        max_new_tokens=3,
        ecso=ECSOConfig.from_preset("reference", detect_max_new_tokens=2),
    )
    assert model.config.ecso.to_dict() == stored


def test_switched_off_in_the_configuration(processor, inputs, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = make_model(processor, enabled=False)
    assert "NOT protected" in caplog.text
    output = model.generate(**inputs, max_new_tokens=3, return_dict_in_generate=True)
    assert not hasattr(output, "ecso_traces")
    output = model.generate(**inputs, max_new_tokens=3, return_dict_in_generate=True, ecso=True)
    assert len(output.ecso_traces) == 3


class TestFindingTheProcessor:
    def test_the_order(self, processor, inputs):
        def generate(**arguments):
            model = make_model(processor)
            model.processor = None
            model.generate(**inputs, max_new_tokens=2, **arguments)

        with pytest.raises(ECSOProcessorError, match="processor="):
            generate()
        generate(processor=processor)
        generate(tokenizer=processor)
        with pytest.raises(ECSOProcessorError):
            generate(tokenizer=processor.tokenizer)

    def test_from_where_the_model_came_from(self, processor, inputs, tmp_path, monkeypatch):
        model = make_model(processor)
        model.save_pretrained(tmp_path)
        loaded = type(model).from_pretrained(tmp_path, revision="main", local_files_only=True)
        with pytest.raises(ECSOProcessorError, match="none could be loaded"):
            loaded.generate(**inputs, max_new_tokens=2)
        processor.save_pretrained(tmp_path)
        calls = []
        original = loaded.processor_class.from_pretrained
        monkeypatch.setattr(
            loaded.processor_class,
            "from_pretrained",
            lambda *args, **kwargs: calls.append(kwargs) or original(*args, **kwargs),
        )
        first = loaded.generate(**inputs, max_new_tokens=4)
        loaded.generate(**inputs, max_new_tokens=4)
        assert calls == [{"revision": "main", "local_files_only": True, "trust_remote_code": False}]
        assert torch.equal(first, model.generate(**inputs, max_new_tokens=4))

    def test_another_processor_for_one_call(self, processor, inputs, monkeypatch):
        model = make_model(processor)
        other = make_processor()
        probed = []
        monkeypatch.setattr(
            "modeling_ecso.generation_ecso.ConversationReader",
            lambda found, token: probed.append(found) or ConversationReader(found, token),
        )
        for each in (None, other, None, None):
            model.generate(**inputs, max_new_tokens=2, processor=each)
        assert [found is other for found in probed] == [False, True, False]
