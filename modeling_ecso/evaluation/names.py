"""The names under which Inspect knows what this package registers: ``modeling_ecso/…``.

Inspect puts the package's name in front by itself where it finds the package installed, but takes
an editable installation for none at all if the distribution is called otherwise (here
``ecso-llava``). So the name is put in front here wherever Inspect does not.
"""

# Inspect does not export it; the version is pinned, and a test imports this.
from inspect_ai._util.package import get_installed_package_name


PACKAGE = "modeling_ecso"


def registered(name: str) -> str:
    """Return what to register under so that Inspect calls it ``modeling_ecso/NAME``."""
    return name if get_installed_package_name(registered) else f"{PACKAGE}/{name}"


def qualified(name: str) -> str:
    """Return what Inspect calls it."""
    return f"{PACKAGE}/{name}"
