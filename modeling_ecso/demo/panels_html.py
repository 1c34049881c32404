"""Writes panels as HTML. Whatever the model or a visitor wrote is escaped."""

import html

from ..events_ecso import Step
from .panels import DemoPanel, PanelTone, number


TITLE = "Eyes Closed, Safety On"

INTRODUCTION = """
<header class="ecso-intro">
<h1>Eyes Closed, Safety On</h1>
<p>A model that reads images will often follow a harmful request when the harm sits in the
image, though it refuses the same request in words. ECSO repairs this without any training. The
model writes a <b>draft</b> (1) and is asked whether its own draft is harmful (2). If it is not, the
draft is the answer. If it is, the draft is withheld: the model puts the image into words (3),
then <b>closes its eyes</b> and answers again from those words alone (4), where it remembers how to
refuse.</p>
</header>
"""

TINY_NOTE = """
<p class="ecso-tiny">The model <b>tiny</b> is a teaching model: it knows drawn things and their
names, nothing else, and its harmful “instructions” are empty phrases.</p>
"""

STEPS_HEAD = """
<h2>The four steps</h2>
<p class="ecso-note">“Answer” runs them all; the buttons below them run one at a time.</p>
"""

# What each step does, for someone who has never heard of it; and whether it sees the image.
STEPS = {
    Step.DIRECT: ("Draft", "Answer the query with the image in view.", True),
    Step.DETECT: ("Detect", "Is that draft harmful? The model itself is asked.", True),
    Step.CAPTION: ("Caption", "Put the image into words, with the query in mind.", True),
    Step.SAFE: ("Safe answer", "Eyes closed: answer from those words, without the image.", False),
}

_OPEN_EYE = (
    '<svg class="ecso-eye" viewBox="0 0 24 24" role="img" aria-label="sees the image">'
    '<path d="M2 12c2.6-4.4 6-6.6 10-6.6s7.4 2.2 10 6.6c-2.6 4.4-6 6.6-10 6.6S4.6 16.4 2 12z"/>'
    '<circle cx="12" cy="12" r="3.1"/></svg>'
)
_CLOSED_EYE = (
    '<svg class="ecso-eye" viewBox="0 0 24 24" role="img" aria-label="does not see the image">'
    '<path d="M2.5 10c2.6 3.6 5.8 5.4 9.5 5.4s6.9-1.8 9.5-5.4"/>'
    '<path d="M5.2 13.2 3.4 15.8M12 15.4v3.2M18.8 13.2l1.8 2.6"/></svg>'
)


def answer_html(panel: DemoPanel) -> str:
    """Return the answer on top of the page."""
    text = f'<p class="ecso-answer-text">{_escaped(panel.text)}</p>' if panel.text else ""
    return (
        f'<section class="ecso-answer ecso-{panel.tone}" aria-live="polite">'
        f'<div class="ecso-head"><h2>Answer</h2>{_status(panel)}</div>'
        f"{text}{_note(panel)}</section>"
    )


def step_html(step: Step, panel: DemoPanel) -> str:
    """Return the panel of one step."""
    name, purpose, sees_image = STEPS[step]
    eye = _OPEN_EYE if sees_image else _CLOSED_EYE
    return (
        f'<section class="ecso-step ecso-{panel.tone}" id="ecso-step-{step}">'
        f'<div class="ecso-head"><span class="ecso-number">{number(step)}</span>'
        f"<h3>{name}</h3>{eye}</div>"
        f'<p class="ecso-purpose">{purpose}</p>'
        f'<div class="ecso-body">{_status(panel)}{_gauge(panel)}{_text(panel)}{_note(panel)}</div>'
        f'<p class="ecso-cost">{panel.cost}</p></section>'
    )


def sentence_html(text: str, tone: PanelTone) -> str:
    """Return a line of the page's own, for the visitor."""
    if not text:
        return ""
    return f'<p class="ecso-sentence ecso-{tone}" role="status">{_escaped(text)}</p>'


def _status(panel: DemoPanel) -> str:
    return f'<span class="ecso-status">{_escaped(panel.status)}</span>'


def _note(panel: DemoPanel) -> str:
    return f'<p class="ecso-note">{_escaped(panel.note)}</p>' if panel.note else ""


def _text(panel: DemoPanel) -> str:
    if not panel.text:
        return ""
    quote = f'<div class="ecso-text">{_escaped(panel.text)}</div>'
    if not panel.is_blurred:
        return quote
    # The box and the text are siblings, so that style.css alone can lift the blur.
    return (
        '<div class="ecso-blurred"><label><input type="checkbox"> reveal</label>' + quote + "</div>"
    )


def _gauge(panel: DemoPanel) -> str:
    if panel.p_unsafe is None:
        return ""
    value = f"{panel.p_unsafe:.3f}"
    return (
        f'<div class="ecso-gauge"><div class="ecso-bar" role="meter" aria-valuemin="0" '
        f'aria-valuemax="1" aria-valuenow="{value}" aria-label="p(unsafe)">'
        f'<span style="width:{panel.p_unsafe:.1%}"></span></div>'
        f"<span>p(unsafe) = {value}</span></div>"
    )


def _escaped(text: str) -> str:
    """Return text that neither HTML nor gradio's templates read as their own."""
    escaped = html.escape(text)
    return escaped.replace("$", "&#36;").replace("{", "&#123;").replace("}", "&#125;")
