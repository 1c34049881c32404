"""`ecso serve` as a person starts and stops it."""

import json
import re
import signal
import socket
import sys
import threading
import urllib.request

import pytest

from modeling_ecso.cli import main
from modeling_ecso.cli.serve_command import bound_socket
from tests.support.gateway_client import request_body
from tests.support.servers import PROJECT, ecso_serve, free_port, running, wait_until_ready


UPSTREAM = ["--upstream", "http://127.0.0.1:1/v1", "--model", "m"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "off.yaml").write_text("enabled: false\n", "utf-8")
    (tmp_path / "draft.json").write_text('{"keep_draft": true}', "utf-8")
    (tmp_path / "wrong.yaml").write_text("verdict_rule: maybe\n", "utf-8")
    (tmp_path / "list.yaml").write_text("- a\n", "utf-8")
    (tmp_path / "broken.json").write_text("{", "utf-8")
    (tmp_path / "short.txt").write_text("# keys\nshort\n", "utf-8")
    (tmp_path / "empty.txt").write_text("# none\n", "utf-8")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--upstream", "x", "--model", "m"], "--upstream 'x' is no URL"),
        (["--upstream", "http://[::1", "--model", "m"], "is no URL"),
        (["--upstream", "http://a:99999/v1", "--model", "m"], "is no URL"),
        (["--upstream", "http://a b/v1", "--model", "m"], "is no URL"),
        (["--model", "m"], "required: --upstream"),
        ([*UPSTREAM, "--preset", "strict"], "preset 'strict' is unknown"),
        ([*UPSTREAM, "--ecso-config", "missing.yaml"], "missing.yaml: no such file"),
        ([*UPSTREAM, "--ecso-config", "off.yaml"], "protects nothing"),
        ([*UPSTREAM, "--ecso-config", "draft.json"], "keep_draft"),
        ([*UPSTREAM, "--ecso-config", "wrong.yaml"], "ecso.verdict_rule must be one of"),
        ([*UPSTREAM, "--ecso-config", "list.yaml"], "holds no settings"),
        ([*UPSTREAM, "--ecso-config", "broken.json"], "neither YAML nor JSON"),
        ([*UPSTREAM, "--ecso-config", "off.yaml", "--preset", "paper"], "not allowed with"),
        ([*UPSTREAM, "--api-keys", "missing.txt"], "missing.txt: no such file"),
        ([*UPSTREAM, "--api-keys", "empty.txt"], "holds no key"),
        ([*UPSTREAM, "--api-keys", "short.txt"], "short.txt, line 2: the key has fewer than 16"),
        ([*UPSTREAM, "--cors-origin", "chat.example"], "--cors-origin 'chat.example' is no origin"),
        ([*UPSTREAM, "--cors-origin", "https://a.example/"], "is no origin"),
        ([*UPSTREAM, "--max-tokens", "0"], "--max-tokens is 0"),
        ([*UPSTREAM, "--max-concurrent", "0"], "--max-concurrent is 0"),
        ([*UPSTREAM, "--max-body-mb", "nan"], "--max-body-mb is nan"),
        ([*UPSTREAM, "--port", "99999"], "--port is 99999"),
        ([*UPSTREAM, "--step-extra-body", "judge={}"], "'judge' is no step"),
        ([*UPSTREAM, "--step-extra-body", "detect"], "detect: no JSON object"),
        ([*UPSTREAM, "--step-extra-body", "detect=[1]"], "detect: no JSON object"),
        ([*UPSTREAM, "--step-extra-body", 'safe={"n": 2}'], "n is the gateway's; leave"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, list) else "",
)
def test_bad_arguments_are_one_line_and_status_2(capsys, files, arguments, says):
    try:
        status = main(["serve", *arguments])
    except SystemExit as stop:
        status = stop.code
    err = capsys.readouterr().err
    assert status == 2 and len(err.splitlines()) == 1 and re.search(says, err), err


def test_whoever_only_observes_is_told_that_nothing_is_protected(capsys, monkeypatch):
    import uvicorn

    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: sockets[0].close())
    for mode, is_said in (([], False), (["--mode", "observe"], True)):
        assert main(["serve", *UPSTREAM, "--port", "0", *mode]) == 0
        assert ("NOTHING IS PROTECTED" in capsys.readouterr().err) is is_said


def test_the_socket_is_one_of_which_asyncio_knows_that_it_is_tcp():
    # On others it leaves small packets waiting for 40 ms.
    with bound_socket("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_port_that_is_taken_is_said(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", *UPSTREAM, "--port", str(taken.getsockname()[1])]) == 2
    assert "cannot be bound" in capsys.readouterr().err


def test_it_finishes_what_runs_when_it_is_told_to_stop(tmp_path):
    ports = free_port(), free_port()
    script = PROJECT / "examples" / "load" / "scripted_upstream.py"
    upstream = [sys.executable, script, "--port", str(ports[0]), "--step-ms", "400"]
    url, log = f"http://127.0.0.1:{ports[1]}", tmp_path / "gateway.log"
    gateway = ecso_serve(f"http://127.0.0.1:{ports[0]}/v1", "scripted", ports[1])
    with running(upstream, tmp_path / "upstream.log"), running(gateway, log) as process:
        wait_until_ready(f"{url}/health", process, log)
        request = urllib.request.Request(
            f"{url}/v1/chat/completions",
            json.dumps(request_body("SECRETWORD unsafe")).encode(),
            {"content-type": "application/json"},
        )
        answers = []

        def ask():
            with urllib.request.urlopen(request, timeout=30) as response:
                answers.append(json.load(response))

        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(0.6)
        process.send_signal(signal.SIGTERM)
        asking.join(30)
        process.wait(30)
    assert answers[0]["ecso"][0]["outcome"] == "safe"
    said = log.read_text()
    assert said.startswith("ecso serve: http://127.0.0.1:") and "SECRETWORD" not in said
    assert "Traceback" not in said
