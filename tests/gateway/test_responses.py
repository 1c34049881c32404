"""`/v1/responses`: the same protected answers, in the words of the responses API."""

import asyncio

import openai
import pytest
from jsonschema import Draft202012Validator

from examples.load.scripted_upstream import CANARY, CAPTION, GOOD_ANSWER, SAFE_ANSWER, Thinking
from modeling_ecso.gateway.openapi import openapi_document
from tests.support.gateway_client import IMAGE, Gateway, request_body


PICTURE = {"type": "input_image", "image_url": IMAGE}


def asked(text="What is this?", **fields):
    content = [PICTURE, {"type": "input_text", "text": text}]
    return {"model": "scripted", "input": [{"role": "user", "content": content}], **fields}


async def through_the_library(gateway, body, streams):
    """Return the response as openai's own client reads it, and the text it saw in a stream."""
    async with openai.AsyncOpenAI(
        base_url="http://gateway/v1", api_key="none", http_client=gateway.client(), max_retries=0
    ) as client:
        if not streams:
            return await client.responses.create(**body), None
        seen = ""
        async with client.responses.stream(**body) as events:
            async for event in events:
                if event.type == "response.output_text.delta":
                    seen += event.delta
            return await events.get_final_response(), seen


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    "text, answer, reason",
    [("What is this?", GOOD_ANSWER, None), ("What is unsafe here?", SAFE_ANSWER, "unsafe")],
)
def test_the_real_client_reads_protected_answers(text, answer, reason, streams):
    gateway = Gateway()
    response, seen = asyncio.run(through_the_library(gateway, asked(text), streams))
    assert response.output_text == answer and seen in (None, answer)
    assert response.status == "completed" and response.usage.total_tokens > 0
    assert response.ecso[0]["reason"] == reason
    assert CANARY not in response.model_dump_json() and CAPTION not in response.model_dump_json()
    schema = {"$ref": "#/components/schemas/SentResponse", **openapi_document()}
    Draft202012Validator(schema).validate(gateway.respond(asked(text)).json)


def test_it_is_asked_as_a_chat_completion_is():
    said, chat = Gateway(), Gateway()
    history = [
        {"role": "user", "content": "Hello."},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello!", "annotations": []}],
        },
    ]
    body = asked(temperature=0.5, max_output_tokens=9, instructions="Be brief.")
    body["input"] = [*history, *body["input"]]
    assert said.respond(body).status == 200
    same = request_body(temperature=0.5, max_tokens=9)
    same["messages"] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]},
        *same["messages"],
    ]
    assert chat.ask(same).status == 200
    assert said.calls == chat.calls


def test_a_text_alone_will_do():
    got = Gateway().respond({"model": "scripted", "input": "What is this?", "stream": False})
    assert got.status == 200 and got.json["output"][-1]["content"][0]["text"] == GOOD_ANSWER


def test_a_thought_is_an_item_of_its_own():
    for stream in (False, True):
        got = Gateway(thinking=Thinking()).respond(asked(stream=stream))
        response = got.events[-1]["response"] if stream else got.json
        assert [item["type"] for item in response["output"]] == ["reasoning", "message"]


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id: nothing is kept"),
        ({"store": True}, "store: nothing is kept"),
        ({"background": True}, "background: nothing is kept"),
        ({"conversation": "conv_1"}, "conversation: nothing is kept"),
        ({"tools": [{"type": "web_search"}]}, "tools: this field is not supported"),
        ({"input": [{"type": "function_call_output"}]}, "input: items of this type"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content"),
        ({"input": []}, "input: "),
        ({"input": [{"role": "assistant", "content": "Yes."}]}, "input: the last must be"),
        ({"max_output_tokens": 10**9}, "max_output_tokens: must be at most"),
        ({"model": "other"}, "model: this server has"),
        ({"stream_options": {"include_usage": True}}, "stream_options: this field is not"),
        ({"metadata": {"a": 1}}, "metadata.a: "),
        ({"metadata": {"a": "b" * 513}}, "metadata.a: "),
        ({"metadata": {str(each): "" for each in range(17)}}, "metadata: "),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(fields, named):
    got = Gateway().respond({**asked(), **fields})
    assert got.status in (400, 404) and got.json["error"]["message"].startswith(named)


def test_what_asks_for_nothing_is_taken():
    fields = {"store": False, "truncation": "disabled", "tools": [], "metadata": {"a": "b"}}
    fields |= {"text": {"format": {"type": "text"}}, "include": [], "previous_response_id": None}
    fields |= {"stream_options": {"include_obfuscation": False}}
    assert Gateway().respond({**asked(), **fields}).status == 200


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_not_for_the_model_comes_back_as_it_was_sent(stream):
    sent = {"metadata": {"trace": "kïte"}, "parallel_tool_calls": False}
    gateway = Gateway()
    for fields, told in ((sent, sent), ({}, {"metadata": {}, "parallel_tool_calls": True})):
        got = gateway.respond(asked(stream=stream, **fields))
        responses = [e["response"] for e in got.events if "response" in e] if stream else [got.json]
        assert all(told.items() <= response.items() for response in responses) and responses
    assert "kïte" not in str(gateway.calls)


def test_metadata_with_half_a_character_is_refused():
    got = Gateway().respond(asked(metadata={"a": "\ud800"}))
    assert got.status == 400 and got.json["error"]["message"].startswith("metadata.a: ")


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_cut_by_its_limit_is_incomplete(stream):
    body = asked(max_output_tokens=20, stream=stream)  # of which the thought takes most
    got = Gateway(thinking=Thinking()).respond(body)
    response = got.events[-1]["response"] if stream else got.json
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert GOOD_ANSWER.startswith(response["output"][-1]["content"][0]["text"])


def test_a_failure_is_an_error_with_its_status_and_later_an_event():
    got = Gateway().respond(asked("fault=direct:500"))
    assert got.status == 502 and got.json["ecso"]["reason"] == "model_server"
    slow = Gateway(timeout_s=0.3, keep_alive_s=0.05).respond(
        asked("fault=direct:timeout", stream=True)
    )
    assert slow.status == 200 and slow.events[-1]["type"] == "error"
    assert slow.events[-1]["code"] == "model_server_timeout"
