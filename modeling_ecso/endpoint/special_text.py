"""Texts that a tokenizer may take for special tokens, broken up so that they stay text.

Over an API the tokenizer is not known, and no list can name the special tokens of those to come. So
a shape stands for them: whatever looks like a tag is broken by a blank behind its first sign, <b>
like <s>. It stays as easy to read.

Covered: the kinds of brackets that tokenizers use, also in the wide letters that they may take for
the narrow ones.
Not covered: special tokens that look like none, such as a plain word.
"""

import re

from ..presets_ecso import DELIMITED_DETECT_PROMPT


_OPENS = "<＜﹤〈⟨\u2329◁"
_CLOSES = ">＞﹥〉⟩\u232a▷"
_ANGLES = _OPENS + _CLOSES
_SQUARE = r"\[\]［］"
_BAR = "[|｜]"
# In square brackets stand lists, places and calls too: these have signs that tokens do not.
_NOT_IN_NAMES = _SQUARE + r",;\"'(){}="

# Each finds the first sign of its kind of tag.
_SHAPES = (
    # <image>, </s>, <|turn>, <loc0001>, <seed:bos>, and the inner pair of <<SYS>>
    rf"[{_OPENS}](?=[^\s{_ANGLES}]{{1,80}}[{_CLOSES}])",
    # <|beginning of sentence|>: several words, with a bar at one end or both
    rf"[{_OPENS}](?={_BAR}[^{_ANGLES}\n]{{1,80}}[{_CLOSES}])",
    rf"[{_OPENS}](?=[^\s{_ANGLES}][^{_ANGLES}\n]{{0,80}}{_BAR}[{_CLOSES}])",
    # [INST], [/INST], [gMASK], [control_8]; no number and no single letter
    rf"[\[［](?=/?[^\W\d]\w[^\s{_NOT_IN_NAMES}]{{0,80}}[\]］])",
    # [@BOS@], [|Human|], [|system message|]
    rf"[\[［](?=[^\w\s{_NOT_IN_NAMES}]\w[^\s{_SQUARE}]{{0,80}}[\]］])",
    rf"[\[［](?={_BAR}[^{_SQUARE}\n]{{1,80}}[\]］])",
    # ]~b], [e~[, ]~!b[
    rf"[{_SQUARE}](?=[^\s{_SQUARE}]{{0,12}}~[^\s{_SQUARE}]{{0,12}}[{_SQUARE}])",
    # >>QUESTION<<
    rf"[{_CLOSES}](?=[{_CLOSES}]\w{{2,80}}[{_OPENS}]{{2}})",
)
# The marks around the fields of our own prompt; a sender's are escaped there before they come here.
_OWN_MARKS = frozenset(re.findall("<<<[^<>]+>>>", DELIMITED_DETECT_PROMPT))
_FOUND = re.compile("|".join([*map(re.escape, sorted(_OWN_MARKS)), *_SHAPES]))


def as_plain_text(text: str) -> str:
    """Return ``text`` with everything that looks like a special token broken by a blank."""
    return _FOUND.sub(lambda found: found[0] if found[0] in _OWN_MARKS else f"{found[0]} ", text)
