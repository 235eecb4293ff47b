"""SQL by names, filters, orders and page tokens: it is data, or refused."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
import pytest
from tests.security.target import MLFLOW

if TYPE_CHECKING:
    from tests.security.target import Target
    from tests.server.running import Answer

SQL = [
    "' OR 1=1 --", "'; DROP TABLE ll_run; --", '" OR ""="', "`; DROP TABLE ll_run; --",
    "') OR ('1'='1",
    "1; ATTACH DATABASE '/tmp/x' AS y", "' UNION SELECT sql FROM sqlite_master --", "\\'; --",
    "$$; SELECT pg_sleep(20); $$", "' || (SELECT 1) || '", "/**/OR/**/1=1", "%' OR '1'='1", "a' --",
]  # fmt: skip


@pytest.mark.parametrize("text", SQL)
def test_a_name_is_kept_letter_by_letter(target: Target, text: str) -> None:
    made = target.post("experiments/create", {"name": text, "tags": [{"key": "t", "value": text}]})
    if made.status == 200:
        path = f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={quote(text)}"
        found = json.loads(target.send("GET", path, None).body)["experiment"]
        assert (found["name"], found["tags"]) == (text, [{"key": "t", "value": text}])
    target.made("runs/set-tag", {"run_id": target.run_id, "key": "note", "value": text})
    run = json.loads(
        target.send("GET", f"/api/2.0/mlflow/runs/get?run_id={target.run_id}", None).body
    )
    assert {"key": "note", "value": text} in run["run"]["data"]["tags"]


@pytest.mark.parametrize("text", SQL)
def test_a_filter_finds_what_it_says_and_no_more(target: Target, text: str) -> None:
    quoted = text.replace("'", "''")
    for filter_ in (text, f"params.trees = '{text}'", f"params.trees = '{quoted}'",
                    f"params.`{text}` = '1'", f"attributes.{text} = '1'", f"tags.a LIKE '{text}'",
                    f"metrics.a > {text}", f"attributes.run_id IN ('{text}')"):  # fmt: skip
        for path in ("runs/search", "experiments/search", "logged-models/search"):
            fields = {"experiment_ids": ["0"], "filter": filter_}
            answer = target.post(path, fields)
            assert answer.status in {200, 400}
            if answer.status == 200:
                assert not json.loads(answer.body).get("runs"), filter_
        for route in ("registered-models", "model-versions"):
            target.send("GET", f"/api/2.0/mlflow/{route}/search?filter={quote(filter_)}", None)


@pytest.mark.parametrize("text", SQL)
def test_an_order_is_one_of_known_columns(target: Target, text: str) -> None:
    for order in (text, f"attributes.{text}", f"params.`{text}` DESC", f"start_time {text}",
                  "start_time; SELECT 1", "(SELECT 1)", "CASE WHEN 1 THEN 1 END"):  # fmt: skip
        fields = {"experiment_ids": ["0"], "order_by": [order]}
        assert target.post("runs/search", fields).status in {200, 400}
        query = f"order_by={quote(order)}"
        target.send("GET", f"/api/2.0/mlflow/registered-models/search?{query}", None)
        target.send("GET", f"/api/2.0/mlflow/experiments/search?{query}", None)


FORGED = [
    [0, "' OR 1=1 --"], [0, 2**63], [0, 1e308], ["x", "x"], [], [0] * 50, [None], {"offset": 10}, 1,
]  # fmt: skip


@pytest.mark.parametrize("inner", FORGED)
def test_a_forged_page_token_is_refused(target: Target, inner: object) -> None:
    for raw in (msgspec.msgpack.encode(inner), msgspec.json.encode(inner)):
        token = base64.urlsafe_b64encode(raw).decode()
        fields = {"experiment_ids": ["0"], "page_token": token}
        assert target.post("runs/search", fields).status == 400
        for route in ("registered-models", "model-versions"):
            path = f"/api/2.0/mlflow/{route}/search?page_token={quote(token)}"
            assert target.send("GET", path, None).status == 400


def _pages(target: Target) -> list[tuple[str, str, dict[str, object]]]:
    """Fill what has pages; name each road to them, with what asks for one thing a page."""
    run_id = str(target.made("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"])
    target.made("runs/create", {"experiment_id": "0"})
    points = [{"key": "mae", "value": 4 - n, "step": n, "timestamp": n} for n in range(3)]
    target.made("runs/log-batch", {"run_id": run_id, "metrics": points})
    for name in ("a", "b"):
        target.post("experiments/create", {"name": f"pages {name}"})
        target.post("registered-models/create", {"name": f"pages-{name}"})
        source = {"name": f"pages-{name}", "source": f"runs:/{target.run_id}/model"}
        target.post("model-versions/create", {**source, "run_id": target.run_id})
        target.made("logged-models", {"experiment_id": "0", "name": f"pages-{name}"})
        hook = {"name": name, "url": "https://hooks.example/x", "status": "DISABLED"}
        hook_json = msgspec.json.encode({**hook, "events": ["model_version.created"]})
        assert target.send("POST", "/api/v1/ops/create-webhook", hook_json).status == 200
    history = f"metrics/get-history?metric_key=mae&run_id={run_id}"
    return [
        ("POST", f"{MLFLOW}runs/search", {"experiment_ids": ["0"]}),
        ("POST", f"{MLFLOW}experiments/search", {}),
        ("POST", f"{MLFLOW}logged-models/search", {"experiment_ids": ["0"]}),
        ("GET", f"{MLFLOW}registered-models/search?", {}),
        ("GET", f"{MLFLOW}model-versions/search?", {}),
        ("GET", f"{MLFLOW}{history}&", {}),
        ("GET", f"{MLFLOW}webhooks?", {}),
        ("POST", "/api/v1/ops/search-runs", {}),
        ("POST", "/api/v1/ops/search-run-table", {}),
    ]


def _page(target: Target, road: tuple[str, str, dict[str, object]], token: str) -> Answer:
    method, path, fields = road
    if method == "GET":
        return target.send("GET", f"{path}max_results=1&page_token={quote(token)}", None)
    asked = {**fields, "max_results": 1, "page_token": token}
    return target.send(method, path, msgspec.json.encode(asked))


def test_a_page_token_with_one_letter_changed_is_refused_wherever_there_are_pages(
    target: Target,
) -> None:
    for road in _pages(target):
        first = _page(target, road, "")
        assert first.status == 200, (road, first.body)
        token = str(msgspec.json.decode(first.body).get("next_page_token", ""))
        assert token, (road, first.body)
        assert _page(target, road, token).status == 200, road
        for at in (0, len(token) // 2, len(token) - 1):
            other = "B" if token[at] == "A" else "A"
            answer = _page(target, road, token[:at] + other + token[at + 1 :])
            assert answer.status == 400, (road, at)
            assert b"Search again" in answer.body
