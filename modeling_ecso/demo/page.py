"""The page as a whole: which part does what when it is clicked."""

from functools import partial
from typing import Any

import gradio as gr

from ..events_ecso import Step
from .demo_examples import EXAMPLES
from .handlers import PageHandlers
from .layout import KEPT_S, lay_out
from .model_list import ModelList
from .panels_html import TITLE
from .votes import VoteFile


# How many may wait before the next one is asked to come back later.
LONGEST_QUEUE = 32
# Requests on their way at once: a model in this process takes one, servers several.
MOST_AT_SERVERS = 16


def build_page(models: ModelList, votes: VoteFile | None) -> gr.Blocks:
    """Return the page.

    Args:
        models: What can be asked.
        votes: Where votes go; None: the page has no vote buttons.
    """
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(KEPT_S // 4, KEPT_S)
    ) as page:
        parts = lay_out(models, votes)
        handlers = PageHandlers(parts, models, votes)
        # Nothing on the page is meant to be called by a program; the gateway is.
        private: dict[str, Any] = {"api_visibility": "private"}
        asks = {
            **private,
            "outputs": parts.screen,
            "concurrency_id": "model",
            "concurrency_limit": 1 if models.runs_here else MOST_AT_SERVERS,
            # The place in the queue, and the seconds, in the corner of the answer.
            "show_progress": "minimal",
            "show_progress_on": parts.queue,
        }
        at_once = {**private, "queue": False, "show_progress": "hidden"}
        running: list[Any] = [
            parts.answer_button.click(handlers.answer, parts.form, **asks),
            parts.query.submit(handlers.answer, parts.form, **asks),
            parts.again.click(handlers.answer_again, parts.run, **asks),
        ]
        for step, button in parts.step_buttons.items():
            if step is Step.DIRECT:
                running.append(button.click(handlers.first_step, parts.form, **asks))
            else:
                inputs = [parts.run, *parts.form]
                running.append(button.click(handlers.next_step, inputs, **asks))
        asked = [parts.image, parts.query]
        parts.clear.click(handlers.clear, None, [*parts.screen, *asked], cancels=running, **at_once)
        for example, button in zip(EXAMPLES, parts.examples, strict=True):
            button.click(
                partial(handlers.take_example, example),
                None,
                [*parts.screen, *asked],
                cancels=running,
                **at_once,
            )
        prompts = list(parts.prompts.values())
        parts.preset.input(
            handlers.choose_preset,
            [parts.preset, parts.model],
            [*prompts, parts.sentence],
            **at_once,
        )
        parts.model.change(
            handlers.choose_model, parts.model, [parts.preset, *prompts, parts.sentence], **at_once
        )
        listed = [parts.model, parts.sentence]
        if models.has_servers:
            parts.reload.click(handlers.reload, parts.model, listed, **at_once)
            # The page was made when the server started; its list may have changed since.
            page.load(handlers.list_models, parts.model, listed, **at_once)
        for vote, button in parts.votes.items():
            button.click(
                partial(handlers.vote, vote),
                [parts.run, parts.keeps_image],
                [*parts.votes.values(), parts.sentence],
                **at_once,
            )
    return page.queue(max_size=LONGEST_QUEUE)
