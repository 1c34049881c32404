"""What happens on the page when something is clicked."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..errors_ecso import ECSOError, ECSOInputError
from ..events_ecso import Step
from .examples_shown import Example
from .layout import Parts
from .model_list import ModelList
from .panels_html import answer_html, sentence_html, step_html
from .question import PROMPTS, Form, base_settings, read_question
from .steps_shown import Tone, answer_panel, step_panels
from .votes import Vote, VoteBook
from .watched_run import Progress, WatchedRun, as_sentence


logger = logging.getLogger(__name__)

# New values, by the part of the page.
Update = dict[Any, Any]


@dataclass(frozen=True)
class Handlers:
    """One method for each thing that can be clicked.

    Args:
        parts: The page.
        models: What can be asked.
        votes: Where votes go; None: nowhere.
    """

    parts: Parts
    models: ModelList
    votes: VoteBook | None

    def answer(self, *fields: Any) -> Iterator[Update]:
        """Run all steps of the question on the page."""
        try:
            run = self._begin(Form(*fields))
        except ECSOError as error:
            yield self._cannot_begin(error)
            return
        yield from self._shown(run, run.run_all())

    def answer_again(self, run: WatchedRun) -> Iterator[Update]:
        """Ask the last question once more, as it was asked."""
        try:
            run = WatchedRun(self.models.get(run.model_name), run.question)
        except ECSOError as error:
            yield self._cannot_begin(error)
            return
        yield from self._shown(run, run.run_all())

    def first_step(self, *fields: Any) -> Iterator[Update]:
        """Begin anew with the question on the page and run its first step."""
        try:
            run = self._begin(Form(*fields))
        except ECSOError as error:
            yield self._cannot_begin(error)
            return
        yield from self._shown(run, run.run_step())

    def next_step(self, run: WatchedRun | None, *fields: Any) -> Iterator[Update]:
        """Run the next step, if the page still asks the question that was begun."""
        try:
            is_the_same = run is not None and self._asks(run, Form(*fields))
        except ECSOError:
            is_the_same = False
        if not is_the_same:
            text = "The question or its settings have changed. Begin again with step 1."
            yield {**self._screen(None, None), **self._say(text, Tone.HELD)}
            return
        yield from self._shown(run, run.run_step())

    def vote(self, vote: Vote, run: WatchedRun, keeps_image: bool) -> Update:
        """Append a vote on the answer on the page."""
        parts = self.parts
        try:
            self.votes.append(vote, run.model_name, run.question, run.progress.result, keeps_image)
        except ECSOInputError as problem:
            return self._say(as_sentence(problem), Tone.UNSAFE)
        except OSError as error:
            logger.warning("a vote could not be stored: %s", error)
            return self._say(
                "The vote could not be stored; the server's disk says no.", Tone.UNSAFE
            )
        disabled = {button: gr.update(interactive=False) for button in parts.votes.values()}
        return {**disabled, **self._say("Thank you, the vote is stored.", Tone.SAFE)}

    def clear(self) -> Update:
        """Empty the question and the steps."""
        return {
            **self._screen(None, None),
            self.parts.image: None,
            self.parts.text: "",
        }

    def take_example(self, example: Example) -> Update:
        """Put an example into the question."""
        return {
            **self._screen(None, None),
            self.parts.image: str(example.image),
            self.parts.text: example.text,
        }

    def list_models(self, chosen: str | None) -> Update:
        """Show which models there are at this moment."""
        names = self.models.names
        kept = chosen if chosen in names else next(iter(names), None)
        problems = " ".join(self.models.problems)
        return {
            self.parts.model: gr.update(choices=names, value=kept),
            **self._say(problems, Tone.UNSAFE),
        }

    def reload(self, chosen: str | None) -> Update:
        """Ask the servers for their models again."""
        self.models.reload()
        shown = self.list_models(chosen)
        return shown if self.models.problems else {**shown, **self._say("The list is up to date.")}

    def choose_model(self, name: str | None) -> Update:
        """Show the settings that the model stores."""
        try:
            stored = self.models.get(name).stored_settings
        except ECSOInputError as problem:
            return self._say(str(problem), Tone.UNSAFE)
        return {self.parts.preset: stored.preset, **self._prompts(stored), **self._say("")}

    def choose_preset(self, preset: str, name: str | None) -> Update:
        """Show the prompts of a preset."""
        try:
            return self._prompts(base_settings(preset, self.models.get(name).stored_settings))
        except ECSOError as error:
            return self._say(as_sentence(error), Tone.UNSAFE)

    def _begin(self, form: Form) -> WatchedRun:
        model = self.models.get(form.model)
        return WatchedRun(model, read_question(form, model.stored_settings))

    def _asks(self, run: WatchedRun, form: Form) -> bool:
        stored = self.models.get(form.model).stored_settings
        return form.model == run.model_name and read_question(form, stored) == run.question

    def _cannot_begin(self, error: Exception) -> Update:
        broken = Progress(has_image=False, problem=as_sentence(error))
        return {**self._screen(None, None), self.parts.answer: answer_html(answer_panel(broken))}

    def _shown(self, run: WatchedRun, happening: Iterator[Progress]) -> Iterator[Update]:
        for progress in happening:
            yield self._screen(run, progress)

    def _screen(self, run: WatchedRun | None, progress: Progress | None) -> Update:
        parts = self.parts
        panels = step_panels(progress)
        is_busy = progress is not None and progress.running is not None
        following = progress.next_step if progress else None
        can_run = {Step.DIRECT, following} if not is_busy else set()
        has_answer = progress is not None and progress.result is not None
        return {
            parts.answer: answer_html(answer_panel(progress)),
            **{parts.panels[step]: step_html(step, panel) for step, panel in panels.items()},
            **{
                button: gr.update(interactive=step in can_run)
                for step, button in parts.step_buttons.items()
            },
            parts.again: gr.update(interactive=has_answer),
            **{button: gr.update(interactive=has_answer) for button in parts.votes.values()},
            **self._say(""),
            parts.run: run,
        }

    def _say(self, text: str, tone: Tone = Tone.DONE) -> Update:
        return {self.parts.sentence: sentence_html(text, tone)}

    def _prompts(self, settings: Any) -> Update:
        return {self.parts.prompts[name]: getattr(settings, name) for name in PROMPTS}
