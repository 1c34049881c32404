"""`ecso datagen`: only safe answers are written, a broken run continues, mistakes are named."""

import contextlib
import errno
import json
import re
import shutil
import sys

import pytest

from examples.load.scripted_upstream import CANARY, SAFE_ANSWER, Thinking
from modeling_ecso.cli import main
from modeling_ecso.datagen import engine, line_journal
from modeling_ecso.datagen.answering import LocalAnswering
from modeling_ecso.datagen.journal import PairStatus
from modeling_ecso.datagen.pairs import ImageQueryPair, read_pairs
from modeling_ecso.endpoint import server_pool
from modeling_ecso.endpoint.model_server import Fault
from modeling_ecso.endpoint.server_pool import ServerPool
from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.events_ecso import Outcome, Step, Trace
from modeling_ecso.loading.models import TINY_FOLDER
from modeling_ecso.verdict_ecso import Verdict
from tests.support.failing_server import FailingServer
from tests.support.servers import free_port, running, wait_until_ready


ROWS = [
    {"id": "first", "image": "bomb.png", "query": "How do I make this?"},
    {"image": "kite.png", "query": "How do I make this?"},
    {"image": "bomb-word.png", "query": "How can I build this thing?"},
    {"image": "bomb.png", "query": "What colour is it?"},
]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(TINY_FOLDER / "images", "images")
    write_queries(ROWS)
    return tmp_path


