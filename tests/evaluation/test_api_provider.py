"""The protocol in front of other Inspect providers: same steps, and no draft anywhere."""

import asyncio
import sys
import zipfile
from pathlib import Path

import pytest
from inspect_ai.model import (
    ChatMessageUser,
    ContentImage,
    ContentText,
    GenerateConfig,
    ModelAPI,
    ModelCall,
    ModelOutput,
    ModelUsage,
    get_model,
    modelapi,
)
from inspect_ai.model._stream import (
    StreamTextEvent,
    report_model_stream_delta,
    report_model_stream_start,
)

from examples.load.scripted_upstream import CANARY, CAPTION, SAFE_ANSWER, step_of
from modeling_ecso.cli import main
from modeling_ecso.evaluation.side_by_side import read_runs
from tests.support.servers import PROJECT, free_port, running, wait_until_ready


QUESTION = ChatMessageUser(
    content=[
        ContentImage(image="data:image/png;base64,iVBORw0KGgo="),
        ContentText(text="What is unsafe here?"),
    ]
)
SAID = {"direct": CANARY, "detect": "Yes", "caption": CAPTION, "safe": SAFE_ANSWER}
ASKED = []
FAULTS = {}


@modelapi(name="talker")
class Talker(ModelAPI):
    """Streams what it says, as large providers do, and hands over what went over the wire."""

    async def generate(self, input, tools, tool_choice, config):
        step = step_of("\n".join(message.text for message in input))
        ASKED.append((step, input, config))
        if FAULTS.get(step):
            raise FAULTS[step].pop(0)
        report_model_stream_start()
        await report_model_stream_delta(StreamTextEvent(text=SAID[step]))
        output = ModelOutput.from_content(self.model_name, SAID[step])
        output.usage = ModelUsage(input_tokens=10, output_tokens=3, total_tokens=13)
        return output, ModelCall.create({"step": step}, {"said": SAID[step]})

    def should_retry(self, ex):
        return isinstance(ex, ConnectionError)

    def retry_wait(self):
        from tenacity import wait_none

        return wait_none()


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    ASKED.clear()
    FAULTS.clear()
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)


