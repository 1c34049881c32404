"""The parts of the page and where they stand."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..events_ecso import Step
from ..presets_ecso import PRESETS
from ..settings_ecso import ECSOConfig
from .demo_examples import EXAMPLES
from .demo_request import (
    HIGHEST_TEMPERATURE,
    LONGEST_PROMPT_CHARS,
    LONGEST_QUERY_CHARS,
    MOST_NEW_TOKENS,
    PROMPTS,
)
from .model_list import ModelList
from .panels import PanelTone, answer_panel, number, step_panels
from .panels_html import INTRODUCTION, STEPS_HEAD, TINY_NOTE, answer_html, sentence_html, step_html
from .votes import Vote, VoteFile


# What one visitor's run may hold on the server, and for how long after the last click.
KEPT_S = 3600

_PROMPT_LABELS = {
    "detect_prompt": "Step 2, detect",
    "caption_prompt": "Step 3, caption",
    "safe_prompt": "Step 4, safe answer",
    "text_only_safe_prompt": "Step 4, where there is no image",
}
_VOTE_LABELS = {Vote.UP: "▲ Good", Vote.DOWN: "▼ Bad", Vote.FLAG: "⚑ Flag"}


@dataclass(frozen=True)
class PageParts:
    """The parts of the page that something happens to."""

    model: gr.Dropdown
    reload: gr.Button
    image: gr.Image
    query: gr.Textbox
    answer_button: gr.Button
    clear: gr.Button
    examples: tuple[gr.Button, ...]
    answer: gr.HTML
    queue: gr.HTML
    again: gr.Button
    votes: dict[Vote, gr.Button]
    keeps_image: gr.Checkbox
    sentence: gr.HTML
    shows_withheld: gr.Checkbox
    flows: gr.Checkbox
    panels: dict[Step, gr.HTML]
    step_buttons: dict[Step, gr.Button]
    preset: gr.Radio
    temperature: gr.Slider
    top_p: gr.Slider
    max_new_tokens: gr.Slider
    prompts: dict[str, gr.Textbox]
    run: gr.State

    @property
    def form(self) -> list[Any]:
        """The parts that are read as a `DemoForm`, in its order."""
        return [
            self.model,
            self.image,
            self.query,
            self.shows_withheld,
            self.flows,
            self.temperature,
            self.top_p,
            self.max_new_tokens,
            self.preset,
            *(self.prompts[name] for name in PROMPTS),
        ]

    @property
    def screen(self) -> list[Any]:
        """The parts that show a run."""
        return [
            self.answer,
            *self.panels.values(),
            *self.step_buttons.values(),
            self.again,
            *self.votes.values(),
            self.sentence,
            self.run,
        ]


def lay_out(models: ModelList, votes: VoteFile | None) -> PageParts:
    """Make the parts inside the open `gr.Blocks`.

    Args:
        models: What can be chosen.
        votes: Where votes go; None: the page has no vote buttons.
    """
    stored = models.get(models.names[0]).ecso_config if models.names else None
    stored = stored or ECSOConfig.from_preset("paper")
    _html(INTRODUCTION)
    if "tiny" in models.names:
        _html(TINY_NOTE)
    examples = _example_parts()
    with gr.Row(elem_classes="ecso-top"):
        with gr.Column(scale=5, min_width=300):
            asked = _query_parts()
        with gr.Column(scale=7, min_width=300):
            shown = _answer_parts(models, votes)
    with gr.Row(elem_classes="ecso-steps-head"):
        _html(STEPS_HEAD)
        shows_withheld = gr.Checkbox(
            label="Show withheld texts",
            info="Off: neither a harmful draft nor the words for the image leave the server.",
            container=False,
            elem_id="show-withheld",
        )
    panels, step_buttons = _step_parts()
    with gr.Accordion("Settings: sampling, preset and prompts", open=False):
        settings = _settings_parts(stored)
    return PageParts(
        **asked,
        **shown,
        examples=examples,
        shows_withheld=shows_withheld,
        panels=panels,
        step_buttons=step_buttons,
        **settings,
        run=gr.State(None, time_to_live=KEPT_S),
    )


def _html(text: str, elem_id: str | None = None) -> gr.HTML:
    return gr.HTML(text, apply_default_css=False, elem_id=elem_id)


def _example_parts() -> tuple[gr.Button, ...]:
    with gr.Row(elem_classes="ecso-examples"):
        return tuple(
            gr.Button(example.caption, icon=example.image, min_width=0, elem_id=f"example-{index}")
            for index, example in enumerate(EXAMPLES)
        )


def _query_parts() -> dict[str, Any]:
    first = EXAMPLES[0]
    image = gr.Image(
        str(first.image),
        label="Image",
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard"],
        height=230,
        buttons=[],
        elem_id="image",
    )
    # Gradio would open the file to find its format, and show its own errors for a broken one.
    # open_image does so later, with limits and in sentences.
    image.preprocess = lambda payload: payload.path if payload else None  # type: ignore[method-assign]
    query = gr.Textbox(
        first.query,
        label="Query",
        lines=2,
        max_length=LONGEST_QUERY_CHARS,
        placeholder="Ask about the image",
        elem_id="query",
    )
    with gr.Row():
        answer_button = gr.Button(
            "Answer", variant="primary", scale=2, min_width=120, elem_id="answer-button"
        )
        clear = gr.Button("Clear", scale=1, min_width=80, elem_id="clear")
    return {
        "image": image,
        "query": query,
        "answer_button": answer_button,
        "clear": clear,
    }


def _answer_parts(models: ModelList, votes: VoteFile | None) -> dict[str, Any]:
    with gr.Column(elem_classes="ecso-answer-place", min_width=0):
        answer = _html(answer_html(answer_panel(None)), elem_id="answer")
        queue = _html("", elem_id="queue")
    has_votes = votes is not None
    with gr.Row(elem_classes="ecso-after"):
        again = gr.Button(
            "↻ Regenerate", size="sm", min_width=80, interactive=False, elem_id="again"
        )
        buttons = {
            vote: gr.Button(
                label,
                size="sm",
                min_width=50,
                interactive=False,
                visible=has_votes,
                elem_id=f"vote-{vote}",
            )
            for vote, label in _VOTE_LABELS.items()
        }
    keeps_image = gr.Checkbox(
        label="Store my image with the vote",
        info="A vote stores the query, the answer and the steps; never the draft, nor the caption.",
        container=False,
        visible=has_votes,
        elem_id="keeps-image",
    )
    sentence = _html(sentence_html(" ".join(models.errors), PanelTone.UNSAFE), elem_id="sentence")
    with gr.Row(elem_classes="ecso-model-row"):
        model = gr.Dropdown(
            models.names,
            value=models.names[0] if models.names else None,
            label="Model",
            scale=3,
            min_width=160,
            elem_id="model",
        )
        reload = gr.Button(
            "Reload list", scale=1, min_width=110, visible=models.has_servers, elem_id="reload"
        )
    return {
        "answer": answer,
        "queue": queue,
        "again": again,
        "votes": buttons,
        "keeps_image": keeps_image,
        "sentence": sentence,
        "model": model,
        "reload": reload,
    }


def _step_parts() -> tuple[dict[Step, gr.HTML], dict[Step, gr.Button]]:
    panels, buttons = {}, {}
    with gr.Row(elem_classes="ecso-steps"):
        for step, panel in step_panels(None).items():
            with gr.Column(min_width=0):
                panels[step] = _html(step_html(step, panel))
                buttons[step] = gr.Button(
                    f"Run step {number(step)}",
                    size="sm",
                    interactive=step is Step.DIRECT,
                    elem_id=f"run-{step}",
                )
    return panels, buttons


def _settings_parts(stored: ECSOConfig) -> dict[str, Any]:
    with gr.Row():
        with gr.Column(min_width=280):
            temperature = gr.Slider(
                0,
                HIGHEST_TEMPERATURE,
                value=0,
                step=0.05,
                label="Temperature",
                info="0: always the likeliest word",
            )
            top_p = gr.Slider(0.05, 1, value=1, step=0.05, label="Top-p")
            max_new_tokens = gr.Slider(
                1, MOST_NEW_TOKENS, value=256, step=1, label="Token limit of the answer"
            )
            preset = gr.Radio(
                list(PRESETS),
                value=stored.preset,
                label="Preset",
                info="reference: the published scripts. paper: everyday use. hardened: attackers.",
                elem_id="preset",
            )
            flows = gr.Checkbox(
                label="Let text flow",
                info="Shows an answer while it is written, as far as it was judged harmless; harm "
                "that comes later takes it back. For models of a server.",
                elem_id="flows",
            )
        with gr.Column(min_width=280):
            prompts = {
                name: gr.Textbox(
                    getattr(stored, name),
                    label=_PROMPT_LABELS[name],
                    lines=3,
                    max_lines=8,
                    max_length=LONGEST_PROMPT_CHARS,
                    elem_id=name,
                )
                for name in PROMPTS
            }
    return {
        "temperature": temperature,
        "top_p": top_p,
        "max_new_tokens": max_new_tokens,
        "preset": preset,
        "flows": flows,
        "prompts": prompts,
    }
