"""The demo's server: starts whatever the machine does meanwhile, behind a proxy, and stops."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import pytest

from modeling_ecso.demo.app import FIRST_PORT, _listener
from modeling_ecso.errors_ecso import ECSOInputError


STOPS_WITHIN_S = 20


@pytest.fixture
def start(tmp_path):
    """Start `ecso demo` with options and an environment; return process, address and log."""
    started = []

    def begin(*options, **environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = tmp_path / "log"
        command = [sys.executable, "-m", "modeling_ecso.cli", "demo", "--port", str(port), *options]
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=tmp_path,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONPATH": os.getcwd(), **environment},
            )
        started.append(process)
        return process, f"http://127.0.0.1:{port}/", log

    yield begin
    for process in started:
        process.kill()
        process.wait()


def page_of(process, address, log):
    opener = build_opener(ProxyHandler({}))
    while process.poll() is None:
        try:
            return opener.open(address).read().decode("utf-8")
        except URLError:
            time.sleep(0.1)
    raise AssertionError(log.read_text("utf-8"))


def test_a_proxy_in_the_environment_is_not_asked_and_one_in_front_is_named(start):
    nobody = "http://127.0.0.1:9"
    process, address, log = start(
        "--root-path", "/below/here", HTTP_PROXY=nobody, http_proxy=nobody
    )
    page = page_of(process, address, log)
    assert re.search(r'"root": ?"[^"]*/below/here"', page)
    # A page that stays open keeps a connection; the server stops all the same.
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2].strip("/")))) as one:
        one.sendall(b"GET /gradio_api/heartbeat/abc HTTP/1.1\r\nHost: here\r\n\r\n")
        assert one.recv(15).startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGINT)
        assert process.wait(STOPS_WITHIN_S) == 0
    said = log.read_text("utf-8")
    assert said == f"The demo is at {address} ; stop it with Ctrl-C.\n"


def test_a_machine_that_is_slow_at_start_is_waited_for(start, tmp_path):
    # Gradio's own check of the page, as a busy machine lets it end.
    (tmp_path / "sitecustomize.py").write_text(
        "import gradio.networking as n\nn.url_ok = lambda url: False\n", "utf-8"
    )
    process, address, log = start(PYTHONPATH=f"{tmp_path}{os.pathsep}{os.getcwd()}")
    assert "Eyes Closed, Safety On" in page_of(process, address, log)


def test_the_first_free_port_is_taken(monkeypatch):
    monkeypatch.delenv("GRADIO_SERVER_PORT", raising=False)
    with _listener("127.0.0.1", None) as one:
        one.listen()
        with _listener("127.0.0.1", None) as other:
            assert FIRST_PORT <= one.getsockname()[1] < other.getsockname()[1]


@pytest.mark.parametrize("value", ["many", "0", "70000", "-1"])
def test_a_port_of_the_environment_is_checked(monkeypatch, value):
    monkeypatch.setenv("GRADIO_SERVER_PORT", value)
    with pytest.raises(ECSOInputError, match=f"the port is {value}; give a number"):
        _listener("127.0.0.1", None)
