"""Signatures: inferred from data, written as MLflow writes them, enforced before scoring."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.errors import InvalidInputError
from loopline.models import Signature, infer_signature
from loopline.models.enforce import enforce_params, enforce_schema
from loopline.models.schema import TYPES, Column, Schema, Tensor

TRIPS = pd.DataFrame(
    {
        "trip_distance": [1.5, 2.0],
        "passengers": pd.Series([1, 2], dtype="int32"),
        "location": [41, 7],
        "tip": pd.Series([0.5, 1.0], dtype="float32"),
        "cash": [True, False],
        "borough": ["Queens", None],
        "vendor": pd.Categorical(["a", "b"]),
        "pickup": pd.to_datetime(["2022-01-01", "2022-01-02"]),
    }
)


def test_each_pandas_column_gets_mlflows_word_for_its_type() -> None:
    inputs = infer_signature(TRIPS).inputs
    assert inputs is not None
    assert [(column.name, column.type, column.required) for column in inputs.columns] == [
        ("trip_distance", "double", True),
        ("passengers", "integer", True),
        ("location", "long", True),
        ("tip", "float", True),
        ("cash", "boolean", True),
        ("borough", "string", False),
        ("vendor", "string", True),
        ("pickup", "datetime", True),
    ]


def test_a_signature_reads_as_the_json_texts_that_mlflow_writes() -> None:
    signature = infer_signature(TRIPS[["trip_distance", "location"]], np.array([6.0, 8.5]))
    texts = signature.to_dict()
    assert json.loads(texts["inputs"] or "") == [
        {"type": "double", "name": "trip_distance", "required": True},
        {"type": "long", "name": "location", "required": True},
    ]
    assert json.loads(texts["outputs"] or "") == [
        {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}
    ]
    assert texts["params"] is None


def test_an_array_is_a_tensor_with_any_number_of_rows() -> None:
    signature = infer_signature(np.zeros((5, 3), dtype="float32"))
    assert signature.inputs == Schema(tensors=(Tensor(dtype="float32", shape=(-1, 3)),))


def test_lists_and_rows_give_the_columns_a_table_would() -> None:
    by_column = infer_signature({"trip_distance": [1.5, 2], "borough": ["Queens", None]})
    by_row = infer_signature([{"trip_distance": 1.5, "borough": "Queens"}, {"trip_distance": 2.0}])
    assert by_column == by_row
    assert by_row.inputs is not None
    assert [column.required for column in by_row.inputs.columns] == [True, False]


def test_a_column_of_mixed_types_is_refused_by_name() -> None:
    with pytest.raises(InvalidInputError, match="'fare' mixes double and string"):
        infer_signature({"fare": [6.5, "free"]})


names = st.text(min_size=1, max_size=8)
columns = st.builds(Column, name=names, type=st.sampled_from(TYPES), required=st.booleans())
tensors = st.builds(
    Tensor,
    name=names,
    dtype=st.sampled_from(["float32", "int64", "bool"]),
    shape=st.lists(st.integers(-1, 9), max_size=3).map(tuple),
)
schemas = st.builds(Schema, columns=st.lists(columns, min_size=1).map(tuple)) | st.builds(
    Schema, tensors=st.lists(tensors, min_size=1).map(tuple)
)


@given(inputs=schemas, outputs=st.none() | schemas)
def test_a_signature_survives_its_texts(inputs: Schema, outputs: Schema | None) -> None:
    signature = Signature(inputs=inputs, outputs=outputs)
    assert Signature.from_dict(signature.to_dict()) == signature


@pytest.mark.parametrize(
    "text", ["nonsense", "7", '[{"name": "a"}]', "[3]", '[{"type": "tensor"}]']
)
def test_a_signature_that_cannot_be_read_says_what_to_do(text: str) -> None:
    with pytest.raises(InvalidInputError, match="Log the model again"):
        Signature.from_dict({"inputs": text})


FARE_INPUTS = Schema(
    columns=(
        Column(name="trip_distance", type="double"),
        Column(name="passengers", type="long"),
        Column(name="borough", type="string", required=False),
    )
)


def test_columns_come_in_the_models_order_without_the_ones_it_does_not_know() -> None:
    data = pd.DataFrame(
        {"tip": [9.0], "borough": ["Queens"], "passengers": [2], "trip_distance": [1.5]}
    )
    assert list(enforce_schema(data, FARE_INPUTS).columns) == [
        "trip_distance",
        "passengers",
        "borough",
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"trip_distance": 3, "passengers": 2},
        {"trip_distance": [3], "passengers": [2]},
        {"trip_distance": np.array([3]), "passengers": np.array([2])},
        [{"trip_distance": 3, "passengers": 2}],
    ],
)
def test_whole_numbers_serve_as_decimals_however_the_rows_come(data: Any) -> None:  # noqa: ANN401
    table = enforce_schema(data, FARE_INPUTS)
    assert table["trip_distance"].tolist() == [3.0]
    assert table["trip_distance"].dtype == "float64"


def test_an_empty_decimal_becomes_nan() -> None:
    rows = [{"trip_distance": 3, "passengers": 1}, {"trip_distance": None, "passengers": 1}]
    assert enforce_schema(rows, FARE_INPUTS)["trip_distance"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (
            {"trip_distanse": [1.5], "passengers": [2]},
            "'trip_distance'. Did you mean 'trip_distanse'",
        ),
        ({"trip_distance": ["far"], "passengers": [2]}, "'trip_distance' must be double .* 'far'"),
        ({"trip_distance": [1.5], "passengers": [2.5]}, "'passengers' must be long .* 2.5"),
        ({"trip_distance": [1.5], "passengers": [None]}, "'passengers' must not be empty"),
        ({"trip_distance": [2**60 + 1], "passengers": [2]}, "'trip_distance' .* too large"),
        ({"trip_distance": [1.5], "passengers": [2], "borough": [7]}, "'borough' must be string"),
        (np.zeros((1, 3)), "columns by name"),
        (7, "takes a table, not int"),
    ],
)
def test_data_that_do_not_fit_are_refused_by_column(data: Any, complaint: str) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInputError, match=complaint):
        enforce_schema(data, FARE_INPUTS)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (pd.DataFrame([[1.5, 2.5, 2]], columns=["trip_distance"] * 2 + ["passengers"]), "once"),
        ({"trip_distance": [1.5, 2.0], "passengers": [2]}, "are no table"),
        (np.zeros((0,)), "by name"),
    ],
    ids=["doubled", "ragged dict", "empty array"],
)
def test_what_is_no_table_is_refused_in_our_words(data: Any, complaint: str) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInputError, match=complaint):
        enforce_schema(data, FARE_INPUTS)


def test_no_rows_are_a_table_of_none() -> None:
    columns = Schema(columns=(Column(name=None, type="double"), Column(name=None, type="double")))
    assert enforce_schema(np.zeros((0, 2)), columns).shape == (0, 2)
    with pytest.raises(InvalidInputError, match="are no table"):
        enforce_schema(np.zeros((0,)), columns)


def test_dates_may_come_as_iso_text_and_nothing_else() -> None:
    pickup = Schema(columns=(Column(name="pickup", type="datetime"),))
    table = enforce_schema({"pickup": ["2023-01-31T08:30:00"]}, pickup)
    assert table["pickup"].tolist() == [pd.Timestamp("2023-01-31 08:30")]
    with pytest.raises(InvalidInputError, match="'pickup' must be datetime"):
        enforce_schema({"pickup": ["last Monday"]}, pickup)


def test_a_tensor_of_another_shape_or_kind_is_refused() -> None:
    schema = Schema(tensors=(Tensor(dtype="float32", shape=(-1, 2)),))
    assert enforce_schema([[1, 2.5]], schema).dtype == "float32"
    with pytest.raises(InvalidInputError, match=r"shape \(-1, 2\) .* not \(1, 3\)"):
        enforce_schema(np.zeros((1, 3)), schema)
    with pytest.raises(InvalidInputError, match="must be float32, not str"):
        enforce_schema(np.array([["a", "b"]]), schema)


def test_named_tensors_come_as_a_dict() -> None:
    schema = infer_signature({"distance": np.zeros((2, 1)), "hour": np.zeros((2, 1))}).inputs
    assert schema is not None
    arrays = enforce_schema({"hour": [[8]], "distance": [[1.5]]}, schema)
    assert list(arrays) == ["distance", "hour"]
    with pytest.raises(InvalidInputError, match="needs input 'hour'"):
        enforce_schema({"distance": [[1.5]]}, schema)


def test_params_have_defaults_and_only_known_names() -> None:
    params = infer_signature(params={"quantile": 0.5, "zones": ["Queens"]}).params
    assert enforce_params({"quantile": 1}, params) == {"quantile": 1, "zones": ["Queens"]}
    with pytest.raises(InvalidInputError, match=r"parameter 'quantil'\. Did you mean 'quantile'"):
        enforce_params({"quantil": 0.5}, params)
    with pytest.raises(InvalidInputError, match="'zones' must be string in a list"):
        enforce_params({"zones": "Queens"}, params)
