"""The native API: every operation over HTTP, in JSON and msgpack."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server import story
from tests.server.running import Answer, ask

from loopline.errors import InvalidInputError
from loopline.records.facts import Batch
from loopline.records.operations import OPERATIONS, GetRun, SearchRuns
from loopline.records.tracking import Run, RunStatus
from loopline.server import wire
from loopline.server.openapi import openapi_document

if TYPE_CHECKING:
    from tests.server.conftest import Served

JSON = "application/json"
MSGPACK = "application/msgpack"


def post(served: Served, name: str, body: object, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(served.url, "POST", f"/api/v1/ops/{name}", data, {"Content-Type": JSON, **headers})


def test_json_has_every_field_and_spells_odd_numbers(served: Served) -> None:
    answer = post(served, "get-run", {"run_id": story.run_id(13)})
    run = json.loads(answer.body)
    assert answer.status == 200
    assert run["lifecycle"] == "active"
    assert run["metrics"]["inf"]["value"] == "Infinity"
    assert run["metrics"]["nan"]["min"] == "-Infinity"
    assert run["metrics"]["nan"]["mean"] == "NaN"


def test_msgpack_is_answered_to_who_accepts_it(served: Served) -> None:
    answer = post(served, "get-run", {"run_id": story.run_id(1)}, Accept=MSGPACK)
    assert answer.headers["Content-Type"] == MSGPACK
    run = msgspec.msgpack.decode(answer.body, type=Run)
    assert (run.name, run.status) == ("train on 2022-03", RunStatus.FINISHED)


def test_a_request_in_msgpack_is_answered_in_msgpack(served: Served) -> None:
    body = msgspec.msgpack.encode(GetRun(run_id=story.run_id(1)))
    answer = post(served, "get-run", body, **{"Content-Type": MSGPACK})
    assert msgspec.msgpack.decode(answer.body, type=Run).run_id == story.run_id(1)


def test_an_empty_body_is_a_request_without_fields(served: Served) -> None:
    assert post(served, "list-experiments", b"").status == 200


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_type_is_refused(served: Served, kind: str) -> None:
    answer = post(served, "list-experiments", b"{}", **{"Content-Type": kind})
    assert answer.status == 415


@pytest.mark.parametrize(
    ("name", "body", "part"),
    [
        ("get-run", b"{", "not valid JSON"),
        ("get-run", b"\xff", "not valid JSON"),
        ("get-run", {}, "run_id"),
        ("get-run", {"run_id": 7}, "$.run_id"),
        ("get-run", {"run_id": "0" * 32, "also": 1}, "also"),
        ("get-run", [], "object"),
        ("search-runs", {"max_results": 2**70}, "max_results"),
        ("search-runs", {"max_results": 10**9}, "max_results"),
        ("search-runs", {"experiment_ids": ["1"] * 10_001}, "10,000"),
        ("search-runs", {"page_token": "not one of ours"}, ""),
        ("search-runs", {"filter": "a" * 100_000}, ""),
        ("create-flow-run", b'{"parameters": {"a": ' + b"[" * 100_000, "too deep"),
        ("get-experiment", {"name": "taxi\0fare"}, "NUL"),
        ("transition-stage", {"name": story.MODEL, "version": 1, "stage": "Nowhere"}, "stage"),
        ("transition-stage", {"name": story.MODEL, "version": 2**63, "stage": "Staging"}, ""),
        ("get-logs", {"flow_run_id": "0", "after": 2**64 - 1}, ""),
    ],
)
def test_a_wrong_request_is_told_apart_and_is_no_fault_of_the_server(
    served: Served, name: str, body: object, part: str
) -> None:
    answer = post(served, name, body)
    said = json.loads(answer.body)
    assert answer.status in {400, 404}, said
    assert part in said["message"]
    assert said["error_code"]
    for leak in ("Traceback", "SELECT", "sqlite", ".py"):
        assert leak not in said["message"]


def test_a_missing_run_is_404_in_mlflows_words(served: Served) -> None:
    answer = post(served, "get-run", {"run_id": "0" * 32})
    said = json.loads(answer.body)
    assert (answer.status, said["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert said["error"] == "NotFoundError"


def test_a_wrong_filter_says_at_which_character(served: Served) -> None:
    said = json.loads(post(served, "search-runs", {"filter": "metrics.rmse ~ 4"}).body)
    assert said["error"] == "FilterError"
    assert said["details"]["position"] == 13


def test_an_unknown_operation_names_the_nearest(served: Served) -> None:
    answer = post(served, "serch-runs", {})
    assert answer.status == 404
    assert "/api/v1/ops/search-runs" in json.loads(answer.body)["message"]


def test_another_method_is_405_in_json(served: Served) -> None:
    answer = ask(served.url, "GET", "/api/v1/ops/get-run")
    assert answer.status == 405
    assert "POST" in json.loads(answer.body)["message"]


def test_a_command_with_the_same_key_is_carried_out_once(served: Served) -> None:
    body = {"project": story.PROJECT, "name": story.FLOW, "scheduled_ms": 4102444800000}
    first = post(served, "create-flow-run", body, **{"Idempotency-Key": "night-1"})
    again = post(served, "create-flow-run", body, **{"Idempotency-Key": "night-1"})
    assert json.loads(first.body) == json.loads(again.body)


def test_a_body_that_is_too_long_is_refused(served: Served) -> None:
    filler = b'{"filter": "' + b"x" * (16 * 2**20) + b'"}'
    assert post(served, "search-runs", filler).status == 413


def test_facts_are_taken_in_msgpack_only(served: Served) -> None:
    batch = Batch(writer="f" * 32, start=0, end=1, facts=[])
    body = msgspec.msgpack.encode(batch)
    taken = ask(served.url, "POST", "/api/v1/facts", body, {"Content-Type": MSGPACK})
    assert msgspec.msgpack.decode(taken.body)["acknowledged"] == 1
    assert ask(served.url, "POST", "/api/v1/facts", b"{}", {"Content-Type": JSON}).status == 415
    damaged = ask(served.url, "POST", "/api/v1/facts", body[:-1], {"Content-Type": MSGPACK})
    assert damaged.status == 400


def test_what_mlflow_has_and_this_server_has_not_is_501_in_mlflows_shape(served: Served) -> None:
    answer = ask(served.url, "POST", "/api/3.0/mlflow/traces", b"{}", {"Content-Type": JSON})
    assert answer.status == 501
    told = msgspec.json.decode(answer.body)
    assert told["error_code"] == "NOT_IMPLEMENTED"
    assert "not supported by this server" in told["message"]


def test_health_and_version_answer_in_plain_words_or_in_json(served: Served) -> None:
    assert ask(served.url, "GET", "/health").text == "OK"
    assert ask(served.url, "GET", "/version").text == "3.17.2+loopline.0.1.0"
    wanted = {"Accept": JSON}
    assert json.loads(ask(served.url, "GET", "/health", headers=wanted).body) == {"status": "ok"}
    told = json.loads(ask(served.url, "GET", "/version", headers=wanted).body)
    assert (told["name"], told["mlflow"]) == ("loopline", "3.17.2")


def test_the_openapi_document_describes_every_operation(served: Served) -> None:
    document = json.loads(ask(served.url, "GET", "/api/v1/openapi.json").body)
    assert {f"/api/v1/ops/{name}" for name in OPERATIONS} == set(document["paths"])
    for path in document["paths"].values():
        assert path["post"]["summary"].endswith(".")
    assert "Run" in document["components"]["schemas"]


def test_every_reference_of_the_openapi_document_leads_somewhere() -> None:
    document = openapi_document()

    def references(part: object) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [ref for value in part.values() for ref in references(value)]
        return [ref for item in part for ref in references(item)] if isinstance(part, list) else []

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


@given(st.floats() | st.lists(st.floats()) | st.dictionaries(st.text(), st.floats()))
def test_every_number_is_json(value: object) -> None:
    json.loads(wire.encode(value, JSON), parse_constant=pytest.fail)


@given(st.binary(max_size=200), st.sampled_from([JSON, MSGPACK]))
def test_random_bytes_are_a_request_or_an_invalid_input(body: bytes, kind: str) -> None:
    with contextlib.suppress(InvalidInputError):
        wire.decode(body, SearchRuns, kind)


def test_a_fault_inside_is_logged_and_not_told(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        msg = "SELECT secret FROM cab"
        raise RuntimeError(msg)

    monkeypatch.setattr("loopline.server.callers.carry_out", fail)
    with caplog.at_level(logging.ERROR, "loopline.server"):
        answer = post(served, "list-experiments", {})
    said = json.loads(answer.body)
    assert answer.status == 500
    assert "secret" not in answer.text
    assert said["message"].split()[-1].rstrip(".") in caplog.text