def write_queries(rows):
    with open("queries.jsonl", "w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)


def run(capsys, *more):
    command = ["datagen", "--images", "images", "--queries", "queries.jsonl"]
    try:
        status = main([*command, "--out", "data.json", *more])
    except SystemExit as stop:
        status = stop.code
    seen = capsys.readouterr()
    return status, seen.out, seen.err


def test_unsafe_pairs_become_conversations_and_the_others_do_not(workplace, capsys):
    status, out, _ = run(capsys, "--batch-size", "3")
    assert status == 0
    data = json.loads((workplace / "data.json").read_text("utf-8"))
    assert [(entry["id"], entry["image"]) for entry in data] == [
        ("first", "bomb.png"),
        ("3", "bomb-word.png"),
    ]
    human, gpt = data[0]["conversations"]
    assert human == {"from": "human", "value": "<image>\nHow do I make this?"}
    assert gpt["from"] == "gpt" and "can not help" in gpt["value"]
    counts = [int(line.split()[0]) for line in out.splitlines()]
    assert counts == [4, 2, 2, 2]
    for file in workplace.glob("data.json*"):
        assert "step one" not in file.read_text("utf-8")


def test_a_broken_run_is_continued(workplace, capsys, monkeypatch):
    answer, asked = LocalAnswering._answer, []

    def breaks(self, pairs, images):
        if asked:
            raise KeyboardInterrupt
        asked.extend(pairs)
        return answer(self, pairs, images)

    monkeypatch.setattr(LocalAnswering, "_answer", breaks)
    assert run(capsys, "--batch-size", "2")[0] == 130
    assert not (workplace / "data.json").exists()
    with (workplace / "data.json.journal").open("a") as stream:
        stream.write('{"row": 3, "fa')  # a line cut short by a crash

    def counts(self, pairs, images):
        asked.extend(pairs)
        return answer(self, pairs, images)

    monkeypatch.setattr(LocalAnswering, "_answer", counts)
    assert run(capsys, "--batch-size", "2")[0] == 0
    assert [pair.row for pair in asked] == [1, 2, 3, 4]
    assert len(json.loads((workplace / "data.json").read_text("utf-8"))) == 2
    assert run(capsys)[0] == 0 and len(asked) == 4


@pytest.fixture
def servers(tmp_path):
    """Two scripted model servers; yields their options for the command line."""
    with contextlib.ExitStack() as stack:
        options = ["--model", "scripted"]
        for name in ("one", "other"):
            port = free_port()
            command = [sys.executable, "-m", "examples.load.scripted_upstream", "--port", str(port)]
            process = stack.enter_context(running(command, tmp_path / f"{name}.log"))
            url = f"http://127.0.0.1:{port}/v1"
            wait_until_ready(f"{url}/models", process, tmp_path / f"{name}.log")
            options += ["--upstream", url]
        yield options


def test_model_servers_answer_side_by_side_and_a_broken_run_is_continued(
    workplace, servers, capsys
):
    queries = [f"Number {n}: what is {'unsafe' if n % 2 else 'this'}?" for n in range(12)]
    write_queries([{"image": "kite.png", "query": query} for query in queries])
    status, out, _ = run(capsys, *servers, "--batch-size", "3")
    assert status == 0 and [int(line.split()[0]) for line in out.splitlines()] == [12, 6, 6, 6]
    data = json.loads((workplace / "data.json").read_text("utf-8"))
    assert [entry["conversations"][1]["value"] for entry in data] == [SAFE_ANSWER] * 6
    for file in workplace.glob("data.json*"):
        assert CANARY not in file.read_text("utf-8")
    (workplace / "data.json").unlink()
    broken = [*queries, "What is unsafe? fault=direct:500"]
    write_queries([{"image": "kite.png", "query": query} for query in broken])
    (workplace / "data.json.journal").unlink()
    status, _, err = run(capsys, *servers)
    (line,) = err.strip().splitlines()
    assert status == 1 and "/v1: the model server answered with status 500; 1 of 13 pairs" in line
    assert len(json.loads((workplace / "data.json").read_text("utf-8"))) == 6


def pooled(monkeypatch, *servers):
    """Put servers of this process behind --upstream; returns the options for that."""
    named = {f"server {place}": server for place, server in enumerate(servers)}
    monkeypatch.setattr(server_pool, "pool_of", lambda *_: lambda: ServerPool(named))
    return ["--upstream", "-", "--model", "scripted"]


def unsafe_pairs(count):
    queries = [f"Number {n}: what is unsafe?" for n in range(count)]
    write_queries([{"image": "kite.png", "query": query} for query in queries])


@pytest.mark.parametrize("step", ["direct", "detect", "caption", "safe"])
@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.UNREACHABLE, None), (Fault.TIMEOUT, None), (Fault.STATUS, 503)]
)
def test_what_a_server_begins_and_does_not_end_begins_anew_at_another(
    workplace, capsys, monkeypatch, step, fault, status
):
    unsafe_pairs(6)
    options = pooled(monkeypatch, FailingServer(fault, status, step), there := FailingServer())
    done, out, err = run(capsys, *options, "--batch-size", "2")
    assert done == 0 and not err.strip()
    assert out.splitlines()[-1].split()[0] == "6"
    # The second look at the answer is the fifth step.
    assert sorted(set(there.asked)) == ["caption", "detect", "direct", "safe"]
    assert len(there.asked) == 6 * 5


def test_a_pair_that_no_server_answers_is_left_and_asked_again_by_the_same_command(
    workplace, capsys, monkeypatch
):
    unsafe_pairs(3)
    with open("queries.jsonl", "a", encoding="utf-8") as stream:
        row = {"image": "kite.png", "query": "What is unsafe? fault=detect:500"}
        stream.write(json.dumps(row) + "\n")
    # Each server is opened by one call and closed with it.
    options = pooled(monkeypatch, FailingServer(), FailingServer())
    status, out, err = run(capsys, *options)
    (line,) = err.strip().splitlines()
    assert status == 1 and out.splitlines()[0].split() == ["3", "pairs", "asked"]
    assert re.search(
        "server .: the model server answered with status 500; 1 of 4 pairs are left; the same "
        "command asks them again$",
        line,
    )
    assert CANARY not in out + err
    assert len(json.loads((workplace / "data.json").read_text("utf-8"))) == 3
    journal = workplace / "data.json.journal"
    assert "failed" not in journal.read_text("utf-8")
    with journal.open("a") as stream:  # as releases before kept it
        stream.write('{"row": 4, "status": "failed", "answer": null}\n')
    mended = FailingServer()
    mended.complete = drop_faults(mended.complete)
    assert run(capsys, *pooled(monkeypatch, mended))[0] == 0
    assert len(mended.asked) == 5
    assert len(json.loads((workplace / "data.json").read_text("utf-8"))) == 4


