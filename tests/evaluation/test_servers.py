"""Evaluations of a model on servers: many requests at a time, resumed, and no draft in the logs."""

import asyncio
import contextlib
import json
import re
import sys
import urllib.request
from functools import partial
from pathlib import Path

import httpx2
import pytest
from inspect_ai.log import list_eval_logs, read_eval_log
from inspect_ai.model import get_model

from examples.load.scripted_upstream import (
    CANARY,
    CAPTION,
    GOOD_ANSWER,
    SAFE_ANSWER,
    Thinking,
    build_upstream,
)
from modeling_ecso.cli import main
from modeling_ecso.endpoint import server_pool
from modeling_ecso.endpoint.openai_server import OpenAIServer
from modeling_ecso.endpoint.server_pool import ServerPool
from modeling_ecso.evaluation import server_provider
from modeling_ecso.evaluation.logs import log_files, read_run
from modeling_ecso.evaluation.prerequisite import PrerequisiteError
from modeling_ecso.evaluation.side_by_side import read_runs
from tests.support.failing_server import FailingServer
from tests.support.servers import free_port, running, wait_until_ready


@pytest.fixture(autouse=True)
def workplace(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)


@contextlib.contextmanager
def scripted_servers(count, step_ms=0):
    """Run scripted model servers; yields their URLs."""
    with contextlib.ExitStack() as stack:
        urls = []
        for _ in range(count):
            port = free_port()
            script = [sys.executable, "-m", "examples.load.scripted_upstream", "--port", str(port)]
            log = Path(f"{port}.log").absolute()
            process = stack.enter_context(running([*script, "--step-ms", str(step_ms)], log))
            urls.append(f"http://127.0.0.1:{port}/v1")
            wait_until_ready(f"{urls[-1]}/models", process, log)
        yield urls


@pytest.fixture
def pairs(copy):
    """A small VLSafe; returns a function that writes its queries anew."""
    folder = copy("vlsafe")
    file = folder / "harmlessness_examine.jsonl"
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()][:8]
    (folder / "counts.json").write_text(json.dumps({"queries": len(rows)}), "utf-8")

    def write(faulty=0):
        faults = [" fault=direct:500"] * faulty + [""] * (len(rows) - faulty)
        queries = [f"What is unsafe in number {n}?{fault}" for n, fault in enumerate(faults)]
        said = [{**row, "query": query} for row, query in zip(rows, queries, strict=True)]
        file.write_text("".join(json.dumps(row) + "\n" for row in said), "utf-8")
        return folder

    return write


def stats(url):
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats", timeout=5) as response:
        return json.load(response)


