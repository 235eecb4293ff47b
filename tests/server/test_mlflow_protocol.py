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
        ("runs/log-metric", {"run_id": "R", "key": "rmse", "value": 1, "timestamp": 1,
                             "step": 2**63}, 400, "INVALID_PARAMETER_VALUE", "2^63"),
        ("runs/log-metric", {"run_id": "R", "key": "rmse", "value": 1}, 400,
         "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'timestamp'"),
        ("runs/log-metric", {"run_id": "R", "key": "rmse", "value": 1, "timestamp": -1}, 400,
         "INVALID_PARAMETER_VALUE", "Timestamp must be a nonnegative long"),
        ("runs/log-batch", {"run_id": "R", "metrics": [{"key": "a", "value": 1, "timestamp": 1},
                                                       {"key": "b", "value": 1}]}, 400,
         "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'metrics[1].timestamp'"),
        ("runs/log-inputs", {"run_id": "R", "datasets": [{"dataset": {
            "name": "trips", "digest": "d" * 37}}]}, 400, "INVALID_PARAMETER_VALUE",
         "'digest' exceeds the maximum length of 36 characters"),
        ("runs/log-inputs", {"run_id": "R", "datasets": [{
            "dataset": {"name": "trips", "digest": "d"},
            "tags": [{"key": "k", "value": "v" * 501}]}]}, 400, "INVALID_PARAMETER_VALUE",
         "'value' exceeds the maximum length of 500 characters"),
        ("runs/search", {"experiment_ids": ["taxi"]}, 400, "INVALID_PARAMETER_VALUE",
         "Invalid experiment ID 'taxi'. Experiment ID must be a valid integer."),
        ("runs/create", {"experiment_id": "taxi"}, 400, "INVALID_PARAMETER_VALUE",
         "Invalid experiment ID 'taxi'"),
        ("experiments/search", {}, 400, "INVALID_PARAMETER_VALUE",
         "Invalid value 0 for parameter 'max_results' supplied"),
        ("experiments/search", {"max_results": 1, "view_type": "SOME"}, 400,
         "INVALID_PARAMETER_VALUE", "Invalid value 'SOME' for parameter 'view_type' supplied"),
        ("experiments/update", {"experiment_id": "0"}, 400, "INVALID_PARAMETER_VALUE",
         "Missing value for required parameter 'new_name'"),
        ("experiments/restore", {"experiment_id": "0"}, 404, "RESOURCE_DOES_NOT_EXIST",
         "No Experiment with id=0 exists"),
        ("runs/create", {"experiment_id": "77"}, 404, "RESOURCE_DOES_NOT_EXIST",
         "No Experiment with id=77 exists"),
        ("runs/create", {"experiment_id": 7}, 400, "INVALID_PARAMETER_VALUE",
         "Invalid value 7 for parameter 'experiment_id' supplied"),
        ("runs/update", {"run_id": "R", "status": "LATE"}, 400, "INVALID_PARAMETER_VALUE",
         "Invalid value LATE for parameter 'status' supplied"),
        ("runs/delete-tag", {"run_id": "R", "key": "none"}, 404, "RESOURCE_DOES_NOT_EXIST",
         "No tag with name: none"),
        ("runs/log-metric", {"run_id": "R", "key": "rmse", "value": 1, "timestamp": 1,
                             "model_id": "m-1"}, 404,
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


def test_codes_that_mlflow_1_does_not_know_are_ones_that_it_does(url: str) -> None:
    for version, code in (("1.30.1", "ENDPOINT_NOT_FOUND"), ("2.9.2", "NOT_IMPLEMENTED")):
        headers = {"User-Agent": f"mlflow-python-client/{version}"}
        answer = ask(url, "GET", "/api/3.0/mlflow/traces/search", headers=headers)
        assert (answer.status, json.loads(answer.body)["error_code"]) == (501, code)


def test_a_body_that_is_no_json_is_400(url: str) -> None:
    path = f"{BASE}runs/create"
    for body, headers, words in (
        (b"{", JSON, "no JSON object"),
        (b"{}", {"Content-Type": "text/plain"}, "Content-Type must be one of"),
        (b"{}", {}, "Content-Type header is missing"),
        (b"[" * 100_000, JSON, "Bad Request"),
        (b"[]", JSON, "Bad Request"),
    ):
        answer = ask(url, "POST", path, body, headers)
        code = "BAD_REQUEST" if headers is JSON else "INVALID_PARAMETER_VALUE"
        assert (answer.status, json.loads(answer.body)["error_code"]) == (400, code)
        assert words in answer.text


def test_a_question_may_stand_in_a_body(url: str, run_id: str) -> None:
    for path, asked in (
        ("runs/get", {"run_id": run_id}),
        ("experiments/search", {"max_results": 1}),
        (f"logged-models/{run_id}", {"allow_deleted": True}),
    ):
        answer = ask(url, "GET", BASE + path, json.dumps(asked).encode())
        assert answer.status == (404 if path.startswith("logged") else 200), answer.text
    assert ask(url, "GET", f"{BASE}runs/get", b"{").status == 400


def test_a_null_is_a_field_left_out(url: str, run_id: str) -> None:
    nothing: dict[str, Any] = {
        "metrics": None,
        "params": [{"key": "a", "value": None}],
        "tags": None,
    }
    assert post(url, "runs/log-batch", run_id=run_id, **nothing) == (200, {})
    assert get(url, f"runs/get?run_id={run_id}")[1]["run"]["data"]["params"] == [
        {"key": "a", "value": ""}
    ]
    status, found = post(url, "runs/search", experiment_ids=["0"], filter=None, order_by=[None])
    assert (status, found["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert post(url, "runs/search", experiment_ids=["0"], filter=None)[0] == 200


def test_enumerations_come_by_name_or_by_number(url: str, run_id: str) -> None:
    for given, kept in (
        (3, "FINISHED"),
        ("5", "KILLED"),
        ("SCHEDULED", "SCHEDULED"),
        (1, "RUNNING"),
    ):
        status, changed = post(url, "runs/update", run_id=run_id, status=given)
        assert (status, changed["run_info"]["status"]) == (200, kept)
    post(url, "runs/delete", run_id=run_id)
    for view, is_found in ((1, False), ("2", True), (3, True), ("", False)):
        _, found = post(url, "runs/search", experiment_ids=["0"], run_view_type=view)
        assert (run_id in str(found)) == is_found


def test_an_ended_run_may_get_another_end(url: str, run_id: str) -> None:
    post(url, "runs/update", run_id=run_id, status="FAILED", end_time=70)
    _, changed = post(url, "runs/update", run_id=run_id, end_time=77)
    assert (changed["run_info"]["status"], changed["run_info"]["end_time"]) == ("FAILED", 77)
    _, started = post(url, "runs/update", run_id=run_id, status="RUNNING")
    assert (started["run_info"]["status"], "end_time" in started["run_info"]) == ("RUNNING", False)


def test_an_experiment_is_deleted_and_restored_once(url: str) -> None:
    _, made = post(url, "experiments/create", name="once")
    for what in ("delete", "restore"):
        assert post(url, f"experiments/{what}", **made) == (200, {})
        assert post(url, f"experiments/{what}", **made)[0] == 404


def test_clients_before_mlflow_2_list_experiments_and_models(url: str) -> None:
    post(url, "experiments/create", name="listed")
    post(url, "registered-models/create", name="listed")
    found = get(url, "experiments/list")[1]["experiments"]
    assert {"Default", "listed"} <= {each["name"] for each in found}
    assert get(url, "experiments/list?view_type=DELETED_ONLY&max_results=1")[0] == 200
    for base in ("/api/2.0/mlflow", "/api/2.0/preview/mlflow"):
        answer = ask(url, "GET", f"{base}/registered-models/list?max_results=100")
        assert "listed" in {each["name"] for each in json.loads(answer.body)["registered_models"]}


def test_what_is_for_generative_ai_is_not_supported_and_the_rest_is_not_there(url: str) -> None:
    for path, status, code in (
        ("/api/3.0/mlflow/traces/search", 501, "NOT_IMPLEMENTED"),
        ("/ajax-api/3.0/mlflow/scorers/list", 501, "NOT_IMPLEMENTED"),
        ("/api/3.0/mlflow/workspaces", 501, "NOT_IMPLEMENTED"),
        ("/api/2.0/mlflow/runs/invent", 404, "ENDPOINT_NOT_FOUND"),
        ("/api/3.0/nothing", 404, "ENDPOINT_NOT_FOUND"),
    ):
        answer = ask(url, "GET", path)
        assert (answer.status, json.loads(answer.body)["error_code"]) == (status, code)


def test_a_prompt_is_not_supported_and_leaves_no_model(url: str) -> None:
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    made = post(url, "registered-models/create", name="greeting", tags=tags)
    assert (made[0], made[1]["error_code"]) == (501, "NOT_IMPLEMENTED")
    assert "Prompts are not supported" in made[1]["message"]
    assert get(url, "registered-models/get?name=greeting")[0] == 404
    # As a client does that finds a model of the name.
    post(url, "registered-models/create", name="greeting")
    made = post(url, "model-versions/create", name="greeting", source="dummy-source", tags=tags)
    assert (made[0], made[1]["error_code"]) == (501, "NOT_IMPLEMENTED")
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "false"}]
    assert post(url, "registered-models/create", name="no prompt", tags=tags)[0] == 200


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


def test_a_history_comes_as_it_was_logged_by_pages_and_spells_what_json_cannot(
    url: str, run_id: str
) -> None:
    logged: list[tuple[int, int, float | str]] = [
        (0, 10, 1.5), (2, 30, "NaN"), (1, 20, "Infinity"), (2, 30, 2.5), (0, 50, 3.5), (3, 5, 0.5),
    ]  # fmt: skip
    for step, at, value in logged:
        status, _ = post(
            url, "runs/log-metric", run_id=run_id, key="rmse", value=value, step=str(step),
            timestamp=at,
        )  # fmt: skip
        assert status == 200
    path = f"metrics/get-history?run_id={run_id}&metric_key=rmse"
    _, first = get(url, f"{path}&max_results=4")
    _, rest = get(url, f"{path}&max_results=4&page_token={first['next_page_token']}")
    points = [(each["step"], each["timestamp"], each["value"])
              for each in first["metrics"] + rest["metrics"]]  # fmt: skip
    assert points[:3] == [(3, 5, 0.5), (0, 10, 1.5), (1, 20, "Infinity")]
    assert sorted(points[3:5], key=str) == [(2, 30, "NaN"), (2, 30, 2.5)]
    assert points[5:] == [(0, 50, 3.5)]
    _, whole = get(url, f"metrics/get-history-bulk?run_id={run_id}&metric_key=rmse")
    assert [(each["step"], each["timestamp"], each["value"]) for each in whole["metrics"]] == points
    assert len(get(url, f"{path}&max_results=1000000")[1]["metrics"]) == 6
    assert get(url, f"{path}&max_results=0")[0] == 400
    some = f"metrics/get-history-bulk-interval?run_ids={run_id}&metric_key=rmse"
    assert get(url, f"{some}&start_step=1")[0] == 400
    assert get(url, f"{some}&start_step=2&end_step=1")[0] == 400
    assert {each["step"] for each in get(url, f"{some}&start_step=1&end_step=2")[1]["metrics"]} == {
        1, 2,
    }  # fmt: skip
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


@pytest.mark.parametrize("of_model", [False, True], ids=["run", "logged model"])
def test_a_path_is_a_file_or_a_folder_and_never_both(
    url: str, run_id: str, *, of_model: bool
) -> None:
    base = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/"
    if of_model:
        _, model = post(url, "logged-models", experiment_id="0", name="gbm")
        model_id = model["model"]["info"]["model_id"]
        base = f"/api/2.0/mlflow-artifacts/artifacts/0/models/{model_id}/artifacts/"
    assert ask(url, "PUT", f"{base}plots/loss", b"1").status == 200
    for path, words in (
        ("plots", b"'plots' is a folder"),
        ("plots/loss/x/y", b"'plots/loss' is a file"),
    ):
        refused = ask(url, "PUT", base + path, b"2")
        assert refused.status == 400
        assert words in refused.body
    assert ask(url, "PUT", f"{base}plots/loss", b"3").status == 200  # A file may be replaced,
    assert ask(url, "PUT", f"{base}plots/loss2", b"4").status == 200  # or have a neighbour.
    assert ask(url, "PUT", f"{base}plots2", b"5").status == 200
    assert ask(url, "GET", f"{base}plots/loss").body == b"3"
    assert ask(url, "DELETE", f"{base}plots").status == 200
    assert ask(url, "PUT", f"{base}plots", b"6").status == 200


def test_a_search_tells_what_runs_read_and_made(url: str) -> None:
    _, made = post(url, "experiments/create", name="reads")
    experiment_id = made["experiment_id"]
    _, run = post(url, "runs/create", experiment_id=experiment_id, start_time=1)
    run_id = run["run"]["info"]["run_id"]
    _, model = post(url, "logged-models", experiment_id=experiment_id, name="gbm")
    model_id = model["model"]["info"]["model_id"]
    trips = {"name": "trips", "digest": "d1", "source_type": "local", "source": "{}"}
    tags = [
        {"key": "mlflow.data.context", "value": "training"},
        {"key": "split", "value": "by month"},
    ]
    read: dict[str, Any] = {
        "datasets": [{"dataset": trips, "tags": tags}],
        "models": [{"model_id": "m-far"}],
    }
    assert post(url, "runs/log-inputs", run_id=run_id, **read) == (200, {})
    outputs = [{"model_id": model_id, "step": 3}]
    assert post(url, "runs/outputs", run_id=run_id, models=outputs) == (200, {})
    _, found = post(url, "runs/search", experiment_ids=[experiment_id])
    (one,) = found["runs"]
    (kept,) = one["inputs"]["dataset_inputs"]
    assert (kept["dataset"]["name"], kept["tags"]) == ("trips", tags)
    # They are the reading's, not the run's.
    assert one["data"].get("tags") == run["run"]["data"].get("tags")
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
    assert get(url, f"logged-models/{model_id}")[0] == 404
    _, deleted = get(url, f"logged-models/{model_id}?allow_deleted=true")
    assert deleted["model"]["info"]["name"] == "gbm"
    assert ask(url, "GET", f"{files}/data/model.bin").body == b"bytes"
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


def test_a_copied_version_has_what_its_request_says(url: str, run_id: str) -> None:
    post(url, "registered-models/create", name="copied")
    told: dict[str, Any] = {"description": "d", "tags": [{"key": "a", "value": "b"}]}
    post(url, "model-versions/create", name="copied", source=f"runs:/{run_id}/model", **told)
    _, bare = post(url, "model-versions/create", name="copied", source="models:/copied/1")
    assert {"description", "tags"} & set(bare["model_version"]) == set()
    _, full = post(url, "model-versions/create", name="copied", source="models:/copied/1", **told)
    assert (full["model_version"]["description"], full["model_version"]["tags"]) == (
        "d",
        told["tags"],
    )


def test_the_alias_latest_is_the_highest_version(url: str, run_id: str) -> None:
    post(url, "registered-models/create", name="latest")
    assert get(url, "registered-models/alias?name=latest&alias=latest")[0] == 400
    for _ in range(3):
        post(url, "model-versions/create", name="latest", source=f"runs:/{run_id}/model")
    post(url, "model-versions/transition-stage", name="latest", version="2", stage="Production")
    post(url, "model-versions/delete", "DELETE", name="latest", version="3")
    _, found = get(url, "registered-models/alias?name=latest&alias=latest")
    assert found["model_version"]["version"] == "2"


def test_links_to_files_of_mlflows_pages_work(url: str, run_id: str) -> None:
    files = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/model"
    assert ask(url, "PUT", f"{files}/a.txt", b"hello").status == 200
    post(url, "registered-models/create", name="linked")
    post(url, "model-versions/create", name="linked", source=f"runs:/{run_id}/model")
    for link in (
        f"/get-artifact?run_uuid={run_id}&path=model/a.txt",
        f"/get-artifact?run_id={run_id}&path=model%2Fa.txt",
        "/model-versions/get-artifact?name=linked&version=1&path=a.txt",
    ):
        answer = ask(url, "GET", link)
        assert (answer.status, answer.body) == (200, b"hello")
        assert answer.headers["Content-Disposition"].startswith("attachment")
    for link, status in (
        (f"/get-artifact?run_uuid={run_id}&path=../a.txt", 400),
        (f"/get-artifact?run_uuid={run_id}&path=none", 404),
        ("/get-artifact?path=a.txt", 400),
        ("/model-versions/get-artifact?name=linked&version=x&path=a.txt", 400),
        ("/model-versions/get-artifact?name=linked&version=9&path=a.txt", 404),
    ):
        assert ask(url, "GET", link).status == status
