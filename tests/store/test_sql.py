"""SQL on a store: MLflow's tables are there, every point too, and nothing can be changed."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

import pytest

from loopline.errors import InvalidInputError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.tracking import Dataset, RunStatus
from loopline.store.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.local import LocalBackend

VALUES = [4.0, math.nan, 3.5]


@pytest.fixture(scope="module")
def backend(open_module_backend: Callable[..., LocalBackend]) -> LocalBackend:
    backend = open_module_backend()
    column = array("q", [0, 1, 2]).tobytes()
    points = array("d", VALUES).tobytes()
    facts: list[f.Fact] = [
        f.RunStarted(run_id="taxi", experiment="fares", name="night", start_ms=1000, user="vera"),
        f.ParamsLogged(run_id="taxi", params={"model": "gbm"}),
        f.TagsSet(run_id="taxi", tags={"mlflow.source.name": "train.py"}),
        f.MetricPoints(
            run_id="taxi", key="rmse", steps=column, timestamps_ms=column, values=points
        ),
        f.InputLogged(
            run_id="taxi", dataset=Dataset(name="trips", digest="4f1d", source="trips.csv")
        ),
        f.InputLogged(
            run_id="taxi", dataset=Dataset(name="trips", digest="4f1d"), context="training"
        ),
        f.ArtifactLogged(
            run_id="taxi", path="model/model.skops", sha256="0" * 64, size_bytes=1, at_ms=1
        ),
        f.RunEnded(run_id="taxi", status=RunStatus.FINISHED, end_ms=2000),
    ]
    backend.send(f.Batch(writer="0" * 32, start=0, end=len(facts), facts=facts))
    backend.call(ops.CreateModel(name="taxifare_model", tags={"team": "cabs"}))
    tags = {"gate": 'passed, "by" 2 %'}
    backend.call(
        ops.RegisterVersion(name="taxifare_model", run_id="taxi", artifact_path="model", tags=tags)
    )
    backend.call(
        ops.RegisterVersion(name="taxifare_model", source="s3://bucket/m", allow_empty=True)
    )
    return backend


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        (
            "SELECT run_uuid, name, user_id, status, source_name, start_time, end_time FROM runs",
            [("taxi", "night", "vera", "FINISHED", "train.py", 1000, 2000)],
        ),
        ("SELECT key, value FROM params WHERE run_uuid = 'taxi'", [("model", "gbm")]),
        ("SELECT key, value, step, run_uuid FROM latest_metrics", [("rmse", 3.5, 2, "taxi")]),
        (
            "SELECT step, value, is_nan FROM metrics WHERE key = 'rmse' ORDER BY step",
            [(0, 4.0, False), (1, 0.0, True), (2, 3.5, False)],
        ),
        ("SELECT name FROM experiments WHERE name LIKE 'f%'", [("fares",)]),
        ("SELECT name, digest, dataset_source FROM datasets", [("trips", "4f1d", "trips.csv")]),
        ("SELECT destination_id FROM inputs", [("taxi",)] * 2),
        (
            """SELECT d.name, t.name, t.value FROM inputs i
               JOIN datasets d ON d.dataset_uuid = i.source_id
               LEFT JOIN input_tags t ON t.input_uuid = i.input_uuid ORDER BY t.value IS NULL""",
            [("trips", "mlflow.data.context", "training"), ("trips", None, None)],
        ),
        (
            "SELECT name, version, key, value FROM model_version_tags",
            [("taxifare_model", 1, "gate", 'passed, "by" 2 %')],
        ),
        (
            "SELECT name, version, current_stage, source, status FROM model_versions ORDER BY 2",
            [
                ("taxifare_model", 1, "None", "runs:/taxi/model", "READY"),
                ("taxifare_model", 2, "None", "s3://bucket/m", "READY"),
            ],
        ),
        (
            "SELECT key, value, name FROM registered_model_tags",
            [("team", "cabs", "taxifare_model")],
        ),
        ("WITH one AS (SELECT 1 AS n) SELECT n + 1 FROM one", [(2,)]),
    ],
)
def test_mlflows_tables_answer(
    backend: LocalBackend, statement: str, rows: list[tuple[object, ...]]
) -> None:
    assert backend.run_sql(statement).rows == rows


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_read(backend: LocalBackend, view: str) -> None:
    assert backend.run_sql(f"SELECT * FROM {view}").columns  # noqa: S608 - ours


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ll_run",
        "DROP TABLE ll_run",
        "WITH gone AS (SELECT 1) DELETE FROM ll_run",
        "SELECT 1; DELETE FROM ll_run",
        "select nonsense from nowhere",
        "",
    ],
)
def test_what_changes_or_is_no_sql_is_refused(backend: LocalBackend, statement: str) -> None:
    with pytest.raises(InvalidInputError):
        backend.run_sql(statement)
    assert backend.run_sql("SELECT count(*) FROM runs").rows == [(1,)]


def test_values_are_bound(backend: LocalBackend) -> None:
    mark = "?" if backend.store.is_sqlite else "%s"
    statement = f"SELECT name FROM runs WHERE name = {mark}"  # noqa: S608 - a mark
    assert backend.run_sql(statement, ["night"]).rows == [("night",)]
    assert backend.run_sql(statement, ["night' OR '1'='1"]).rows == []
