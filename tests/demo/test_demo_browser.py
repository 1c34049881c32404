"""The demo in headless Chromium, as a visitor meets it."""

import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect, sync_playwright

from modeling_ecso import ECSOConfig
from modeling_ecso.demo.demo_request import PROMPTS
from modeling_ecso.loading.models import TINY_FOLDER
from tests.support.browser import chromium
from tests.support.demo_process import NOBODY_LISTENS, SECRET, WORD_SECONDS
from tests.support.scripts import run_module


pytestmark = pytest.mark.slow


IMAGES = TINY_FOLDER / "images"
PROJECT = Path(__file__).parents[2]
expect.set_options(timeout=30_000)
# What the tiny model says about how to make a bomb, where nobody stops it.
DRAFT = "step one"
CAPTION = "The picture shows"
EXAMPLE = {"image": 0, "word": 1, "harmless query": 3, "kite": 4}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The address of the running demo, and its file of votes."""
    folder = tmp_path_factory.mktemp("demo")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    votes, log = folder / "votes.jsonl", folder / "log"
    command = [sys.executable, "-m", "tests.support.demo_process", str(port), votes]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=PROJECT, stdout=output, stderr=output)
    while "The demo is at" not in log.read_text("utf-8"):
        assert process.poll() is None, log.read_text("utf-8")
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/", votes
    process.terminate()
    process.wait()
    assert SECRET not in log.read_text("utf-8")
    assert "Traceback" not in log.read_text("utf-8")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])


class Visit:
    """A page, everything that was sent to it, and everything it complained about."""

    def __init__(self, browser, address, **context):
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.requested, self.complaints, self._finished = [], [], []
        self.page.on("request", lambda request: self.requested.append(request.url))
        # Only these have a body: the page keeps one stream open to be told that it is there.
        self.page.on("requestfinished", lambda request: self._finished.append(request))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type == "error" else None,
        )
        self.page.goto(address)
        expect(self.page.locator("#answer-button")).to_be_enabled()

    def status(self, place):
        return self.page.locator(f"#{place} .ecso-status")

    def statuses(self):
        steps = ("direct", "detect", "caption", "safe")
        return [self.status(f"ecso-step-{step}").inner_text() for step in steps]

    def take(self, example):
        self.page.click(f"#example-{EXAMPLE[example]}")
        names = {"image": "bomb", "word": "bomb-word", "kite": "kite"}
        name = names.get(example, "bomb")
        expect(self.page.locator("#image img")).to_have_attribute("src", re.compile(name + r"\."))

    def answer(self, status):
        self.page.click("#answer-button")
        self.awaits(status)

    def clear(self):
        """Empty the form, and wait for it: what is put in before the server answers is lost."""
        self.page.click("#clear")
        expect(self.page.locator("#query textarea")).to_have_value("")
        expect(self.page.locator("#image img")).to_have_count(0)

    def awaits(self, status):
        expect(self.status("answer")).to_have_text(status)

    def choose(self, model):
        self.page.click("#model input")
        self.page.get_by_role("option", name=model).click()

    def all_that_was_sent(self):
        """Return every body: the page itself, the streams of events, files."""
        self.page.wait_for_timeout(500)  # for the ends of the streams
        bodies = [self.page.content()]
        for request in self._finished:
            response = request.response()
            if "image" not in response.headers.get("content-type", ""):
                bodies.append(response.body().decode("utf-8", "replace"))
        return "\n".join(bodies)


@pytest.fixture
def visit(browser, demo):
    visits = []

    def begin(**context):
        visits.append(Visit(browser, demo[0], **context))
        return visits[-1]

    yield begin
    for one in visits:
        assert not one.complaints
        local = (demo[0], "data:", "blob:")
        assert not [url for url in one.requested if not url.startswith(local)]
        one.context.close()


def test_an_upload_fills_all_four_panels_and_no_draft_or_caption_reaches_the_browser(visit):
    one = visit()
    one.clear()
    one.page.locator("#image input[type=file]").set_input_files(IMAGES / "bomb.png")
    expect(one.page.locator("#image img")).to_be_visible()
    one.page.fill("#query textarea", "How do I build this?")
    one.answer("protected")
    assert one.statuses() == ["withheld", "harmful", "described", "the answer"]
    expect(one.page.locator("#ecso-step-detect [role=meter]")).to_have_attribute(
        "aria-valuenow", re.compile(r"^(1\.0|0\.[5-9])")
    )
    expect(one.page.locator("#ecso-step-caption")).to_contain_text("kept back")
    sent = one.all_that_was_sent()
    assert "I can not help with that" in sent  # so the streams were read
    assert DRAFT not in sent and CAPTION not in sent


def test_harm_in_a_written_word_is_caught_and_a_harmless_query_is_not(visit):
    one = visit()
    one.take("word")
    one.answer("protected")
    one.take("harmless query")
    expect(one.status("answer")).to_have_text("no answer yet")
    one.answer("answered")
    assert one.statuses()[1] == "harmless"


def test_a_benign_pair_skips_the_last_two_steps(visit):
    one = visit()
    one.take("kite")
    one.answer("answered")
    assert one.statuses() == ["released", "harmless", "not needed", "not needed"]
    expect(one.page.locator("#answer .ecso-answer-text")).to_contain_text("kite")


def test_the_switch_shows_draft_and_caption_blurred_until_it_is_revealed(visit):
    one = visit()
    one.page.check("#show-withheld input")
    one.answer("protected")
    expect(one.page.locator("#ecso-step-caption .ecso-text")).to_contain_text(CAPTION)
    expect(one.page.locator("#ecso-step-caption .ecso-text")).to_have_css("filter", "blur(6px)")
    draft = one.page.locator("#ecso-step-direct .ecso-text")
    expect(draft).to_contain_text(DRAFT)
    expect(draft).to_have_css("filter", "blur(6px)")
    one.page.check("#ecso-step-direct .ecso-blurred input")
    expect(draft).to_have_css("filter", "none")
    expect(one.page.locator("#answer")).not_to_contain_text(DRAFT)


def test_step_by_step_in_order_and_with_nothing_left_over(visit):
    one = visit()
    for step, following, status in (
        ("direct", "detect", "kept back"),
        ("detect", "caption", "harmful"),
        ("caption", "safe", "described"),
    ):
        assert one.page.locator(f"#run-{following}").is_disabled()
        one.page.click(f"#run-{step}")
        expect(one.page.locator(f"#run-{following}")).to_be_enabled()
        expect(one.status(f"ecso-step-{step}")).to_have_text(status)
        expect(one.status("answer")).to_have_text("not yet")
    one.page.click("#run-safe")
    one.awaits("protected")
    assert DRAFT not in one.all_that_was_sent()
    one.take("kite")
    one.page.click("#run-direct")
    one.page.click("#run-detect")
    one.awaits("answered")
    assert one.statuses()[2:] == ["not needed", "not needed"]
    assert one.page.locator("#run-caption").is_disabled()


def test_a_query_that_changes_between_the_steps_begins_anew(visit):
    one = visit()
    one.page.click("#run-direct")
    expect(one.page.locator("#run-detect")).to_be_enabled()
    one.page.fill("#query textarea", "What is this?")
    one.page.click("#run-detect")
    expect(one.page.locator("#sentence")).to_contain_text("Begin again with step 1")
    assert one.statuses() == ["waiting"] * 4


def test_a_vote_is_a_line_in_the_file(visit, demo):
    one, file = visit(), demo[1]
    assert one.page.locator("#vote-up").is_disabled()
    one.page.check("#show-withheld input")
    one.answer("protected")
    one.page.click("#vote-flag")
    expect(one.page.locator("#sentence")).to_contain_text("stored")
    expect(one.page.locator("#vote-up")).to_be_disabled()
    line = json.loads(file.read_text("utf-8").splitlines()[-1])
    assert (line["vote"], line["model"], line["image"]) == ("flag", "tiny", None)
    assert line["trace"]["draft_withheld"] is True
    assert DRAFT not in json.dumps(line) and CAPTION not in json.dumps(line)
    one.page.check("#keeps-image input")
    one.page.click("#again")
    expect(one.page.locator("#vote-down")).to_be_enabled()
    one.page.click("#vote-down")
    expect(one.page.locator("#sentence")).to_contain_text("stored")
    line = json.loads(file.read_text("utf-8").splitlines()[-1])
    assert line["vote"] == "down" and (file.parent / line["image"]).is_file()


def test_what_cannot_be_used_is_a_sentence(visit, tmp_path):
    one = visit()
    one.page.fill("#query textarea", " ")
    one.answer("no answer")
    expect(one.page.locator("#answer")).to_contain_text("There is no query yet;")
    one.take("kite")
    one.page.get_by_text("Settings: sampling").click()
    one.page.fill("#detect_prompt textarea", "Is it {bad}?")
    one.answer("no answer")
    expect(one.page.locator("#answer")).to_contain_text("The setting detect_prompt must hold")
    one.page.get_by_label("hardened").check()
    expect(one.page.locator("#detect_prompt textarea")).to_have_value(re.compile("<<<QUERY>>>"))
    one.answer("answered")
    (tmp_path / "broken.png").write_text("no image", "utf-8")
    one.clear()
    one.page.locator("#image input[type=file]").set_input_files(tmp_path / "broken.png")
    one.page.fill("#query textarea", "What is this?")
    expect(one.page.locator("#image img")).to_have_attribute("src", re.compile("broken"))
    one.answer("no answer")
    expect(one.page.locator("#answer")).to_contain_text("The image: not an image")


def test_a_broken_model_is_a_sentence(visit):
    one = visit()
    one.choose("broken")
    one.answer("no answer")
    expect(one.page.locator("#answer")).to_contain_text("could not answer (RuntimeError)")
    assert SECRET not in one.all_that_was_sent()


def test_models_of_servers_are_listed_asked_and_reloaded(visit):
    one = visit()
    down = f"No models from 127.0.0.1:{NOBODY_LISTENS}"
    expect(one.page.locator("#sentence")).to_contain_text(down)
    one.choose("scripted at")
    one.page.fill("#query textarea", "What is unsafe here?")
    one.answer("protected")
    assert one.statuses() == ["withheld", "harmful", "described", "the answer"]
    assert "canary" not in one.all_that_was_sent()
    one.page.fill("#query textarea", "What? fault=direct:500")
    one.answer("no answer")
    expect(one.page.locator("#answer")).to_contain_text("answered with status 500")
    one.page.click("#reload")
    expect(one.page.locator("#sentence")).to_contain_text(down)


def test_words_are_seen_within_a_second_of_the_checkpoint_at_which_they_were_judged(visit):
    one = visit()
    one.choose("scripted at")
    one.page.get_by_text("Settings: sampling").click()
    one.page.check("#flows input")
    one.page.fill("#query textarea", "unsafe words=400 after=300")
    one.page.click("#answer-button")
    expect(one.page.locator("#answer")).to_contain_text("step 1 of 4")
    begun = time.monotonic()
    expect(one.page.locator("#answer")).to_contain_text("kite kite")
    # The first checkpoint is at 32 words.
    assert time.monotonic() - begun < 32 * WORD_SECONDS + 1
    expect(one.page.locator("#answer")).to_contain_text("step 1 of 4")
    one.awaits("protected")
    expect(one.page.locator("#answer")).not_to_contain_text("kite kite")
    assert "canary" not in one.all_that_was_sent()


def test_several_visitors_see_their_place_in_the_queue(visit):
    visitors = [visit() for _ in range(3)]
    for one in visitors:
        one.choose("slow")
    for one in visitors:
        one.page.click("#answer-button")
    expect(visitors[2].page.locator("#queue")).to_contain_text("queue: 2/2")
    for one in visitors:
        one.awaits("no answer")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(visit, scheme):
    one = visit(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    one.answer("protected")
    assert one.page.evaluate("document.documentElement.scrollWidth") <= 390
    colour = {"light": "rgb(255, 255, 255)", "dark": "rgb(26, 32, 43)"}[scheme]
    expect(one.page.locator("#ecso-step-safe")).to_have_css("background-color", colour)


def test_the_limits_hold_for_programs_too(demo):
    form = ["tiny", None, "x" * 20_000, False, False, 0, 1, 64, "paper"]
    prompts = [getattr(ECSOConfig.from_preset("paper"), name) for name in PROMPTS]
    # The first thing on the page that can be clicked is the answer button.
    body = {"data": [*form, *prompts], "fn_index": 0, "session_hash": "program"}
    post = Request(
        demo[0] + "gradio_api/queue/join",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    started = time.monotonic()
    urlopen(post).read()
    said = urlopen(demo[0] + "gradio_api/queue/data?session_hash=program").read().decode()
    assert "The query has 20000 characters; shorten it to 8000 at most." in said
    assert time.monotonic() - started < 10


def test_prompts_are_not_kept_in_the_browser_and_nothing_is_monitored(visit, demo):
    one = visit()
    one.page.fill("#query textarea", "What is this private thing?")
    one.answer("answered")
    kept = one.page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert "private" not in kept
    with pytest.raises(OSError, match="HTTP Error"):
        urlopen(demo[0] + "monitoring")


def test_the_readmes_image_can_be_taken_anew(demo, browser, tmp_path):
    out = tmp_path / "demo.png"
    run_module("demo.screenshot", "--url", demo[0], "--out", out)
    assert 20_000 < out.stat().st_size < 400_000
    assert (PROJECT / "docs" / "demo.png").stat().st_size < 400_000
