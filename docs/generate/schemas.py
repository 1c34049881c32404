"""The published schemas: the trace, the gateway's `ecso` field, and its routes as OpenAPI."""

import json
from typing import Any

from modeling_ecso.gateway.api_shapes import SentAnswerTrace, SentError, SentTrace, schema_of
from modeling_ecso.gateway.openapi import openapi_document


def schema_files() -> dict[str, str]:
    """Return the files by their names."""
    schemas = {
        "trace.json": schema_of(SentTrace),
        "answer-ecso.json": schema_of(SentAnswerTrace),
        "error.json": schema_of(SentError),
        "openapi.json": openapi_document(),
    }
    return {name: _text(schema) for name, schema in schemas.items()}


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
