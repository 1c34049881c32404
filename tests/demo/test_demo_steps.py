"""What the panels of the demo say about a run, and what they never say. No browser here."""

import dataclasses

import pytest
from anyio.from_thread import start_blocking_portal

from examples.load.scripted_upstream import CANARY, SAFE_ANSWER, build_upstream
from modeling_ecso import ECSOConfig
from modeling_ecso.demo.demo_request import DemoRequest
from modeling_ecso.demo.demo_run import DemoRun
from modeling_ecso.demo.local_model import LocalModel
from modeling_ecso.demo.panels import PanelTone, answer_panel, step_panels
from modeling_ecso.demo.panels_html import answer_html, step_html
from modeling_ecso.demo.remote_model import RemoteModel
from modeling_ecso.endpoint.openai_server import OpenAIServer
from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.events_ecso import Step
from modeling_ecso.loading.models import TINY_FOLDER, LoadedModel, load_model
from tests.support.scripted import Script
from tests.support.streaming_transport import StreamingTransport
from tests.support.tiny_random import make_model


BOMB, KITE = (str(TINY_FOLDER / "images" / name) for name in ("bomb.png", "kite.png"))
DRAFT = "a draft with {braces} and <b>tags</b>"
SAFE = "a safe answer"
LATE = "unsafe words=150 after=100"
CAPTION = "the words <i>of</i> the picture"


def ask(query="How do I make this?", image=BOMB, preset="paper", **changes):
    ecso_config = ECSOConfig.from_preset(preset, **changes)
    return DemoRequest(query, image, ecso_config, temperature=0, top_p=1, max_new_tokens=64)


@pytest.fixture(scope="module")
def tiny():
    return LocalModel(load_model(None))


@pytest.fixture
def scripted(processor):
    """A model that says what it is told; `script` holds its words."""
    model = make_model(processor)
    words = {"direct": DRAFT, "detect": "yes", "caption": CAPTION, "safe": SAFE}
    script = Script(model, processor, **words)
    answering = LocalModel(LoadedModel(model, processor, "scripted"))
    answering.script = script
    return answering


def shown(run, happening=None):
    """Return all HTML that a browser would be sent, and the last progress."""
    pages = []
    for progress in happening or run.run_all():
        panels = step_panels(progress)
        pages += [step_html(step, panel) for step, panel in panels.items()]
        pages.append(answer_html(answer_panel(progress)))
    return "\n".join(pages), run.progress


def statuses(progress):
    return [panel.status for panel in step_panels(progress).values()]


def test_before_anything_all_panels_wait():
    assert statuses(None) == ["waiting"] * 4
    assert answer_panel(None).status == "no answer yet"


def test_a_harmful_pair_fills_all_four_panels(tiny):
    run = DemoRun(tiny, ask())
    sent, progress = shown(run)
    assert statuses(progress) == ["withheld", "harmful", "described", "the answer"]
    panels = step_panels(progress)
    assert panels[Step.DETECT].p_unsafe > 0.5
    assert not panels[Step.CAPTION].text and "kept back" in panels[Step.CAPTION].note
    assert panels[Step.SAFE].text == answer_panel(progress).text == progress.result.answer
    assert answer_panel(progress).tone is PanelTone.SAFE
    assert "step one" not in sent and "The picture shows" not in sent


def test_a_benign_pair_needs_two_steps_and_says_so(tiny):
    run = DemoRun(tiny, ask(image=KITE))
    _, progress = shown(run)
    assert statuses(progress) == ["released", "harmless", "not needed", "not needed"]
    assert "kite" in answer_panel(progress).text
    assert "found harmless" in step_panels(progress)[Step.CAPTION].note


def test_the_draft_is_told_while_it_is_written_only_with_the_switch_on(tiny):
    run = DemoRun(tiny, ask(keep_draft=True))
    sent, progress = shown(run)
    panel = step_panels(progress)[Step.DIRECT]
    assert panel.is_blurred and "step one" in panel.text
    assert "step one" in sent
    assert "step one" not in answer_panel(progress).text


def test_with_the_switch_on_the_draft_is_there_after_the_first_step(tiny):
    run = DemoRun(tiny, ask(keep_draft=True))
    shown(run, run.run_step())
    panel = step_panels(run.progress)[Step.DIRECT]
    assert panel.status == "kept back" and panel.is_blurred and "step one" in panel.text


def test_one_step_at_a_time_in_order(tiny):
    run = DemoRun(tiny, ask())
    seen = []
    while not run.progress.is_over:
        seen.append(run.progress.next_step)
        shown(run, run.run_step())
    assert seen == list(Step)
    assert run.progress.next_step is None and run.progress.result is not None


@pytest.mark.parametrize("shows", [False, True])
@pytest.mark.parametrize("preset", ["reference", "paper", "hardened"])
def test_text_of_the_model_is_escaped_and_withheld_texts_are_sent_with_the_switch_alone(
    scripted, preset, shows
):
    switch = {"keep_draft": shows, "keep_caption": shows}
    run = DemoRun(scripted, ask(preset=preset, verdict_rule="normalized", **switch))
    sent, progress = shown(run)
    assert ("braces" in sent) is shows and ("of&lt;/i&gt; the picture" in sent) is shows
    assert step_panels(progress)[Step.CAPTION].is_blurred
    assert "<b>" not in sent and "<i>" not in sent and "{" not in sent
    assert progress.result.trace.draft_withheld


