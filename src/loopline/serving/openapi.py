"""The OpenAPI document of what is served: from each signature, with the input example."""

from __future__ import annotations

import importlib.metadata
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopline.models.schema import Schema
    from loopline.serving.model import ServedModel
    from loopline.serving.service import Service

__all__ = ["document"]

_TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
    "array": {"type": "array"},
    "object": {"type": "object"},
    "map": {"type": "object"},
}
_ERRORS = {
    "400": "The data do not fit the model; the message names field and row.",
    "413": "The body is too long.",
    "415": "The body is of a type that is not read here.",
    "429": "Too many requests wait; Retry-After says when to ask again.",
    "504": "The model took too long.",
}


def document(service: Service) -> dict[str, Any]:
    """Describe all paths of a service."""
    paths: dict[str, Any] = {}
    for name, each in service.deployments.items():
        if each.engine is None:
            continue
        described = {"post": _operation(each.engine.model)}
        paths[f"/models/{name}/invocations"] = described
        if len(service.deployments) == 1:
            paths = {"/invocations": described, **paths}
    for path, text in (
        ("/ping", "Whether the process answers."),
        ("/health", "What is served, in which version, and what is wrong."),
        ("/version", "The version of Loopline."),
        ("/metrics", "Counts and latencies, for Prometheus."),
    ):
        paths[path] = {"get": {"summary": text, "responses": {"200": {"description": text}}}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Loopline: {', '.join(service.deployments)}",
            "version": importlib.metadata.version("loopline"),
        },
        "paths": paths,
    }


def _operation(model: ServedModel) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"oneOf": _shapes(model.inputs)}}
    if model.example:
        content["example"] = json.loads(model.example)
    answer = {
        "type": "object",
        "properties": {"predictions": {"description": "One for each row."}},
        "required": ["predictions"],
    }
    return {
        "summary": f"Ask {model}",
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "200": {
                "description": "What the model gives.",
                "headers": {
                    "X-Loopline-Model-Version": {"schema": {"type": "string"}},
                    "X-Loopline-Prediction-Id": {"schema": {"type": "string"}},
                },
                "content": {"application/json": {"schema": answer}},
            },
            **{status: {"description": text} for status, text in _ERRORS.items()},
        },
    }


def _shapes(inputs: Schema | None) -> list[dict[str, Any]]:
    """Describe the ways in which the data can be sent."""
    anything: dict[str, Any] = {}
    if inputs is None or not inputs.columns:
        return [_under("inputs", anything), _under("instances", {"type": "array"})]
    fields = {str(c.name): _TYPES.get(c.type, {}) for c in inputs.columns if c.name is not None}
    required = [str(c.name) for c in inputs.columns if c.required and c.name is not None]
    record = {"type": "object", "properties": fields, "required": required}
    split = {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "index": {"type": "array"},
            "data": {"type": "array", "items": {"type": "array"}},
        },
        "required": ["columns", "data"],
    }
    lists = {name: {"type": "array", "items": kind} for name, kind in fields.items()}
    columns = {"type": "object", "properties": lists, "required": required}
    return [
        _under("dataframe_records", {"type": "array", "items": record}),
        _under("dataframe_split", split),
        _under("instances", {"type": "array", "items": record}),
        _under("inputs", {"oneOf": [columns, record, {"type": "array", "items": record}]}),
    ]


def _under(name: str, content: dict[str, Any]) -> dict[str, Any]:
    params = {"type": "object"}
    return {
        "type": "object",
        "properties": {name: content, "params": params},
        "required": [name],
    }
