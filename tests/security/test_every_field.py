"""Every field of every route, filled with what no honest client sends: never a fault."""

from __future__ import annotations

import http.client
import json
import random
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
import pytest
from tests.security.conftest import attacked
from tests.security.target import JSON, Target, check_answer
from tests.server.running import Answer

from loopline.records.operations import OPERATIONS
from loopline.server.mlflow.routes import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres import PostgresServer

#: Texts, numbers and shapes; each in the place of each field.
EVIL: list[Any] = [
    None, True, -1, 0, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**400, 1.5, 1e308,
    float("nan"), float("inf"), "", " ", "NaN", "1e999", "-0", "٣", "²", "1_000", "+1", "0x10",
    "1" * 50,
    "' OR 1=1 --", "a\0b", "\ud800", "\udfff\ud800", "\u202e", "İİİ", "x" * 300, "x" * 70_000,
    "🙂" * 200,
    "../../etc/passwd", "`", "'", '"', "%", "\\", "*", "<script>", [], [None], [[]], ["x"] * 20_000,
    [1],
    ["a\0b"], [{}], [{"key": "a"}], [{"key": "", "value": ""}], [{"key": "a\0", "value": "b\0"}],
    [{"key": "k", "value": 1}], [{"key": "k", "value": "\ud800"}], [{"key": "a", "value": "b"}] * 2,
    {}, {"a": 1}, {"a": "b"}, {"a\0": "b\0"}, {"\ud800": "\ud800"},
    [{"key": "m", "value": "NaN", "timestamp": 1, "step": 0}],
    [{"key": "m", "value": 1e308, "timestamp": 2**63 - 1, "step": -(2**63)}],
    [{"key": "m", "value": 1, "timestamp": -5, "step": 2**63}], "models:/m-1",
    "models:/fare/9999999999999",
]  # fmt: skip


def requests(target: Target) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and fields: each field of each route spoilt in each way."""
    good: dict[str, Any] = {
        "run_id": target.run_id, "experiment_id": "0", "experiment_ids": ["0"], "name": "fare",
        "version": "1", "key": "k", "value": "1", "metric_key": "k", "alias": "a",
        "stage": "Staging",
        "source": f"runs:/{target.run_id}/model", "new_name": "fare", "run_ids": [target.run_id],
        "status": "RUNNING", "experiment_name": "Default", "timestamp": 1, "model_id": "m-1",
    }  # fmt: skip
    for rule in RULES:
        if "delete" in rule.path and "tag" not in rule.path:
            good = {**good, "run_id": "none", "experiment_id": "77", "name": "none"}
        path = f"/api/{rule.path}"
        for name, value in good.items():
            path = path.replace(f"{{{name}}}", str(value))
        names = [field.name for field in msgspec.structs.fields(rule.call)]
        for method in rule.methods:
            yield from _spoilt(method, path, names, good)
    for name, operation in OPERATIONS.items():
        fields: dict[str, Any] = {**good, "version": 1}
        if name.startswith("delete"):
            fields |= {"run_id": "none", "experiment_id": "77", "name": "none"}
        names = list(operation.__struct_fields__)
        yield from _spoilt("POST", f"/api/v1/ops/{name}", names, fields)


def _spoilt(
    method: str, path: str, names: list[str], good: dict[str, Any]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    fields = {name: good[name] for name in names if name in good}
    for name in names:
        for value in EVIL:
            yield method, path, {**fields, name: value}


def send_all(target: Target, chosen: list[tuple[str, str, dict[str, Any]]]) -> int:
    """Send them on one connection; return how many were refused."""
    refused = 0
    with closing(http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)) as connection:
        for method, path, fields in chosen:
            body = json.dumps(fields).encode()
            headers = {} if method == "GET" else JSON
            place = f"{path}?{_query(fields)}" if method == "GET" else path
            connection.request(method, place, None if method == "GET" else body, headers)
            got = connection.getresponse()
            answer = Answer(got.status, got.headers, got.read())
            check_answer(answer, f"{method} {place} ".encode() + body)
            refused += answer.status >= 400
    return refused


def _query(fields: dict[str, Any]) -> str:
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in fields.items()
    }
    return urlencode(texts, errors="surrogatepass")[:60_000]


def test_a_choice_of_spoilt_fields_is_no_fault(target: Target) -> None:
    every = list(requests(target))
    chosen = random.Random(20221201).sample(every, 1500)  # noqa: S311 - repeatable, no secret
    assert send_all(target, chosen) > 500


@pytest.mark.deep
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_no_spoilt_field_is_a_fault(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    uri = ""
    if kind == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        uri = postgres.new().text
    with attacked(tmp_path, uri) as target:
        every = list(requests(target))
        refused = send_all(target, every)
    assert refused > len(every) // 3
    print(f"{len(every):,} spoilt requests, {refused:,} refused, {kind}: no fault")
