"""Logged models that were deleted on a server come along where a run names them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.server.running import ask, running

from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.records.base import Lifecycle
from loopline.settings import Address
from loopline.transfer.importer import import_from
from loopline.transfer.mlflow_server import ServerSource

if TYPE_CHECKING:
    from pathlib import Path

JSON = {"Content-Type": "application/json"}


def test_a_deleted_model_comes_with_its_files_when_a_run_made_it(tmp_path: Path) -> None:
    with running(Address("home", str(tmp_path / "theirs"))) as url:

        def post(path: str, method: str = "POST", **fields: Any) -> dict[str, Any]:  # noqa: ANN401
            body = json.dumps(fields).encode()
            answer = ask(url, method, f"/api/2.0/mlflow/{path}", body, JSON)
            assert answer.status == 200, answer.text
            told: dict[str, Any] = json.loads(answer.body)
            return told

        run = post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
        ids = []
        for name in ("made", "unknown"):
            model = post("logged-models", experiment_id="0", name=name)["model"]["info"]
            ids.append(model["model_id"])
            root = model["artifact_uri"].removeprefix("mlflow-artifacts:/")
            files = f"/api/2.0/mlflow-artifacts/artifacts/{root}/MLmodel"
            assert ask(url, "PUT", files, b"flavors: {}").status == 200
            post(f"logged-models/{model['model_id']}", "DELETE")
        made = [{"model_id": ids[0]}, {"model_id": "m-removed-for-good"}]
        post("runs/outputs", run_id=run, models=made)
        here = LocalBackend(Address("home", str(tmp_path / "here")))
        source = ServerSource(url)
        report = import_from(source, here)
        source.close()
    page = here.call(ops.SearchLoggedModels(lifecycle="all"))
    assert [(each.model_id, each.lifecycle) for each in page.models] == [
        (ids[0], Lifecycle.DELETED)
    ]
    (described,) = here.call(ops.DescribeLoggedModels(model_ids=[ids[0]]))
    assert [file.path for file in described.files] == ["MLmodel"]
    here.close()
    (note,) = (each for each in report.left_out if each.what == "deleted logged models")
    assert (note.count, "tells nothing of them" in note.why) == (1, True)