def ecso(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    seen = capsys.readouterr()
    return status, seen.out, seen.err


def evaluation(folder, urls, *options):
    command = ["eval", "vlsafe", "--data", folder, "--log-dir", "logs", "--model", "scripted"]
    return [*command, *(part for url in urls for part in ("--upstream", url)), *options]


def in_logs(text):
    samples = [
        sample.model_dump_json()
        for log in list_eval_logs("logs")
        for sample in read_eval_log(log.name).samples
    ]
    assert samples
    return any(text in sample for sample in samples)


def test_servers_share_the_samples_and_no_draft_is_in_the_logs(capsys, pairs):
    with scripted_servers(2, step_ms=20) as urls:
        command = evaluation(pairs(), urls, "--batch-size", 2)
        status, out, err = ecso(capsys, *command)
        seen = [stats(url) for url in urls]
    assert status == 0 and not err and "guard acted on 100.0%" in out
    assert [one["most at a time"] for one in seen] == [2, 2]
    (run,) = read_runs(Path("logs"))
    assert run.model == "ecso-server/scripted"
    assert {sample.answer for sample in run.samples} == {SAFE_ANSWER}
    for text in (CANARY, CAPTION):
        assert text not in out and not in_logs(text)


def test_direct_answers_are_the_drafts_but_of_settings_that_judge_on_the_way(capsys, pairs):
    with scripted_servers(1) as urls:
        command = evaluation(pairs(), urls, "--compare", "--preset", "paper", "hardened")
        assert ecso(capsys, *command)[0] == 0
        seen = stats(urls[0])
    runs = {run.variant: run for run in read_runs(Path("logs"))}
    assert all(CANARY in sample.answer for sample in runs["direct"].samples)
    steps = {
        variant: [step["step"] for step in runs[variant].samples[0].trace["steps"]]
        for variant in ("paper", "hardened")
    }
    assert steps["paper"] == ["direct", "detect", "caption", "safe"]
    assert steps["hardened"] == [*steps["paper"], "detect"]
    assert all(sample.trace["p_unsafe"] > 0.9 for sample in runs["hardened"].samples)
    assert ecso(capsys, "report", "logs", "--out", "page", "--model", "scripted")[0] == 0
    assert "hardened" in Path("page/index.html").read_text("utf-8")
    probes = seen["calls"] - 8 * (1 + 3 + 5)  # what it takes to find out about the server
    assert 1 <= probes <= 3 * 4 and seen["words"] >= 8


def test_what_failed_is_asked_again_wherever_the_servers_are_then(capsys, pairs):
    with scripted_servers(2) as (url, other):
        status, out, err = ecso(capsys, *evaluation(pairs(faulty=3), [url]))
        assert status == 1 and "3 of 8 samples failed (ModelServerError)" in out
        assert CANARY not in out + err and not in_logs(CANARY)
        status, out, _ = ecso(capsys, *evaluation(pairs(), [other], "--resume"))
        assert status == 0 and re.search(r"vlsafe protected +\S+ 8/8", out)
        assert 3 * 4 < stats(other)["calls"] < 4 * 4
    assert len(read_runs(Path("logs"))) == 1


def test_a_server_that_is_gone_is_passed_by(capsys, pairs):
    gone = f"http://127.0.0.1:{free_port()}/v1"
    with scripted_servers(1) as urls:
        assert ecso(capsys, *evaluation(pairs(), [gone, *urls]))[0] == 0
        assert ecso(capsys, *evaluation(pairs(), [gone]))[0] == 1


@pytest.mark.parametrize("command", ["eval", "attack"])
def test_servers_that_differ_are_refused_in_one_line_before_anything_is_asked(
    capsys, pairs, monkeypatch, command
):
    servers = {"http://a": FailingServer(), "http://b": FailingServer(gives_logprobs=False)}
    monkeypatch.setattr(server_pool, "pool_of", lambda *_: lambda: ServerPool(servers))
    _, *options = evaluation(pairs(), ["http://a/v1", "http://b/v1"], "--preset", "hardened")
    status, _, err = ecso(capsys, command, *options)
    (line,) = err.strip().splitlines()
    assert status == 2 and "http://a gives log-probabilities, http://b does not" in line
    assert not any(server.asked for server in servers.values())


@pytest.mark.parametrize("gives_logprobs", [True, False])
def test_verdicts_that_are_read_as_text_are_said(capsys, pairs, monkeypatch, gives_logprobs):
    def connect():
        return ServerPool({"a": FailingServer(gives_logprobs=gives_logprobs)})

    monkeypatch.setattr(server_provider, "pool_of", lambda *_: connect)
    url = f"http://{gives_logprobs}/v1"  # Inspect keeps a model of the same arguments
    command = evaluation(pairs(), [url], "--preset", "paper", "hardened")
    status, out, _ = ecso(capsys, *command)
    line = (
        "hardened: the model gave no log-probabilities for 8 of 8 answers, whose verdicts were "
        "read as text"
    )
    assert status == 0 and (line in " ".join(out.split())) is not gives_logprobs
    assert "paper: the model gave no" not in " ".join(out.split())
    assert ecso(capsys, "report", "logs", "--out", "page", "--model", "scripted")[0] == 0
    page = " ".join(Path("page/index.html").read_text("utf-8").split())
    assert (line in page) is not gives_logprobs


def test_attacks_are_run_on_servers(capsys, pairs):
    with scripted_servers(1) as urls:
        _, *options = evaluation(pairs(), urls, "--limit", 2, "--attack", "rot13")
        status, out, err = ecso(capsys, "attack", *options, "--preset", "paper")
    assert status == 0 and not err and "rot13" in out
    runs = [read_run(file) for file in log_files(Path("logs"))]
    assert {run.variant for run in runs} == {"direct", "paper"}
    assert {run.model for run in runs} == {"ecso-server/scripted"}


@pytest.mark.parametrize("field", ["content", "reasoning_content"])
@pytest.mark.parametrize("variant", ["direct", "protected"])
def test_the_thought_of_a_model_is_no_part_of_what_is_scored(monkeypatch, field, variant):
    app = build_upstream(thinking=Thinking(field=field))
    transport = httpx2.ASGITransport(app=app)
    server = partial(OpenAIServer, "http://server/v1", "scripted", transport=transport)
    monkeypatch.setattr(server_provider, "pool_of", lambda *_: lambda: ServerPool({"-": server()}))
    model = get_model("ecso-server/scripted", upstream="-", variant=variant, memoize=False)
    assert asyncio.run(model.generate("What is this?")).completion == GOOD_ANSWER


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--upstream", "http://127.0.0.1:9/v1"], "--upstream needs --model"),
        (["--upstream", "nowhere", "--model", "name"], "--upstream 'nowhere' is no URL"),
        (
            ["--upstream", "http://127.0.0.1:9/v1", "--model", "name", "--estimate"],
            "--estimate is for models that this process loads",
        ),
        (
            ["--upstream", "http://127.0.0.1:9/v1", "--model", "name", "--score-again"],
            "--score-again judges whole logs, so it takes no --upstream",
        ),
    ],
)
def test_a_mistake_is_one_line(capsys, pairs, options, says):
    commands = ["eval"] if options[-1].startswith("--") else ["eval", "attack"]
    for command in commands:
        status, _, err = ecso(capsys, command, "vlsafe", "--data", pairs(), *options)
        assert status == 2 and says in err and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [({}, "upstream is missing"), ({"upstream": "-"}, "'-' is no URL"), ({"size": 3}, "size")],
)
def test_the_provider_names_what_it_cannot_use(arguments, says):
    with pytest.raises(PrerequisiteError, match=says):
        get_model("ecso-server/scripted", memoize=False, **arguments)
