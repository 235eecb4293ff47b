"""MLflow's protocol by hand: codes, statuses and texts that its clients and others' tests match."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.server.running import ask, running

from loopline.server.mlflow.routes import PREFIXES, RULES
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = "/api/2.0/mlflow/"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(Address("home", str(tmp_path_factory.mktemp("home")))) as served:
        yield served


def post(url: str, path: str, method: str = "POST", **fields: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401
    answer = ask(url, method, BASE + path, json.dumps(fields).encode(), JSON)
    return answer.status, json.loads(answer.body)


def get(url: str, path: str) -> tuple[int, dict[str, Any]]:
    answer = ask(url, "GET", BASE + path)
    return answer.status, json.loads(answer.body)


def test_a_stage_of_a_models_own_is_seen_as_one_of_the_four(url: str) -> None:
    post(url, "registered-models/create", name="own_stages")
    for _ in range(2):
        made = post(url, "model-versions/create", name="own_stages", source="runs:/abc/model")
        assert made[0] == 200, made
    for operation, fields in (
        ("add-stage", {"stage": "Canary", "seen_as": "Staging"}),
        ("transition-stage", {"stage": "Canary", "version": 1}),
    ):
        body = json.dumps({"name": "own_stages", **fields}).encode()
        assert ask(url, "POST", f"/api/v1/ops/{operation}", body, JSON).status == 200
    _, found = get(url, "model-versions/get?name=own_stages&version=1")
    assert found["model_version"]["current_stage"] == "Staging"
    path = "registered-models/get-latest-versions"
    _, latest = post(url, path, name="own_stages", stages=["Staging"])
    assert [each["version"] for each in latest["model_versions"]] == ["1"]
    status, moved = post(
        url, "model-versions/transition-stage", name="own_stages", version="1", stage="archived"
    )
    assert (status, moved["model_version"]["current_stage"]) == (200, "Archived")


@pytest.fixture
def run_id(url: str) -> str:
    status, made = post(url, "runs/create", experiment_id="0", start_time=1, run_name="night")
    assert status == 200
    return str(made["run"]["info"]["run_id"])


def test_every_rule_answers_under_both_prefixes(url: str) -> None:
    """Whatever is left out of a request is a 400 or 404, and never a fault inside."""
    for rule in RULES:
        for prefix in PREFIXES:
            body = None if rule.methods == ("GET",) else b"{}"
            answer = ask(url, rule.methods[0], f"{prefix}/{rule.path}", body, JSON)
            assert answer.status in {200, 400, 404}, (rule.path, answer.text)


@pytest.mark.parametrize(
    ("path", "fields", "status", "code", "words"),
    [
        ("runs/log-metric", {"key": "rmse", "value": 1}, 400, "INVALID_PARAMETER_VALUE",
         "Missing value for required parameter 'run_id'"),
        ("runs/log-metric", {"run_id": "R"}, 400, "INVALID_PARAMETER_VALUE",
         "Missing value for required parameter 'key'"),
        ("runs/log-metric", {"run_id": "R", "key": "rmse", "value": "much"}, 400,
         "INVALID_PARAMETER_VALUE", "Invalid value much for parameter 'value' supplied"),
        ("runs/log-metric", {"run_id": "R", "key": "../b", "value": 1}, 400,
         "INVALID_PARAMETER_VALUE", "reads as another path"),
        ("runs/log-metric", {"run_id": "R", "key": "rmse", "value": 1, "step": 2**63}, 400,
         "INVALID_PARAMETER_VALUE", "2^63"),
        ("runs/create", {"experiment_id": "77"}, 404, "RESOURCE_DOES_NOT_EXIST",
         "No Experiment with id=77 exists"),
        ("runs/create", {"experiment_id": 7}, 400, "INVALID_PARAMETER_VALUE",
         "Invalid value 7 for parameter 'experiment_id' supplied"),
        ("runs/update", {"run_id": "R", "status": "LATE"}, 400, "INVALID_PARAMETER_VALUE",
         "Invalid value LATE for parameter 'status' supplied"),
        ("runs/delete-tag", {"run_id": "R", "key": "none"}, 404, "RESOURCE_DOES_NOT_EXIST",
         "No tag with name: none"),
        ("runs/log-metric", {"run_id": "R", "key": "rmse", "value": 1, "model_id": "m-1"}, 404,
         "RESOURCE_DOES_NOT_EXIST", "Logged model with ID 'm-1' not found"),
        ("logged-models", {"name": "gbm"}, 400, "INVALID_PARAMETER_VALUE",
         "Missing value for required parameter 'experiment_id'"),
        ("logged-models", {"experiment_id": "0", "name": "a/b"}, 400, "INVALID_PARAMETER_VALUE",
         "cannot contain the following characters"),
        ("logged-models/search", {}, 400, "INVALID_PARAMETER_VALUE",
         "Missing value for required parameter 'experiment_ids'"),
        ("logged-models/m-1/params", {"params": [{"key": "a", "value": "b"}]}, 404,
         "RESOURCE_DOES_NOT_EXIST", "Logged model with ID 'm-1' not found"),
        ("runs/log-model", {"run_id": "R", "model_json": "{}"}, 400, "INVALID_PARAMETER_VALUE",
         "missing mandatory fields: artifact_path, flavors, utc_time_created, run_id"),
        ("runs/log-model", {"run_id": "R", "model_json": "["}, 400, "INVALID_PARAMETER_VALUE",
         "Malformed model info"),
        ("runs/search", {"experiment_ids": ["0"], "filter": "metrics.rmse <"}, 400,
         "INVALID_PARAMETER_VALUE", "Expected"),
        ("runs/search", {"experiment_ids": ["0"], "page_token": "!!"}, 400,
         "INVALID_PARAMETER_VALUE", "Invalid page token"),
        ("experiments/create", {"name": "mine", "artifact_location": "file:///etc"}, 400,
         "INVALID_PARAMETER_VALUE", "says itself where files lie"),
        ("experiments/create", {"name": "Default"}, 400, "RESOURCE_ALREADY_EXISTS",
         "already exists"),
        ("model-versions/create", {"name": "m", "source": "s3://bucket/m"}, 400,
         "INVALID_PARAMETER_VALUE", "Invalid model version source"),
        ("model-versions/create", {"name": "m", "source": "runs:/x/model", "run_id": "y"}, 400,
         "INVALID_PARAMETER_VALUE", "must identify the resource that contains the source"),
        ("model-versions/create", {"name": "nobody", "source": "runs:/R/model"}, 404,
         "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=nobody not found"),
    ],
)  # fmt: skip
def test_errors_have_mlflows_code_status_and_words(
    url: str, run_id: str, path: str, fields: dict[str, Any], status: int, code: str, words: str
) -> None:
    fields = {
        key: value.replace("R", run_id) if key in {"run_id", "source"} else value
        for key, value in fields.items()
    }
    found, body = post(url, path, **fields)
    assert (found, body["error_code"]) == (status, code)
    assert words in body["message"]


def test_a_body_that_is_no_json_is_400(url: str) -> None:
    path = f"{BASE}runs/create"
    for body, headers, words in (
        (b"{", JSON, "no JSON object"),
        (b"{}", {"Content-Type": "text/plain"}, "Content-Type must be 'application/json'"),
        (b"{}", {}, "Content-Type must be 'application/json'"),
        (b"[" * 100_000, JSON, "Bad Request"),
        (b"[]", JSON, "Bad Request"),
    ):
        answer = ask(url, "POST", path, body, headers)
        assert (answer.status, json.loads(answer.body)["error_code"]) == (400, "BAD_REQUEST")
        assert words in answer.text


def test_a_batch_with_one_refused_param_stores_nothing(url: str, run_id: str) -> None:
    post(url, "runs/log-parameter", run_id=run_id, key="model", value="gbm")
    status, _ = post(
        url, "runs/log-batch", run_id=run_id,
        metrics=[{"key": "rmse", "value": 1, "timestamp": 1, "step": 0}],
        params=[{"key": "model", "value": "net"}],
    )  # fmt: skip
    assert status == 400
    assert "metrics" not in get(url, f"runs/get?run_id={run_id}")[1]["run"]["data"]
    twice = [{"key": "a", "value": "1"}, {"key": "a", "value": "1"}]
    status, body = post(url, "runs/log-batch", run_id=run_id, params=twice)
    assert (status, "Duplicate parameter keys" in body["message"]) == (400, True)
    assert post(url, "runs/log-batch", run_id=run_id) == (200, {})
    many = [{"key": f"m{index}", "value": 1, "timestamp": 1} for index in range(1001)]
    status, body = post(url, "runs/log-batch", run_id=run_id, metrics=many)
    assert (status, "at most 1,000 metrics" in body["message"]) == (400, True)


def test_a_history_comes_newest_step_first_by_pages_and_spells_what_json_cannot(
    url: str, run_id: str
) -> None:
    for step, value in ((0, 1.5), (2, "NaN"), (1, "Infinity"), (2, 2.5)):
        status, _ = post(
            url, "runs/log-metric", run_id=run_id, key="rmse", value=value, step=str(step),
            timestamp=step,
        )  # fmt: skip
        assert status == 200
    path = f"metrics/get-history?run_id={run_id}&metric_key=rmse&max_results=3"
    _, first = get(url, path)
    _, rest = get(url, f"{path}&page_token={first['next_page_token']}")
    points = [(point["step"], point["value"]) for point in first["metrics"] + rest["metrics"]]
    assert sorted(points[:2], key=str) == [(2, "NaN"), (2, 2.5)]
    assert points[2:] == [(1, "Infinity"), (0, 1.5)]
    assert get(url, f"metrics/get-history?run_id={run_id}&metric_key=none") == (200, {})
    assert get(url, "metrics/get-history?run_id=nobody&metric_key=rmse") == (200, {})


def test_a_hundred_identical_posts_at_once_are_one_point(url: str, run_id: str) -> None:
    def log(_number: int) -> int:
        return post(
            url, "runs/log-metric", run_id=run_id, key="rmse", value=4.0, timestamp=7, step=3
        )[0]

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(log, range(100))) == {200}
    _, history = get(url, f"metrics/get-history?run_id={run_id}&metric_key=rmse")
    assert len(history["metrics"]) == 1


@pytest.mark.parametrize("path", ["../x", "0/R/artifacts/%2e%2e/x", "0/R/other/x", "etc/passwd"])
def test_files_lie_below_a_runs_address_and_nowhere_else(url: str, run_id: str, path: str) -> None:
    base = "/api/2.0/mlflow-artifacts/artifacts/"
    answer = ask(url, "PUT", base + path.replace("R", run_id), b"x")
    assert answer.status in {400, 404}
    good = f"{base}0/{run_id}/artifacts/notes/a.txt"
    assert ask(url, "PUT", good, b"hello").status == 200
    down = ask(url, "GET", good)
    assert (down.status, down.body) == (200, b"hello")
    assert down.headers["Content-Disposition"].startswith("attachment")
    assert down.headers["X-Content-Type-Options"] == "nosniff"
    assert ask(url, "GET", good, headers={"Range": "bytes=1-2"}).body == b"el"
    nobody = good.replace(run_id, "0" * 32)
    assert ask(url, "PUT", nobody, b"x").status == 404
    assert ask(url, "GET", nobody).status == 404


def test_a_search_tells_what_runs_read_and_made(url: str) -> None:
    _, made = post(url, "experiments/create", name="reads")
    experiment_id = made["experiment_id"]
    _, run = post(url, "runs/create", experiment_id=experiment_id, start_time=1)
    run_id = run["run"]["info"]["run_id"]
    _, model = post(url, "logged-models", experiment_id=experiment_id, name="gbm")
    model_id = model["model"]["info"]["model_id"]
    trips = {"name": "trips", "digest": "d1", "source_type": "local", "source": "{}"}
    tags = [{"key": "mlflow.data.context", "value": "training"}]
    read: dict[str, Any] = {
        "datasets": [{"dataset": trips, "tags": tags}],
        "models": [{"model_id": "m-far"}],
    }
    assert post(url, "runs/log-inputs", run_id=run_id, **read) == (200, {})
    outputs = [{"model_id": model_id, "step": 3}]
    assert post(url, "runs/outputs", run_id=run_id, models=outputs) == (200, {})
    _, found = post(url, "runs/search", experiment_ids=[experiment_id])
    (one,) = found["runs"]
    assert one["inputs"]["dataset_inputs"][0]["dataset"]["name"] == "trips"
    assert one["inputs"]["model_inputs"] == [{"model_id": "m-far"}]
    assert one["outputs"] == {"model_outputs": outputs}
    assert get(url, f"runs/get?run_id={run_id}")[1]["run"] == one
    _, datasets = post(url, "experiments/search-datasets", experiment_ids=[experiment_id])
    assert datasets["dataset_summaries"] == [
        {"experiment_id": experiment_id, "name": "trips", "digest": "d1", "context": "training"}
    ]
    assert post(url, "experiments/search-datasets")[0] == 400


def test_histories_of_several_runs_come_whole(url: str) -> None:
    ids = []
    for value in (1.0, 2.0):
        _, run = post(url, "runs/create", experiment_id="0", start_time=1)
        ids.append(run["run"]["info"]["run_id"])
        for step in range(3):
            post(url, "runs/log-metric", run_id=ids[-1], key="rmse", value=value, step=step,
                 timestamp=1)  # fmt: skip
    query = "&".join(f"run_id={run_id}" for run_id in ids)
    _, found = get(url, f"metrics/get-history-bulk?{query}&metric_key=rmse")
    assert sorted((p["run_id"], p["step"], p["value"]) for p in found["metrics"]) == sorted(
        (run_id, step, value) for run_id, value in zip(ids, (1.0, 2.0), strict=True)
        for step in range(3)
    )  # fmt: skip
    _, some = get(url, f"metrics/get-history-bulk?{query}&metric_key=rmse&max_results=4")
    assert len(some["metrics"]) == 4
    assert get(url, "metrics/get-history-bulk?metric_key=rmse")[0] == 400


def test_a_logged_model_has_files_of_its_own(url: str) -> None:
    _, made = post(url, "logged-models", experiment_id="0", name="gbm")
    info = made["model"]["info"]
    model_id, root = info["model_id"], info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    files = f"/api/2.0/mlflow-artifacts/artifacts/{root}"
    assert ask(url, "PUT", f"{files}/data/model.bin", b"bytes").status == 200
    assert ask(url, "GET", f"{files}/data/model.bin").body == b"bytes"
    assert ask(url, "GET", f"{files}/none").status == 404
    assert ask(url, "PUT", files, b"bytes").status == 400
    _, listed = get(url, f"logged-models/{model_id}/artifacts/directories")
    assert listed["files"] == [{"path": "data", "is_dir": True}]
    below = f"logged-models/{model_id}/artifacts/directories?artifact_directory_path=data"
    assert get(url, below)[1]["files"][0]["path"] == "data/model.bin"
    single = f"{BASE}logged-models/{model_id}/artifacts/files?artifact_file_path=data/model.bin"
    assert ask(url, "GET", single).body == b"bytes"
    assert ask(url, "GET", single.replace("data/model", "..%2f..%2fmodel")).status == 400
    assert post(url, f"logged-models/{model_id}", method="DELETE") == (200, {})
    assert ask(url, "PUT", f"{files}/late", b"bytes").status == 404
    # Clients delete without a body, and so without a type of one.
    assert ask(url, "DELETE", f"{BASE}logged-models/{model_id}").status == 200


def test_a_run_named_like_a_place_of_models_keeps_its_files(url: str) -> None:
    files = "/api/2.0/mlflow-artifacts/artifacts/0/models/artifacts/f.txt"
    answer = ask(url, "PUT", files, b"bytes")
    assert (answer.status, b"'models' not found" in answer.body) == (404, True)


def test_a_name_that_is_no_text_is_refused(url: str, run_id: str) -> None:
    files = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts"
    answer = ask(url, "PUT", f"{files}/caf%e9.txt", b"bytes")
    assert (answer.status, b"UTF-8" in answer.body) == (400, True)
    assert ask(url, "PUT", f"{files}/caf%C3%A9.txt", b"bytes").status == 200
    assert ask(url, "GET", f"{files}/caf%C3%A9.txt").body == b"bytes"