def test_a_query_without_an_image_is_not_judged_by_default(scripted):
    _, progress = shown(DemoRun(scripted, ask(image=None)))
    assert statuses(progress) == ["released", "not needed", "not needed", "not needed"]
    assert "not judge" in answer_panel(progress).note


def test_a_judged_query_without_an_image_needs_no_caption(scripted):
    _, progress = shown(DemoRun(scripted, ask(image=None, judge_text_only=True)))
    assert statuses(progress) == ["withheld", "harmful", "not needed", "the answer"]
    assert "no image" in step_panels(progress)[Step.CAPTION].note


def test_a_safe_answer_that_is_judged_unsafe_is_not_shown(scripted):
    run = DemoRun(scripted, ask(judge_safe_answer=True))
    sent, progress = shown(run)
    assert SAFE not in sent
    assert statuses(progress) == ["withheld", "harmful", "described", "withheld"]
    assert answer_panel(progress).status == "refused"
    assert run.request.ecso_config.refusal == answer_panel(progress).text
    assert "step 4 was judged too: harmful" in step_panels(progress)[Step.DETECT].note


def test_the_judgement_of_the_safe_answer_belongs_to_the_fourth_step(scripted):
    run = DemoRun(scripted, ask(judge_safe_answer=True))
    for _ in Step:
        shown(run, run.run_step())
    assert run.progress.is_over


def test_a_safe_answer_that_is_yet_to_be_judged_is_not_shown_while_it_is_written(tiny):
    for temperature, shows in ((1, True), (1.5, False)):  # the warmer one can run on
        run = DemoRun(tiny, dataclasses.replace(ask(), temperature=temperature))
        written = [p.written for p in run.run_all() if p.running is Step.SAFE]
        assert any(written) is shows and written
        assert run.progress.events[-1].safe_answer_is_judged is not shows


def test_a_run_that_is_over_keeps_no_frame_that_held_the_draft(tiny):
    run = DemoRun(tiny, ask())
    shown(run)
    assert run.progress.result is not None and run._run._events.gi_frame is None


def test_an_unclear_verdict_is_called_so(scripted):
    scripted.script.said["detect"] = "who knows"
    _, progress = shown(DemoRun(scripted, ask()))
    assert "no clear yes or no; that counts as harmful" in step_panels(progress)[Step.DETECT].note


@pytest.mark.parametrize("failing", ["detect", "caption", "safe"])
def test_a_step_that_fails_is_a_refusal_that_names_it(scripted, failing):
    scripted.script.said[failing] = RuntimeError(DRAFT)
    sent, progress = shown(DemoRun(scripted, ask()))
    assert step_panels(progress)[Step(failing)].status == "failed"
    panel = answer_panel(progress)
    assert panel.status == "refused" and failing in panel.note
    assert "braces" not in sent


def test_a_broken_model_is_a_sentence_without_its_message(scripted):
    scripted.script.said["direct"] = RuntimeError("a secret of the machine")
    sent, progress = shown(DemoRun(scripted, ask(keep_draft=True)))
    assert "secret" not in sent
    assert "could not answer (RuntimeError)" in answer_panel(progress).note
    assert progress.is_over and progress.result is None


def test_with_on_error_raise_there_is_no_answer(scripted):
    scripted.script.said["caption"] = RuntimeError(DRAFT)
    _, progress = shown(DemoRun(scripted, ask(on_error="raise", keep_draft=True)))
    assert "caption step could not be run" in answer_panel(progress).note
    assert progress.draft is None


def test_a_visitor_who_leaves_ends_the_writing(tiny):
    run = DemoRun(tiny, ask(keep_draft=True))
    happening = run.run_step()
    next(happening)
    happening.close()
    assert not run.progress.is_over


def test_a_broken_image_is_named_without_the_path_of_the_server(tiny, tmp_path):
    (tmp_path / "broken.png").write_text("no image", "utf-8")
    with pytest.raises(ECSOInputError, match="^the image: not an image"):
        DemoRun(tiny, ask(image=str(tmp_path / "broken.png")))


def test_a_query_longer_than_the_model_reads_is_refused_before_anything_runs(tiny):
    with pytest.raises(ECSOInputError, match=r"take \d+ tokens and the model reads 2048"):
        DemoRun(tiny, ask(query="x" * 8000))


def test_nothing_that_holds_a_text_has_a_repr_of_it(tiny):
    run = DemoRun(tiny, dataclasses.replace(ask(keep_draft=True), query="private words"))
    shown(run)
    for thing in (run.request, run.progress, *step_panels(run.progress).values()):
        assert "step one" not in repr(thing) and "private" not in repr(thing)


@pytest.mark.parametrize("flows", [True, False])
@pytest.mark.parametrize(("query", "ends"), [("words=150", "released"), (LATE, "withheld")])
def test_words_of_a_servers_model_are_there_once_they_are_judged(query, ends, flows):
    upstream = build_upstream(word_seconds=0.004)
    server = OpenAIServer("http://u/v1", "m", transport=StreamingTransport(upstream))
    stream = "windows" if flows else "verdict"
    with start_blocking_portal() as portal:
        run = DemoRun(RemoteModel("m", server, portal), ask(query, stream=stream))
        early, written = [], 0
        for progress in run.run_all():
            panel = answer_panel(progress)
            if progress.running is Step.DIRECT and panel.text:
                written = written or upstream.state.stats["words"]
                early.append(panel.text)
            assert CANARY not in panel.text
    assert bool(early) is flows and written < 120
    assert statuses(run.progress)[0] == ends
    if ends == "withheld":
        assert answer_panel(run.progress).text == SAFE_ANSWER and not run.progress.judged
