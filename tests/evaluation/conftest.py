"""What the tests of the evaluation share."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copy(miniatures, tmp_path):
    """Return a function that copies one benchmark, to be broken."""

    def make(name):
        return Path(shutil.copytree(miniatures / name, tmp_path / name))

    return make
