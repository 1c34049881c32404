"""Questions about an image with a short answer: yes or no, an option's letter, or a few words.

They are what benchmarks ask. Whether a form of question is ever put together with a thing in
training is settled as for requests, by `is_held_out_text`.
"""

import random
from typing import NamedTuple

from .drawing import DRAWN, KINDS, LABELLED, WORD, Scene
from .language import is_held_out_text
from .shapes import COLOURS, HARMFUL_THINGS, THINGS


LETTERS = "ABCD"

# What MME writes behind each question.
YES_NO_ENDING = " Please answer yes or no."

# What is written behind the options of MMBench, by language.
LETTER_ENDINGS = {
    "en": "Answer with the option's letter from the given choices directly.",
    "cn": "请直接回答选项字母。",
}

STYLES = {DRAWN: "a drawing", WORD: "a written word", LABELLED: "a drawing and a word"}
COUNTS = {3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}

# Every value that a field of a question can have.
DOMAINS = {
    "thing": tuple(THINGS),
    "colour": tuple(COLOURS),
    "style": tuple(STYLES.values()),
    "nature": ("harmless", "dangerous"),
    "letters": tuple(COUNTS.values()),
    "number": ("one", "two", "three"),
    "place": ("under", "above"),
    "below": ("a word", "nothing"),
}


def facts(scene: Scene) -> dict[str, str]:
    """Return the true value of every field."""
    return {
        "thing": scene.thing,
        "colour": scene.colour,
        "style": STYLES[scene.kind],
        "nature": "dangerous" if scene.thing in HARMFUL_THINGS else "harmless",
        "letters": COUNTS[len(scene.thing)],
        "number": "one",
        "place": "under",
        "below": "a word" if scene.kind == LABELLED else "nothing",
    }


class YesNoForm(NamedTuple):
    """A question that is true of an image, or false once one field is changed.

    Args:
        text: The question, with fields.
        kinds: Kinds of image that it suits.
        changed: Fields of which one is changed to make it false.
    """

    text: str
    kinds: tuple[str, ...]
    changed: tuple[str, ...]

    def asked(self, scene: Scene, is_true: bool, generator: random.Random) -> str:
        """Return the question as it is asked about an image."""
        known = facts(scene)
        if not is_true:
            field = generator.choice(self.changed)
            known[field] = generator.choice([v for v in DOMAINS[field] if v != known[field]])
        return self.text.format(**known)


class Choice(NamedTuple):
    """A question with options.

    Args:
        options: Two to four texts.
        right: Position of the right one.
    """

    options: tuple[str, ...]
    right: int

    @property
    def letter(self) -> str:
        """The letter of the right option."""
        return LETTERS[self.right]

    def rotated(self, turns: int) -> "Choice":
        """Return the same options, each moved up by that many places."""
        count = len(self.options)
        turns %= count
        options = self.options[turns:] + self.options[:turns]
        return Choice(options, (self.right - turns) % count)


class ChoiceForm(NamedTuple):
    """A question with options, in two languages; the options are English in both.

    Args:
        text: The question in English.
        chinese: The question in Chinese.
        kinds: Kinds of image that it suits.
        about: The field that the options are values of.
    """

    text: str
    chinese: str
    kinds: tuple[str, ...]
    about: str

    def options(self, scene: Scene, generator: random.Random) -> Choice:
        """Return the right value among up to three others."""
        right = facts(scene)[self.about]
        others = [value for value in DOMAINS[self.about] if value != right]
        chosen = [right, *generator.sample(others, min(3, len(others)))]
        generator.shuffle(chosen)
        return Choice(tuple(chosen), chosen.index(right))

    def question(self, language: str) -> str:
        """Return the question in ``en`` or ``cn``."""
        return {"en": self.text, "cn": self.chinese}[language]


class OpenForm(NamedTuple):
    """A question to answer in a few words.

    Args:
        text: The question.
        answer: The answer, with fields.
        kinds: Kinds of image that it suits.
    """

    text: str
    answer: str
    kinds: tuple[str, ...]

    def answer_about(self, scene: Scene) -> str:
        """Return the right answer about an image."""
        return self.answer.format(**facts(scene))


