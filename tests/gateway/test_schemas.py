"""The published schemas say what is really sent: nothing else, and nothing less."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from examples.load.scripted_upstream import CANARY, Thinking
from modeling_ecso import ECSOConfig, Protocol, StepReply
from modeling_ecso.gateway.app import ANSWER_ROUTES, ROUTES
from modeling_ecso.gateway.openapi import openapi_document
from tests.support.gateway_client import Gateway, request_body
from tests.support.tiny_random import image, make_inputs, user_turn


SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
# Each leads to another outcome: the model's own answer, a safe one, the refusal.
QUERIES = ["What is this?", "What is unsafe here?", "unsafe fault=safe:500"]


def check(schema, sent):
    """Hold what was sent against a schema that forbids what it does not list."""
    Draft202012Validator(_closed(schema)).validate(sent)


def _closed(schema):
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    return closed | ({"additionalProperties": False} if schema.get("type") == "object" else {})


def published(name):
    return json.loads((SCHEMAS / name).read_text("utf-8"))


def of_gateway(name):
    document = openapi_document()
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


@pytest.mark.parametrize("text", QUERIES)
@pytest.mark.parametrize("preset", ["paper", "hardened"])
def test_answers_and_streams_are_as_published(text, preset):
    got = Gateway(preset).ask(request_body(text, n=2))
    assert got.status == 200 and CANARY not in got.text
    check(of_gateway("SentCompletion"), got.json)
    for trace in got.json["ecso"]:
        check(published("answer-ecso.json"), trace)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    events = Gateway(preset).ask(request_body(text, **options)).events
    for event in events:
        check(of_gateway("SentChunk"), event)
    traces = [event["ecso"] for event in events if "ecso" in event]
    assert len(traces) == 1
    check(published("answer-ecso.json"), traces[0][0])


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_answers_with_a_thought_are_as_published(field):
    gateway = Gateway(thinking=Thinking(field))
    got = gateway.ask(request_body()).json
    assert got["choices"][0]["message"][field]
    check(of_gateway("SentCompletion"), got)
    for event in gateway.ask(request_body(stream=True)).events:
        check(of_gateway("SentChunk"), event)


def test_without_traces_there_is_the_reason_alone():
    got = Gateway(shows_trace=False).ask(request_body("What is unsafe here?")).json
    assert got["ecso"] == [{"reason": "unsafe"}]
    check(of_gateway("SentCompletion"), got)


def test_errors_are_as_published():
    gateway = Gateway(timeout_s=0.1)
    errors = [
        gateway.ask(b"{"),
        gateway.ask(request_body(tools=[{}])),
        gateway.ask(request_body("unsafe fault=direct:500")),
        Gateway(changes={"on_error": "raise"}).ask(request_body(QUERIES[2])),
        gateway.get("/v1/models/other"),
        gateway.get("/nowhere"),
    ]
    for got in errors:
        assert got.status >= 400
        check(published("error.json"), got.json)


def test_what_is_read_is_as_published():
    gateway = Gateway()
    for path, shape in (
        ("/v1/models", "SentModels"),
        ("/v1/models/scripted", "SentModel"),
        ("/health", "SentHealth"),
        ("/health/live", "SentHealth"),
    ):
        check(of_gateway(shape), gateway.get(path).json)


def test_the_document_is_valid_served_and_of_all_routes():
    from openapi_spec_validator import validate

    document = Gateway().get("/openapi.json").json
    validate(document)
    routes = {path.replace(":path", "") for path in ROUTES}
    assert set(document["paths"]) == {*routes, *ANSWER_ROUTES}


def test_requests_are_as_published():
    schema = of_gateway("RequestBody")
    body = request_body(n=2, stop="END", temperature=None, seed=7, max_tokens=9)
    Draft202012Validator(schema).validate(body)
    assert Gateway().ask(body).status == 200
    assert not Draft202012Validator(schema).is_valid(request_body(n=0))


@pytest.mark.parametrize("preset", ["reference", "paper", "hardened"])
def test_the_traces_of_generate_are_as_published(model, processor, preset):
    inputs = make_inputs(processor, [user_turn("What is this?")], [[image()]])
    kept = {"preset": preset, "keep_draft": True, "keep_caption": True}
    output = model.generate(
        **inputs, processor=processor, ecso=kept, max_new_tokens=4, return_dict_in_generate=True
    )
    for trace in output.ecso_traces:
        check(published("trace.json"), trace.to_dict())


@pytest.mark.parametrize(
    "replies", [["No."], ["Yes.", "a description", "an answer"], ["Yes.", None], [None]]
)
def test_every_outcome_has_a_trace_as_published(replies):
    config = ECSOConfig.from_preset("paper", keep_draft=True, keep_caption=True)
    protocol = Protocol(config, "What is this?", has_image=True)
    protocol.receive(StepReply(("a draft",), tokens=2, milliseconds=1.25))
    for reply in replies:
        protocol.fail() if reply is None else protocol.receive(StepReply((reply,)))
    trace = protocol.trace.to_dict()
    check(published("trace.json"), trace)
    assert ("draft" in trace) == (len(replies) > 1)
