"""The gateway's routes as an OpenAPI 3.1 document, served at `/openapi.json`.

To describe a new route, add it to `_PATHS`; a test compares these with the application's.
"""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .. import __version__
from .api_shapes import (
    SentChunk,
    SentCompletion,
    SentError,
    SentHealth,
    SentModel,
    SentModels,
    SentResponse,
)
from .errors import statuses
from .request_body import RequestBody
from .responses_body import ResponsesBody


_SHAPES: tuple[type[BaseModel], ...] = (
    RequestBody,
    SentCompletion,
    SentChunk,
    SentError,
    SentModel,
    SentModels,
    SentHealth,
    ResponsesBody,
    SentResponse,
)
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_NEUTRAL = (
    "A field that is null is as good as left out. Fields that are not listed are taken where they "
    "ask for nothing or for what happens anyway; any other is an error with the code "
    "`invalid_value` that names it."
)
_TEXT = {"schema": {"type": "string"}}


def openapi_document() -> dict[str, Any]:
    """Return the document, ready for JSON."""
    _, shapes = models_json_schema(
        [(shape, "validation") for shape in _SHAPES], ref_template="#/components/schemas/{model}"
    )
    schemas = shapes["$defs"]
    for schema in schemas.values():
        # What asks for nothing is taken, listed or not; a schema has no words for that.
        schema.pop("additionalProperties", None)
        for field in schema.get("properties", {}).values():
            _say_bounds(field)
    schemas["ResponsesBody"]["description"] = _NEUTRAL
    _describe_request(schemas["RequestBody"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ECSO gateway",
            "version": __version__,
            "summary": "Protected answers in the shape of the OpenAI chat completions API.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _say_bounds(field: dict[str, Any]) -> None:
    """Put bounds of what may be null into JSON schema's words; the library leaves its own."""
    for each in field.get("anyOf", ()):
        for own, word in _BOUNDS.items():
            if own in each:
                each[word] = each.pop(own)


def _describe_request(schema: dict[str, Any]) -> None:
    schema["description"] = _NEUTRAL
    stop = schema["properties"]["stop"]
    stop["anyOf"] = [{"type": stop.pop("type"), **{k: stop.pop(k) for k in ("items", "maxItems")}}]
    stop["anyOf"].append({"type": "string"})


def _paths() -> dict[str, Any]:
    errors = {str(status): _response(f"{status}: no answer", SentError) for status in statuses()}
    health = {
        "200": _response("A request would be answered.", SentHealth),
        "503": _response("It would not.", SentHealth),
    }
    alive = {"200": _response("The gateway runs.", SentHealth)}
    name = {"name": "name", "in": "path", "required": True, **_TEXT}
    key = {status: errors[status] for status in ("401", "500")}
    completion = {
        "description": "Every choice is judged. With `stream`, server-sent events.",
        "content": {
            **_json(SentCompletion),
            "text/event-stream": {"schema": _reference(SentChunk)},
        },
    }
    response = {
        "description": "The answer, judged. With `stream`, the events of the responses API.",
        "content": {**_json(SentResponse), "text/event-stream": _TEXT},
    }
    return {
        "/v1/chat/completions": _post(
            "createChatCompletion",
            "Answer a conversation, protected.",
            RequestBody,
            {"200": completion, **errors},
        ),
        "/v1/responses": _post(
            "createResponse",
            "The same in the words of the responses API; nothing is kept.",
            ResponsesBody,
            {"200": response, **errors},
        ),
        "/v1/models": _get("listModels", "The one model there is.", SentModels, key),
        "/v1/models/{name}": {
            "parameters": [name],
            **_get("showModel", "The same, by its name.", SentModel, {**key, "404": errors["404"]}),
        },
        "/health": {"get": _operation("showReady", "Whether a request is answered.", health)},
        "/health/live": {"get": _operation("showAlive", "Whether the gateway runs.", alive)},
        "/metrics": {
            "get": {
                **_operation(
                    "showMetrics",
                    "All counters, for Prometheus.",
                    {"200": {"description": "Counters.", "content": {"text/plain": _TEXT}}, **key},
                ),
                **_secured(),
            }
        },
        "/openapi.json": {
            "get": {
                **_operation(
                    "showOpenapi",
                    "This document.",
                    {
                        "200": {
                            "description": "It.",
                            "content": {"application/json": {"schema": {"type": "object"}}},
                        },
                        **key,
                    },
                ),
                **_secured(),
            }
        },
    }


def _post(
    name: str, summary: str, body: type[BaseModel], responses: dict[str, Any]
) -> dict[str, Any]:
    asked = {"requestBody": {"required": True, "content": _json(body)}}
    return {"post": {**_operation(name, summary, responses), **asked, **_secured()}}


def _get(name: str, summary: str, shape: type[BaseModel], errors: dict[str, Any]) -> dict[str, Any]:
    operation = _operation(name, summary, {"200": _response(summary, shape), **errors})
    return {"get": {**operation, **_secured()}}


def _operation(name: str, summary: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "responses": responses}


def _secured() -> dict[str, Any]:
    # Without keys everybody may ask, hence the second.
    return {"security": [{"key": []}, {}]}


def _response(description: str, shape: type[BaseModel]) -> dict[str, Any]:
    return {"description": description, "content": _json(shape)}


def _json(shape: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(shape)}}


def _reference(shape: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}