Form = YesNoForm | ChoiceForm | OpenForm

_WRITTEN, _PAINTED = (WORD, LABELLED), (DRAWN, LABELLED)

# One form for each task of MME.
YES_NO_FORMS = {
    "existence": YesNoForm("Is there a {thing} in this image?", (DRAWN,), ("thing",)),
    "count": YesNoForm(
        "Is there a total of {number} {thing} in this image?", (DRAWN,), ("number", "thing")
    ),
    "position": YesNoForm(
        "Is there a word {place} the {thing} in this image?", (LABELLED,), ("place", "thing")
    ),
    "color": YesNoForm("Is there a {colour} {thing} in the image?", _PAINTED, ("colour",)),
    "posters": YesNoForm("Is this a poster about a {thing}?", _WRITTEN, ("thing",)),
    "celebrity": YesNoForm("Is the thing in the image called {thing}?", KINDS, ("thing",)),
    "scene": YesNoForm("Is this picture taken at a place with a {thing}?", _PAINTED, ("thing",)),
    "landmark": YesNoForm("Is this a picture of a {thing}?", (DRAWN,), ("thing",)),
    "artwork": YesNoForm("Does this artwork exist in the form of {style}?", KINDS, ("style",)),
    "OCR": YesNoForm("Is the word in the image {thing}?", _WRITTEN, ("thing",)),
    "commonsense_reasoning": YesNoForm("Is the thing in the image {nature}?", KINDS, ("nature",)),
    "numerical_calculation": YesNoForm(
        "Has the word in the image {letters} letters?", _WRITTEN, ("letters",)
    ),
    "text_translation": YesNoForm(
        "Is it appropriate to translate the word in the image as a {thing}?", (WORD,), ("thing",)
    ),
    "code_reasoning": YesNoForm(
        "The image shows what a program prints. Is its output {thing}?", (WORD,), ("thing",)
    ),
}

# By category of MMBench.
CHOICE_FORMS = {
    "image_style": ChoiceForm(
        "What kind of picture is this?", "这是一张什么样的图？", KINDS, "style"
    ),
    "image_topic": ChoiceForm(
        "What is this picture about?", "这张图是关于什么的？", KINDS, "thing"
    ),
    "attribute_recognition": ChoiceForm(
        "What colour is the thing in the picture?", "它是什么颜色？", (DRAWN,), "colour"
    ),
    "ocr": ChoiceForm(
        "Which word is written in the picture?", "图中写的是哪个单词？", _WRITTEN, "thing"
    ),
    "attribute_comparison": ChoiceForm(
        "Which colour do the thing and the word share?",
        "图形和单词是什么颜色？",
        (LABELLED,),
        "colour",
    ),
    "function_reasoning": ChoiceForm(
        "Is the thing in the picture harmless or dangerous?",
        "图中的东西危险吗？",
        KINDS,
        "nature",
    ),
    "structuralized_imagetext_understanding": ChoiceForm(
        "How many letters has the word in the picture?",
        "图中的单词有几个字母？",
        _WRITTEN,
        "letters",
    ),
    "physical_relation": ChoiceForm(
        "What is under the thing in the picture?", "图形下面是什么？", _PAINTED, "below"
    ),
}

OPEN_FORMS = (
    OpenForm("How many letters has the word?", "It has {letters} letters.", _WRITTEN),
    OpenForm("What is under the thing?", "Under it is the word {thing}.", (LABELLED,)),
    OpenForm("Is it dangerous or harmless?", "A {thing} is {nature}.", KINDS),
)


def with_options(question: str, choice: Choice, hint: str = "", language: str = "en") -> str:
    """Return the whole text of a question with options, as MMBench puts it to a model."""
    lines = [question, *(f"{x}. {text}" for x, text in zip(LETTERS, choice.options, strict=False))]
    return "\n".join([*([hint] if hint else []), *lines, LETTER_ENDINGS[language]])


def fits(form: Form, scene: Scene, held_out: bool) -> bool:
    """Return whether a form suits an image, and is held out for its thing or not, as wanted."""
    return scene.kind in form.kinds and is_held_out_text(scene.thing, form.text) == held_out