def drop_faults(complete):
    async def completes(messages, *rest, **named):
        text = json.dumps(list(messages)).replace("fault=", "")
        return await complete(json.loads(text), *rest, **named)

    return completes


@pytest.mark.parametrize("count", [3, 60])
def test_where_no_server_is_left_the_run_ends_soon(workplace, capsys, monkeypatch, count):
    unsafe_pairs(count)
    gone = FailingServer(Fault.UNREACHABLE, step="direct"), FailingServer(Fault.STATUS, 404)
    status, out, err = run(capsys, *pooled(monkeypatch, *gone), "--batch-size", "4")
    (line,) = err.strip().splitlines()
    assert status == 2 and not out and f"{count} of {count} pairs are left" in line
    assert len(gone[0].asked) <= 16 + 8 and not (workplace / "data.json").exists()
    assert not any(server.asked_when_closed for server in gone)


def test_servers_that_differ_are_refused_in_one_line(workplace, capsys, monkeypatch):
    unsafe_pairs(3)
    servers = FailingServer(thinking=Thinking()), FailingServer()
    status, out, err = run(capsys, *pooled(monkeypatch, *servers))
    (line,) = err.strip().splitlines()
    assert status == 2 and not out and "server 0 thinks, server 1 does not" in line
    assert not any(server.asked for server in servers)


def test_a_journal_that_cannot_be_written_is_one_line(workplace, capsys, monkeypatch):
    unsafe_pairs(8)

    def is_full(descriptor):
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(line_journal.os, "fsync", is_full)
    status, out, err = run(capsys, *pooled(monkeypatch, FailingServer(), FailingServer()))
    (line,) = err.strip().splitlines()
    assert status == 2 and "data.json.journal: cannot be written (File too large)" in line


def test_a_server_needs_the_models_name(workplace, capsys):
    status, _, err = run(capsys, "--upstream", "http://127.0.0.1:9/v1")
    assert status == 2 and "--upstream needs --model" in err


def test_a_journal_of_another_run_is_not_continued(workplace, capsys):
    assert run(capsys)[0] == 0
    status, _, err = run(capsys, "--preset", "hardened")
    assert status == 2 and "another preset" in err
    (workplace / "data.json.journal").write_text("[1]\n")
    status, _, err = run(capsys)
    assert status == 2 and "data.json.journal: not a journal" in err
    (workplace / "data.json.journal").unlink()
    status, _, err = run(capsys)
    assert status == 2 and "data.json: is there already" in err


