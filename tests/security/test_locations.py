"""Places chosen by clients are refused, and nothing is fetched from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.security.target import Target

PLACES = [
    "{canary}/x", "http://localhost:{port}/x", "http://0.0.0.0:{port}/x", "http://[::1]:{port}/x",
    "http://2130706433:{port}/x", "http://127.1:{port}/x", "http://0x7f000001:{port}/x",
    "http://169.254.169.254/latest/meta-data/", "ftp://127.0.0.1:{port}/x", "gopher://127.0.0.1/x",
    "file:///etc", "file:/etc", "FILE:///etc", "file://localhost/etc", "/etc", "etc", "../etc",
    "s3://bucket/x", "gs://bucket/x", "wasbs://a@b/x", "hdfs://h/x", "dbfs:/x", "sftp://h/x",
    "http:{port}", "{canary}#@mlflow-artifacts:/", "mlflow-artifacts://127.0.0.1:{port}/0",
    "mlflow-artifacts:", " file:///etc", "file:\\\\\\etc", "\\\\127.0.0.1\\share", "data:,x",
    "jar:{canary}!/x", "models:/../x", "runs:/../x/y", "runs:", "models:/fare/1/../2",
]  # fmt: skip


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, target: Target) -> str:
    return str(request.param).format(canary=target.canary.url, port=target.canary.port)


def test_no_experiment_says_where_its_files_lie(target: Target, place: str) -> None:
    fields = {"name": f"at {place}", "artifact_location": place}
    assert target.post("experiments/create", fields).status == 400


def test_no_version_is_made_of_a_place_elsewhere(target: Target, place: str) -> None:
    fields = {"name": "fare", "source": place}
    assert target.post("model-versions/create", fields).status in {400, 404}
    with_run = {**fields, "run_id": target.run_id}
    assert target.post("model-versions/create", with_run).status in {400, 404}


def test_what_is_only_written_down_is_never_fetched(target: Target, place: str) -> None:
    """Links and data sources are words about the world outside."""
    run = {"run_id": target.run_id}
    source = {"name": "fare", "source": f"runs:/{target.run_id}/model", "run_link": place}
    target.post("model-versions/create", source)
    target.post("runs/set-tag", {**run, "key": "mlflow.source.git.repoURL", "value": place})
    dataset = {"name": "d", "digest": "d", "source_type": "http", "source": place}
    target.post("runs/log-inputs", {**run, "datasets": [{"dataset": dataset, "tags": []}]})
    target.post("runs/log-model", {**run, "model_json": '{"artifact_path": "' + "x" + '"}'})
    for page in ("", f"runs/{target.run_id}", "models/fare", "models"):
        target.send("GET", f"/{page}", None, {})
    assert target.canary.heard == []
