"""Votes of the demo: whole lines, no draft, no image unless asked."""

import json
import threading

import pytest
from PIL import Image

from modeling_ecso import ECSOConfig
from modeling_ecso.demo.demo_request import DemoRequest
from modeling_ecso.demo.demo_run import RunResult
from modeling_ecso.demo.votes import Vote, VoteFile
from modeling_ecso.events_ecso import Outcome, Step, StepRecord, Trace
from modeling_ecso.verdict_ecso import Verdict


TRACE = Trace(
    preset="paper",
    outcome=Outcome.SAFE,
    verdict=Verdict.UNSAFE,
    p_unsafe=0.9,
    caption="a thing",
    safe_answer_verdict=None,
    steps=(StepRecord(Step.DIRECT, 5, 12.0),),
    draft="the draft",
)
RESULT = RunResult("the answer", TRACE)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    Image.new("RGB", (8, 8), "red").save(path, exif=exif)
    return path


@pytest.fixture
def book(tmp_path):
    return VoteFile(tmp_path / "new folder" / "votes.jsonl")


def request(image=None, **changes):
    ecso_config = ECSOConfig.from_preset("paper", **changes)
    return DemoRequest("what is it?", image and str(image), ecso_config, 0.5, 0.9, 64)


def lines(book):
    return [json.loads(line) for line in book.file.read_text("utf-8").splitlines()]


def test_a_vote_is_a_line_with_the_trace_and_without_the_draft(book, image):
    book.append(Vote.DOWN, "tiny", request(image, keep_draft=True), RESULT, False)
    (line,) = lines(book)
    assert (line["vote"], line["model"], line["query"]) == ("down", "tiny", "what is it?")
    assert line["answer"] == "the answer"
    assert line["trace"]["verdict"] == "unsafe" and line["trace"]["caption"] == "a thing"
    assert line["generation"]["temperature"] == 0.5 and line["generation"]["edited_prompts"] == {}
    assert line["has_image"] is True and line["image"] is None
    assert "the draft" not in book.file.read_text("utf-8")
    stored = {path.name for path in book.file.parent.iterdir()}
    assert stored <= {"votes.jsonl", "votes.jsonl.lock"}


def test_the_image_is_stored_on_request_as_pixels_alone(book, image):
    book.append(Vote.UP, "tiny", request(image), RESULT, True)
    book.append(Vote.UP, "tiny", request(image), RESULT, True)
    first, second = lines(book)
    assert first["image"] == second["image"]
    stored = Image.open(book.file.parent / first["image"])
    assert stored.size == (8, 8) and not stored.getexif()


def test_edited_prompts_are_told(book):
    prompt = "{query} {response}?"
    book.append(Vote.FLAG, "tiny", request(detect_prompt=prompt), RESULT, False)
    assert lines(book)[0]["generation"]["edited_prompts"] == {"detect_prompt": prompt}


def test_votes_of_many_at_once_are_whole_lines(book):
    def vote_often():
        for _ in range(25):
            book.append(Vote.UP, "tiny", request(), RESULT, False)

    threads = [threading.Thread(target=vote_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(book)) == 100


def test_a_line_that_was_cut_short_spoils_no_other(book):
    book.append(Vote.UP, "tiny", request(), RESULT, False)
    with book.file.open("a", encoding="utf-8") as file:
        file.write('{"vote": "u')
    book.append(Vote.DOWN, "tiny", request(), RESULT, False)
    *_, last = book.file.read_text("utf-8").splitlines()
    assert json.loads(last)["vote"] == "down"
