"""The settings reference, from the declarations in `settings_ecso` and the presets."""

import typing
from dataclasses import fields

from modeling_ecso.presets_ecso import PRESETS
from modeling_ecso.settings_ecso import ECSOConfig


_HEAD = """# Settings

<!-- Written by `make readme` from modeling_ecso/settings_ecso.py; do not edit. -->

Every prompt and policy of the protocol stands in the model's `config.json` under `ecso`; the
gateway takes the same as YAML or JSON (`ecso serve --ecso-config FILE`). A missing, unknown or
malformed setting is an error that names it. Start from a preset and change what you need:

```python
from modeling_ecso import ECSOConfig

strict = ECSOConfig.from_preset("hardened", unsafe_threshold=0.2)
```

For one call `generate(**inputs, ecso=strict)`, for good `model.config.ecso = strict.to_dict()`.
Where each number comes from: the comments in
[presets_ecso.py](../modeling_ecso/presets_ecso.py).
"""

# Longer values stand in a block of their own.
_INLINE_CHARS = 60


def settings_page() -> str:
    """Return the page, in Markdown: a section for each setting, in the order of declaration."""
    types = typing.get_type_hints(ECSOConfig)
    sections = [_section(each, types[each.name]) for each in fields(ECSOConfig)]
    return "\n".join([_HEAD, *sections])


def _section(declared: typing.Any, its_type: typing.Any) -> str:
    # Declarations are written for help(), in reStructuredText's double backticks.
    doc = declared.metadata["doc"].replace("``", "`")
    lines = [f"## `{declared.name}`", "", doc, "", f"Type: {_type_name(its_type)}.", ""]
    values = {name: preset[declared.name] for name, preset in PRESETS.items()}
    return "\n".join(lines + _values(values))


def _type_name(its_type: typing.Any) -> str:
    if typing.get_origin(its_type) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(its_type))
    # Settings are stored as JSON, whose word for None is null.
    name = its_type.__name__ if isinstance(its_type, type) else str(its_type)
    return f"`{name.replace('None', 'null')}`"


def _values(values: dict[str, typing.Any]) -> list[str]:
    """Return what the presets say: in a line where it is short, else once for each text."""
    if all(len(str(value)) <= _INLINE_CHARS for value in values.values()):
        header = " | ".join(f"`{name}`" for name in values)
        cells = " | ".join(f"`{_shown(value)}`" for value in values.values())
        return [f"| {header} |", "|" + "---|" * len(values), f"| {cells} |", ""]
    lines: list[str] = []
    for text in dict.fromkeys(values.values()):
        names = ", ".join(f"`{name}`" for name in values if values[name] == text)
        lines += [f"{names}:", "", "```text", str(text), "```", ""]
    return lines


def _shown(value: typing.Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
