"""The OpenAPI document, derived from the table of operations."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from loopline.records.operations import OPERATIONS, answer_type

__all__ = ["openapi_document"]

REFERENCE = "#/components/schemas/{name}"

#: JSON has no word for these; see ``loopline.server.wire``.
NUMBER = {
    "description": "A number; NaN and infinities are these strings in JSON.",
    "anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}],
}

ERROR = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {
        "error_code": {"type": "string", "description": "MLflow's error code."},
        "message": {"type": "string", "description": "What is wrong, and the next step."},
        "error": {"type": "string", "description": "Name of the Python class, if there is one."},
        "details": {"type": "object", "description": "Such as where in a filter the error is."},
    },
}

KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 200},
    "description": "The same key is carried out once and answered alike for a day.",
}


def openapi_document() -> dict[str, Any]:
    """Describe every operation: its request, its answer, its permission."""
    operations = list(OPERATIONS.items())
    requests, request_parts = _schemas([operation for _, operation in operations])
    answers, answer_parts = _schemas([answer_type(operation) for _, operation in operations])
    # A record may be both sent and answered; then the wider one (with the strings) is right.
    components = {**request_parts, **{k: _with_strings(v) for k, v in answer_parts.items()}}
    paths = {
        f"/api/v1/ops/{name}": {"post": _operation(name, operation, request, answer)}
        for (name, operation), request, answer in zip(operations, requests, answers, strict=True)
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Loopline",
            "version": "1",
            "description": "Every operation takes and answers JSON or msgpack.",
        },
        "paths": paths,
        "components": {"schemas": {**components, "Error": ERROR, "Number": NUMBER}},
    }


def _schemas(types: list[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    schemas, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    return list(schemas), components


def _operation(name: str, operation: type, request: Any, answer: Any) -> dict[str, Any]:  # noqa: ANN401
    doc = re.sub(r"\s+", " ", (operation.__doc__ or "").split("\n\n")[0]).strip()
    described: dict[str, Any] = {
        "operationId": name,
        "summary": doc,
        "x-permission": operation.permission,  # type: ignore[attr-defined]
        "requestBody": {"required": True, "content": _content(request)},
        "responses": {
            "200": {"description": "The answer.", "content": _content(answer)},
            "default": {
                "description": "An error.",
                "content": {
                    "application/json": {"schema": {"$ref": REFERENCE.format(name="Error")}}
                },
            },
        },
    }
    if operation.changes:  # type: ignore[attr-defined]
        described["parameters"] = [KEY]
    return described


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {kind: {"schema": schema} for kind in ("application/json", "application/msgpack")}


def _with_strings(schema: Any) -> Any:  # noqa: ANN401 - a schema is nested plain data
    """Let every number of an answer be one of the strings that JSON needs for NaN."""
    if isinstance(schema, dict):
        if schema.get("type") == "number":
            return {"$ref": REFERENCE.format(name="Number")}
        return {key: _with_strings(value) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_with_strings(item) for item in schema]
    return schema
