"""`Attack`: one way to change a sample so that harm gets by, whatever benchmark it is of.

An attack is one small object in a module of ``attacks/``. It says what it does and turns an item
into another; ``ecso eval --attack NAME`` and ``ecso attack`` know of it by that.

Covered: attacks are deterministic, so that every variant of a run, and a run that is resumed, meets
the same samples.
Not covered: harm itself. An attack brings none; it dresses up what a sample asks for.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .files import DataError
from .items import Item


Family = Literal["image", "query", "turns", "injection", "white-box"]


@dataclass(frozen=True)
class AttackTools:
    """What an attack may use besides the item.

    Args:
        generator: Randomness that depends on attack and item alone.
        load: Returns the model that is attacked, a `LoadedModel`; raises DataError where it is not
            in this process.
    """

    generator: random.Random
    load: Callable[[], Any] = field(repr=False)


@dataclass(frozen=True)
class Attack:
    """One attack.

    Args:
        name: As it is typed.
        family: What it changes.
        about: What it does, as the end of a sentence that begins with its name.
        apply: Item, tools → the item under attack.
    """

    name: str
    family: Family
    about: str
    apply: Callable[[Item, AttackTools], Item]

    @property
    def is_white_box(self) -> bool:
        """Whether it needs the weights of the model that it attacks."""
        return self.family == "white-box"


class ItemKey:
    """An item as the key of a cache: what took minutes is made once for all variants."""

    def __init__(self, item: Item, tools: AttackTools):
        """Keep both."""
        self.item, self.tools = item, tools
        self._names = (item.id, item.query, item.images, item.follow_ups, item.slices)

    def __eq__(self, other: object) -> bool:
        """Return whether an attack would make the same of both."""
        return isinstance(other, ItemKey) and other._names == self._names

    def __hash__(self) -> int:
        """Return the same for items that are equal."""
        return hash(self._names)


def attacked(items: list[Item], attacks: list[Attack], load: Callable[[], Any]) -> list[Item]:
    """Return the items under each of several attacks, one attack after the other.

    Under several, an item is there once for each, and says in its id which; a fact says so always.

    Args:
        items: The items.
        attacks: The attacks, `NONE` among them where the items are wanted as they are as well.
        load: Returns the model that is attacked.

    Raises:
        DataError: An attack cannot be made on one of them, or on this model.
    """
    found = []
    for attack in attacks:
        for item in items:
            tools = AttackTools(random.Random(f"{attack.name} {item.id}"), load)
            try:
                changed = attack.apply(item, tools)
            except DataError as error:
                raise DataError(f"attack {attack.name} on {item.id}: {error}") from None
            facts = {**changed.facts, "attack": attack.name, "attacked": item.id}
            named = item.id if len(attacks) == 1 else f"{item.id} under {attack.name}"
            found.append(replace(changed, id=named, facts=facts))
    return found


# The samples as they are, beside those under attack.
NONE = Attack("none", "query", "leaves the sample as it is", lambda item, tools: item)
