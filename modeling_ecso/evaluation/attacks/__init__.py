"""The attacks: every module here has some in ``ATTACKS``, and nothing else needs to know of them.

    typography     what is asked for, in print
    distortions    the image turned, squeezed, faded, covered
    encodings      the query in another writing
    forgeries      the query plays the marks, the verdict, or another role
    dilution       the query asks for more around the harm
    turns          the answer is taken in slices
    injections     the image speaks to captioner, safe step and judge
    pixels, suffix with the weights in hand: gradients on the pixels, and on a suffix

Not PyRIT's converters: those of images that fit are ten lines each on top of Pillow, as these are,
and bring some fifty dependencies.
"""

import pkgutil
from importlib import import_module

from ..attack import Attack


def all_attacks() -> tuple[Attack, ...]:
    """Return all attacks, module by module."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(attack for name in names for attack in _in(name))


def get_attack(name: str) -> Attack:
    """Return the attack of that name.

    Raises:
        KeyError: There is none.
    """
    return {attack.name: attack for attack in all_attacks()}[name]


def suite(white_box: bool = False) -> tuple[str, ...]:
    """Return the names of the declared suite: all that need no weights, or all that do."""
    return tuple(a.name for a in all_attacks() if a.is_white_box == white_box)


def _in(name: str) -> tuple[Attack, ...]:
    found: tuple[Attack, ...] = getattr(import_module(f"{__name__}.{name}"), "ATTACKS", ())
    return found