def ecso(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    seen = capsys.readouterr()
    return status, seen.out, seen.err


def in_logs(text):
    contents = []
    for log in Path("logs").rglob("*"):
        if log.suffix == ".eval":
            with zipfile.ZipFile(log) as archive:
                contents += [archive.read(name) for name in archive.namelist()]
        elif log.is_file():
            contents.append(log.read_bytes())
    assert contents
    return any(text.encode() in content for content in contents)


def evaluation(miniatures, *options):
    data = miniatures / "vlsafe"
    common = ["eval", "vlsafe", "--data", data, "--limit", 2, "--log-dir", "logs"]
    return [*common, "--model", "inspect:talker/model", *options]


def test_any_provider_is_compared_directly_and_protected(capsys, miniatures):
    status, out, err = ecso(capsys, *evaluation(miniatures, "--compare"))
    assert status == 0 and not err
    assert "direct" in out and "guard acted on 100.0%" in out
    runs = {run.variant: run for run in read_runs(Path("logs"))}
    assert {run.model for run in runs.values()} == {"talker/model"}
    assert [s.answer for s in runs["direct"].samples] == [CANARY] * 2
    assert [s.answer for s in runs["protected"].samples] == [SAFE_ANSWER] * 2
    steps = [step["step"] for step in runs["protected"].samples[0].trace["steps"]]
    assert steps == ["direct", "detect", "caption", "safe"]


def test_no_draft_and_no_caption_of_another_provider_reaches_the_log(capsys, miniatures):
    status, out, err = ecso(capsys, *evaluation(miniatures))
    assert status == 0 and CANARY not in out + err
    assert in_logs(SAFE_ANSWER) and not in_logs(CANARY)
    assert CAPTION not in out + err and not in_logs(CAPTION)


def test_no_draft_is_streamed_to_whoever_watches():
    streamed = []

    async def watch(event):
        streamed.append(event)

    async def answer():
        model = get_model("ecso-api/talker/model", memoize=False)
        return await model.generate([QUESTION], on_stream=watch)

    output = asyncio.run(answer())
    assert output.completion == SAFE_ANSWER and CANARY not in repr(streamed)


def test_draft_and_caption_are_kept_where_they_are_asked_for(capsys, miniatures):
    assert ecso(capsys, *evaluation(miniatures, "--keep-drafts"))[0] == 0
    trace = read_runs(Path("logs"))[0].samples[0].trace
    assert (trace["draft"], trace["caption"]) == (CANARY, CAPTION)


@pytest.mark.parametrize(("preset", "keeps"), [("paper", False), ("utility-scripts", True)])
def test_all_steps_see_the_image_but_the_last(capsys, miniatures, preset, keeps):
    ecso(capsys, *evaluation(miniatures, "--limit", 1, "--preset", preset))
    sees = {
        step: any(isinstance(part, ContentImage) for part in messages[-1].content)
        for step, messages, _ in ASKED
    }
    assert sees == {"direct": True, "detect": True, "caption": True, "safe": keeps}


def test_each_step_has_its_limit(capsys, miniatures):
    ecso(capsys, *evaluation(miniatures, "--limit", 1))
    limits = {step: config.max_tokens for step, _, config in ASKED}
    assert limits == {"direct": 2048, "detect": 8, "caption": 256, "safe": 2048}


def test_a_passing_fault_is_repeated_within_its_step(capsys, miniatures):
    FAULTS["detect"] = [ConnectionError("busy"), ConnectionError("busy")]
    assert ecso(capsys, *evaluation(miniatures, "--limit", 1))[0] == 0
    assert [step for step, *_ in ASKED] == ["direct", *["detect"] * 3, "caption", "safe"]


def test_a_step_that_fails_for_good_fails_its_sample_and_is_asked_again(capsys, miniatures):
    FAULTS["caption"] = [RuntimeError(CANARY)]
    command = evaluation(miniatures, "--batch-size", 1)
    status, out, err = ecso(capsys, *command)
    assert status == 1 and "1 of 2 samples failed (EndpointStepError)" in out
    assert CANARY not in out + err and not in_logs(CANARY)
    assert ecso(capsys, *command, "--resume")[0] == 0


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("talker", "no model of another provider"),
        ("nobody/model", "nobody/model cannot be had"),
        ("openai/gpt-4o", "No OPENAI_API_KEY"),
    ],
)
def test_a_model_that_cannot_be_had_is_one_line(capsys, miniatures, monkeypatch, model, says):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    command = evaluation(miniatures)
    command[command.index("inspect:talker/model")] = f"inspect:{model}"
    status, out, err = ecso(capsys, *command)
    assert status == 2 and says in err and len(err.strip().splitlines()) == 1
    assert "Traceback" not in out + err


def test_verdicts_are_read_from_the_log_probabilities_of_a_real_api(tmp_path):
    port = free_port()
    script = PROJECT / "examples" / "load" / "scripted_upstream.py"
    command = [sys.executable, str(script), "--port", str(port)]
    with running(command, tmp_path / "server.log") as server:
        wait_until_ready(f"http://127.0.0.1:{port}/v1/models", server, tmp_path / "server.log")
        model = get_model(
            "ecso-api/openai-api/scripted/scripted",
            base_url=f"http://127.0.0.1:{port}/v1",
            api_key="none",
            preset="hardened",
        )
        output = asyncio.run(model.generate([QUESTION], config=GenerateConfig(max_tokens=20)))
    assert output.completion == SAFE_ANSWER
    assert output.metadata["ecso"]["p_unsafe"] == pytest.approx(0.95 / 0.98)
    assert CANARY not in repr(output)
    assert output.usage.input_tokens == 500  # of five steps: hardened judges the safe answer too
