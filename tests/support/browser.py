"""Finds headless Chromium, or installs it where that can be done without asking."""

import os
import shutil
import subprocess


NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium():
    """Return the path of the browser, installed by the system's packages where it is missing."""
    return _found() or _installed()


def _found():
    return next(filter(None, map(shutil.which, NAMES)), None)


def _installed():
    prefix = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    install = [*prefix, "apt-get", "install", "-y", "--no-install-recommends", "chromium"]
    said = "apt-get is missing"
    if shutil.which("apt-get") and (not prefix or shutil.which("sudo")):
        for command in (install, [*prefix, "apt-get", "update"], install):
            done = subprocess.run(command, capture_output=True, text=True)
            said = (done.stderr.strip().splitlines() or [""])[-1]
            if _found():
                return _found()
    raise RuntimeError(
        f"the browser tests need Chromium, and installing it failed ({said}); "
        "install it with: apt-get install chromium"
    )
