"""What happens on the page when something is clicked."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..errors_ecso import ECSOError
from ..events_ecso import Step
from ..settings_ecso import ECSOConfig
from .demo_examples import DemoExample
from .demo_request import PROMPTS, DemoForm, config_of_preset, read_request
from .demo_run import DemoRun, RunProgress, error_sentence
from .layout import PageParts
from .model_list import ModelList
from .panels import PanelTone, answer_panel, step_panels
from .panels_html import answer_html, sentence_html, step_html
from .votes import Vote, VoteFile


logger = logging.getLogger(__name__)

# New values, by the part of the page.
Update = dict[Any, Any]


@dataclass(frozen=True)
class PageHandlers:
    """One method for each thing that can be clicked.

    Args:
        parts: The page.
        models: What can be asked.
        votes: Where votes go; None: nowhere.
    """

    parts: PageParts
    models: ModelList
    votes: VoteFile | None

    def answer(self, *fields: Any) -> Iterator[Update]:
        """Run all steps of the request on the page."""
        yield from self._started(lambda: self._begin(DemoForm(*fields)), DemoRun.run_all)

    def answer_again(self, last: DemoRun | None) -> Iterator[Update]:
        """Ask the last request once more, as it was asked."""
        if last is not None:
            model_name, request = last.model_name, last.request
            yield from self._started(
                lambda: DemoRun(self.models.get(model_name), request), DemoRun.run_all
            )

    def first_step(self, *fields: Any) -> Iterator[Update]:
        """Begin anew with the request on the page and run its first step."""
        yield from self._started(lambda: self._begin(DemoForm(*fields)), DemoRun.run_step)

    def next_step(self, run: DemoRun | None, *fields: Any) -> Iterator[Update]:
        """Run the next step, if the page still asks what was begun."""
        if run is None or not self._asks(run, DemoForm(*fields)):
            text = "The query or its settings have changed. Begin again with step 1."
            yield {**self._screen(None, None), **self._say(text, PanelTone.HELD)}
            return
        yield from self._shown(run, run.run_step())

    def vote(self, vote: Vote, run: DemoRun | None, keeps_image: bool) -> Update:
        """Append a vote on the answer on the page."""
        parts = self.parts
        if self.votes is None or run is None or run.progress.result is None:
            return self._say("There is no answer to vote on.", PanelTone.UNSAFE)
        try:
            self.votes.append(vote, run.model_name, run.request, run.progress.result, keeps_image)
        except ECSOError as error:
            return self._say(error_sentence(error), PanelTone.UNSAFE)
        except OSError as error:
            logger.warning("a vote could not be stored: %s", error)
            return self._say(
                "The vote could not be stored; the server's disk says no.", PanelTone.UNSAFE
            )
        disabled = {button: gr.update(interactive=False) for button in parts.votes.values()}
        return {**disabled, **self._say("Thank you, the vote is stored.", PanelTone.SAFE)}

    def clear(self) -> Update:
        """Empty the query and the steps."""
        return {
            **self._screen(None, None),
            self.parts.image: None,
            self.parts.query: "",
        }

    def take_example(self, example: DemoExample) -> Update:
        """Put an example into the query."""
        return {
            **self._screen(None, None),
            self.parts.image: str(example.image),
            self.parts.query: example.query,
        }

    def list_models(self, chosen: str | None) -> Update:
        """Show which models there are at this moment."""
        names = self.models.names
        # One that is there is left alone: another may have been chosen in the meantime.
        changed: Update = {} if chosen in names else {"value": next(iter(names), None)}
        errors = " ".join(self.models.errors)
        return {
            self.parts.model: gr.update(choices=names, **changed),
            **self._say(errors, PanelTone.UNSAFE),
        }

    def reload(self, chosen: str | None) -> Update:
        """Ask the servers for their models again."""
        self.models.reload()
        shown = self.list_models(chosen)
        return shown if self.models.errors else {**shown, **self._say("The list is up to date.")}

    def choose_model(self, name: str | None) -> Update:
        """Show the settings that the model stores."""
        try:
            stored = self.models.get(name).ecso_config
        except ECSOError as error:
            return self._say(error_sentence(error), PanelTone.UNSAFE)
        return {self.parts.preset: stored.preset, **self._prompts(stored), **self._say("")}

    def choose_preset(self, preset: str, name: str | None) -> Update:
        """Show the prompts of a preset."""
        try:
            return self._prompts(config_of_preset(preset, self.models.get(name).ecso_config))
        except ECSOError as error:
            return self._say(error_sentence(error), PanelTone.UNSAFE)

    def _begin(self, form: DemoForm) -> DemoRun:
        model = self.models.get(form.model)
        return DemoRun(model, read_request(form, model.ecso_config))

    def _asks(self, run: DemoRun, form: DemoForm) -> bool:
        try:
            stored = self.models.get(form.model).ecso_config
            return form.model == run.model_name and read_request(form, stored) == run.request
        except ECSOError:
            return False

    def _started(
        self, begin: Callable[[], DemoRun], steps_of: Callable[[DemoRun], Iterator[RunProgress]]
    ) -> Iterator[Update]:
        try:
            run = begin()
        except ECSOError as error:
            panel = answer_panel(RunProgress(error=error_sentence(error)))
            yield {**self._screen(None, None), self.parts.answer: answer_html(panel)}
            return
        yield from self._shown(run, steps_of(run))

    def _shown(self, run: DemoRun, happening: Iterator[RunProgress]) -> Iterator[Update]:
        for progress in happening:
            yield self._screen(run, progress)

    def _screen(self, run: DemoRun | None, progress: RunProgress | None) -> Update:
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

    def _say(self, text: str, tone: PanelTone = PanelTone.DONE) -> Update:
        return {self.parts.sentence: sentence_html(text, tone)}

    def _prompts(self, stored: ECSOConfig) -> Update:
        return {self.parts.prompts[name]: getattr(stored, name) for name in PROMPTS}
