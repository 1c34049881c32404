"""A sandbox for every test: no network, no token, caches in a temporary folder."""

import atexit
import logging
import os
import shutil
import socket
import tempfile

import pytest
from hypothesis import HealthCheck, settings


_SANDBOX = tempfile.mkdtemp(prefix="ecso-tests-")
atexit.register(shutil.rmtree, _SANDBOX, ignore_errors=True)
os.environ.update(
    HF_HOME=_SANDBOX,
    HF_HUB_OFFLINE="1",
    HF_TOKEN="",
    TOKENIZERS_PARALLELISM="false",
    OMP_NUM_THREADS="1",
)


# Few examples for the inner loop, many where nobody waits for them.
_PATIENT = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}
settings.register_profile("few", max_examples=50, **_PATIENT)
settings.register_profile("ci", max_examples=2000, **_PATIENT)
_IN_CI = os.environ.get("CI", "").lower() in ("1", "true")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if _IN_CI else "few"))


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Let no test reach beyond this machine."""
    connect = socket.socket.connect

    def loopback_only(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address[0]}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", loopback_only)


@pytest.fixture(autouse=True)
def _level_of_logs():
    """Take back what a test has set: the level of Inspect's commands hides later warnings."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.fixture
def logs():
    """What is logged, at every level, while a test runs."""
    from tests.support.log_reader import LogReader

    reader, logger = LogReader(), logging.getLogger()
    logger.addHandler(reader)
    logger.setLevel(logging.DEBUG)
    yield reader.said
    logger.removeHandler(reader)


@pytest.fixture(scope="session")
def processor():
    from tests.support.tiny_random import make_processor

    return make_processor()


@pytest.fixture(scope="session")
def model(processor):
    """A random LLaVA; do not change it."""
    from tests.support.tiny_random import make_model

    return make_model(processor, caption_max_new_tokens=24)


@pytest.fixture
def hub(monkeypatch):
    """A running Hub on loopback; the client in this process talks to it."""
    from huggingface_hub import constants

    from tests.support.loopback_hub import LocalHub

    running = LocalHub().start()
    monkeypatch.setattr(constants, "ENDPOINT", running.url)
    files = running.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_local")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def miniatures(tmp_path_factory):
    """The benchmarks, as small as they come; each table of MMBench in a folder of its own."""
    from tests.support.scripts import write_miniatures

    folder = tmp_path_factory.mktemp("miniatures")
    write_miniatures(folder, size=1)
    for file in list((folder / "mmbench").rglob("*.tsv")):
        if file.name != "mmbench_dev_20230712.tsv":
            (folder / file.stem).mkdir()
            shutil.move(file, folder / file.stem / file.name)
            shutil.copy(folder / "mmbench" / "counts.json", folder / file.stem)
    return folder
