"""Rows bring their own ids: they name the predictions, and the model does not see them."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from tests.serving.serving import invoke, predictions, serving

import loopline
from loopline.errors import InvalidInputError
from loopline.serving.arrow import STREAM

if TYPE_CHECKING:
    from pathlib import Path

ROWS = pd.DataFrame({"trip_id": ["a", "b"], "miles": [1.0, 2.0], "hour": [8, 9]})


def arrow_body() -> bytes:
    sink = io.BytesIO()
    table = pa.Table.from_pandas(ROWS, preserve_index=False)
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


RECORDS = ROWS.to_dict(orient="records")
SHAPES = {
    "records": ({"dataframe_records": RECORDS}, "application/json"),
    "instances": ({"instances": RECORDS}, "application/json"),
    "inputs": ({"inputs": ROWS.to_dict(orient="list")}, "application/json"),
    "split": ({"dataframe_split": ROWS.to_dict(orient="split")}, "application/json"),
    "csv": (ROWS.to_csv(index=False).encode(), "text/csv; charset=utf-8"),
    "arrow": (arrow_body(), STREAM),
    "parquet": (ROWS.to_parquet(index=False), "application/vnd.apache.parquet"),
}


def asked(url: str, shape: str) -> Any:  # noqa: ANN401 - the answer
    body, kind = SHAPES[shape]
    return invoke(url, body, kind)


def test_ids_come_in_every_shape_and_truth_joins_by_them(fares: str) -> None:
    with serving(fares, record=1.0, id_column="trip_id") as url:
        for shape in SHAPES:
            answer = asked(url, shape)
            assert answer.status == 200, (shape, answer.text)
            assert "X-Loopline-Prediction-Id" not in answer.headers
    loopline.truth.add(
        pd.DataFrame({"trip_id": ["a"], "fare": [3.5]}), "fares", id_column="trip_id"
    )
    found = loopline.predictions("fares").to_pylist()
    assert [row["id"] for row in found] == ["a", "b"] * len(SHAPES)
    assert [row["prediction"] for row in found] == pytest.approx([3, 5] * len(SHAPES))
    assert {row["truth"] for row in found} == {3.5, None}
    assert not [name for name in found[0] if "trip_id" in name]


def test_a_model_without_a_signature_does_not_see_them(home: Path, tmp_path: Path) -> None:
    del home

    def columns(model_input: Any) -> Any:  # noqa: ANN401 - a DataFrame
        return [",".join(map(str, getattr(model_input, "columns", model_input)))] * 2

    loopline.pyfunc.save_model(tmp_path / "seen", columns)
    with serving(str(tmp_path / "seen"), allow_pickle=True, record=1.0, id_column="trip_id") as url:
        for shape in SHAPES.keys() - {"arrow", "instances"}:
            assert predictions(asked(url, shape)) == ["miles,hour"] * 2, shape
        seen = pa.ipc.open_stream(asked(url, "arrow").body).read_all()
        assert seen["predictions"].to_pylist() == ["miles,hour"] * 2


def test_a_row_without_an_id_is_refused_by_name(fares: str) -> None:
    with serving(fares, record=1.0, id_column="trip_id") as url:
        for body, row in (
            ({"inputs": {"miles": [1.0], "hour": [8]}}, None),
            ({"dataframe_records": [RECORDS[0], {**RECORDS[1], "trip_id": None}]}, 1),
            ({"inputs": {"trip_id": ["a"], "miles": [1.0, 2.0], "hour": [8, 9]}}, None),
        ):
            answer = invoke(url, body)
            assert answer.status == 400, answer.text
            told = json.loads(answer.body)
            assert told["field"] == "trip_id"
            assert told.get("row") == row
        assert invoke(url, b"{").status == 400
        assert invoke(url, b"x", "text/plain").status == 415
    assert len(loopline.predictions("fares")) == 0


def test_a_shadow_is_recorded_under_the_same_ids(fares: str) -> None:
    loopline.registry.transition_stage("fares", 3, "Staging")
    with serving(fares, record=1.0, id_column="trip_id", shadow="models:/fares/Staging") as url:
        assert predictions(asked(url, "records")) == pytest.approx([3, 5])
    found = loopline.predictions("fares").to_pylist()
    assert sorted((row["role"], row["id"]) for row in found) == [
        ("champion", "a"), ("champion", "b"), ("shadow", "a"), ("shadow", "b"),
    ]  # fmt: skip


def test_ids_without_records_are_a_mistake(folder: Path) -> None:
    with (
        pytest.raises(InvalidInputError, match="--record all"),
        serving(str(folder), id_column="trip_id"),
    ):
        pass
