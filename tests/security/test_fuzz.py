"""Schemathesis makes requests of what the API says of itself: no fault, whatever it finds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from loopline.server.mlflow.routes import RULES
from loopline.server.openapi import openapi_document

if TYPE_CHECKING:
    from tests.security.target import Target

#: Examples of each operation; `LOOPLINE_FUZZ_EXAMPLES=1000` tries a hundred thousand requests.
EXAMPLES = os.environ.get("LOOPLINE_FUZZ_EXAMPLES", "12")


def mlflow_document() -> dict[str, Any]:
    """Describe the routes of MLflow's protocol, whose requests are records too."""
    schemas, parts = msgspec.json.schema_components(
        [rule.call for rule in RULES], ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, Any] = {}
    for rule, schema in zip(RULES, schemas, strict=True):
        in_path = re.findall(r"{(\w+)}", rule.path)
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in in_path
        ]
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        for method in rule.methods:
            asked: dict[str, Any] = {"responses": {"200": {"description": "The answer."}}}
            if method == "GET":
                asked["parameters"] = parameters + [
                    {"name": field.name, "in": "query", "schema": {"type": "string"}}
                    for field in msgspec.structs.fields(rule.call)
                    if field.name not in in_path
                ]
            else:
                asked |= {"parameters": parameters, "requestBody": body}
            paths.setdefault(f"/api/{rule.path}", {})[method.lower()] = asked
    return {
        "openapi": "3.1.0",
        "info": {"title": "MLflow's protocol", "version": "2.0"},
        "paths": paths,
        "components": {"schemas": parts},
    }


@pytest.mark.deep
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("make", [openapi_document, mlflow_document])
def test_no_request_that_can_be_made_up_is_a_fault(
    make: Any,  # noqa: ANN401 - a document is plain data
    target: Target,
    tmp_path: Path,
) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(make()))
    command = [Path(sys.executable).with_name("schemathesis"), "run", document]
    done = subprocess.run(
        [*map(str, command), "--url", target.url, "--checks", "not_a_server_error", "--mode", "all",
         "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", "20221201",
         "--generation-database", "none", "--suppress-health-check", "all", "--no-color",
         "--request-timeout", "60", "--continue-on-failure"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(done.stdout[-3000:])
    passed = re.search(r"generated, ([0-9]+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 1000  # It knew what to ask.
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5000:]