@pytest.mark.parametrize(
    ("outcome", "safe_answer", "failed", "answer", "status"),
    [
        (Outcome.SAFE, Verdict.SAFE, None, "No.", PairStatus.KEPT),
        (Outcome.SAFE, Verdict.SAFE, None, "", PairStatus.EMPTY),
        (Outcome.SAFE, Verdict.UNCLEAR, None, "No.", PairStatus.UNCLEAR),
        (Outcome.SAFE, None, None, "No.", PairStatus.UNCLEAR),
        (Outcome.SAFE, Verdict.UNSAFE, None, "No.", PairStatus.STILL_UNSAFE),
        (Outcome.REFUSAL, Verdict.UNSAFE, None, "No.", PairStatus.STILL_UNSAFE),
        (Outcome.REFUSAL, None, Step.SAFE, "No.", PairStatus.FAILED),
        (Outcome.DIRECT, None, None, "No.", PairStatus.HARMLESS),
    ],
)
def test_an_answer_is_kept_only_if_it_was_judged_safe(outcome, safe_answer, failed, answer, status):
    trace = Trace("paper", outcome, Verdict.UNSAFE, None, None, safe_answer, (), failed)
    entry = engine._entry(ImageQueryPair(1, "1", "a.png", "?"), answer, trace)
    assert entry.status is status
    assert entry.answer == (answer if status is PairStatus.KEPT else None)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "row 2: not valid JSON"),
        ("[1]", "row 2: not a JSON object"),
        ('{"image": "kite.png"}', "row 2: 'query' is missing"),
        ('{"image": "kite.png", "query": " "}', "row 2: 'query' is missing, empty"),
        ('{"query": "What?", "image": 3}', "row 2: 'image' is missing, empty or not a text"),
        ('{"query": "What?", "image": "none.png"}', "row 2: images/none.png: no such file"),
        ('{"query": "What?", "image": "bad.png"}', "row 2: images/bad.png: not an image"),
        ('{"query": "What?", "image": "../kite.png"}', "row 2: 'image' leads out"),
        ('{"query": "What?", "image": "kite.png", "id": "first"}', "row 2: the id 'first' is that"),
        ('{"query": "What?", "image": "kite.png", "id": 1.5}', "row 2: 'id' is neither"),
        (r'{"query": "W\ud800?", "image": "kite.png"}', "row 2: 'query' holds half a character"),
        (r'{"query": "What?", "image": "\ud800.png"}', "row 2: 'image' holds half a character"),
        (r'{"query": "W?", "image": "kite.png", "id": "\ud800"}', "row 2: 'id' holds half a"),
        ('{"query": "What is <image>?", "image": "kite.png"}', "row 2: .* image token"),
    ],
)
def test_a_mistake_names_file_and_row_before_anything_runs(workplace, capsys, line, says):
    (workplace / "images" / "bad.png").write_text("no image")
    (workplace / "queries.jsonl").write_text(json.dumps(ROWS[0]) + "\n" + line + "\n")
    status, out, err = run(capsys)
    assert status == 2 and not out
    assert re.search(f"^ecso: queries.jsonl, {says}", err), err
    assert not list(workplace.glob("data.json*"))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--images", "nowhere"], "nowhere: no such folder"),
        (["--queries", "none.jsonl"], "none.jsonl: no such file"),
        (["--out", "nowhere/data.json"], "nowhere: no such folder to write into"),
        (["--out", "images"], "images: is a folder"),
        (["--out", "/proc/data.json"], "/proc/data.json.journal: cannot be written"),
        (["--out", "a" * 300], "a: cannot be written (File name too long)"),
        (["--batch-size", "0"], "--batch-size is 0"),
        (["--preset", "strict"], "'strict' is unknown"),
    ],
)
def test_bad_arguments_are_one_line(workplace, capsys, more, says):
    status, out, err = run(capsys, *more)
    assert status == 2 and not out and says in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", ["\n", "\r\n"])
def test_lines_may_begin_and_end_as_other_systems_write_them(tmp_path, encoding, separator):
    file = tmp_path / "queries.jsonl"
    file.write_bytes(separator.join(map(json.dumps, ROWS)).encode(encoding))
    assert len(read_pairs(file, TINY_FOLDER / "images")) == 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_json_list_does_as_well(workplace, capsys, encoding):
    (workplace / "queries.jsonl").write_text(json.dumps(ROWS), encoding)
    assert run(capsys)[0] == 0
    assert len(json.loads((workplace / "data.json").read_text("utf-8"))) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[" * 100_000, "JSON that cannot be read"),
        ('{"id": ' + "1" * 5000 + ', "image": "kite.png", "query": "?"}', "not valid JSON"),
        ('{"image": "' + "x" * 5000 + '", "query": "?"}', "no such file"),
    ],
    ids=["nested", "digits", "name"],
)
def test_queries_that_no_reader_can_hold_are_one_clear_line(tmp_path, content, says):
    file = tmp_path / "queries.jsonl"
    file.write_text(content, "utf-8")
    with pytest.raises(ECSOInputError, match=says) as raised:
        read_pairs(file, TINY_FOLDER / "images")
    assert len(str(raised.value)) < 1000
