"""What the table of families says of thoughts is found by asking."""

import pytest

from tests.families.mixed_batch import FAMILIES, WITHOUT_THOUGHT, built
from tests.families.stock_calls import chat
from tests.families.table import thinking_of


@pytest.mark.parametrize("name", FAMILIES)
def test_the_table_says_of_thoughts_what_the_reference_does_without_them(name):
    said, reference = thinking_of(name), WITHOUT_THOUGHT.get(name, {})
    if "in_steps" in reference:
        assert said == f"off in steps, by `{next(iter(reference['in_steps']))}`"
    elif reference:
        assert said == "closed at once in steps"
    elif said != "none":  # there is a switch, which is off unless a caller asks
        assert said == "off in steps, by `enable_thinking`"
        render = built(name)[1].apply_chat_template
        given = {"add_generation_prompt": True}
        off, on = (render(chat("a"), enable_thinking=thinks, **given) for thinks in (False, True))
        assert render(chat("a"), **given) == off != on
