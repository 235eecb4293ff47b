"""MLflow's scoring protocol: each shape of a request, each refusal."""

from __future__ import annotations

import io
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.server.running import ask
from tests.serving.serving import invoke, predictions, serving

import loopline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

ROWS: list[dict[str, Any]] = [{"miles": 1.0, "hour": 8}, {"miles": 2, "hour": 9}]
SHAPES: dict[str, Any] = {
    "split": {"dataframe_split": {"columns": ["miles", "hour"], "data": [[1, 8], [2, 9]]}},
    "split, other order": {
        "dataframe_split": {
            "columns": ["hour", "more", "miles"],
            "index": [7, 8],
            "data": [[8, "x", 1.0], [9, "y", 2.0]],
        }
    },
    "records": {"dataframe_records": ROWS},
    "records with more": {"dataframe_records": [{**row, "more": "x"} for row in ROWS]},
    "records of text": {"dataframe_records": [{"miles": "1", "hour": "8"}, ROWS[1]]},
    "instances": {"instances": ROWS},
    "inputs by column": {"inputs": {"miles": [1, 2], "hour": [8, 9]}},
    "inputs by row": {"inputs": ROWS},
    "parameters that it does not have": {"inputs": ROWS, "params": {"a": 1}, "more": 2},
}


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with serving(str(folder)) as found:
        yield found


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_json_is_the_same_question(url: str, shape: str) -> None:
    assert predictions(invoke(url, SHAPES[shape])) == pytest.approx([5, 7])


def test_one_row_may_come_without_lists(url: str) -> None:
    assert predictions(invoke(url, {"inputs": {"miles": 1, "hour": 8}})) == pytest.approx([5])


def test_a_table_may_come_as_csv(url: str) -> None:
    answer = invoke(url, b"hour,miles\n8,1\n9,2\n", "text/csv; charset=utf-8")
    assert predictions(answer) == pytest.approx([5, 7])


def test_arrow_comes_in_and_goes_out(url: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = "application/vnd.apache.arrow.stream"
    table = pa.table({"miles": [1.0, 2.0], "hour": [8, 9]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    answer = invoke(url, sink.getvalue(), stream)
    assert answer.headers["Content-Type"] == stream
    found = pa.ipc.open_stream(answer.body).read_all()
    assert found["predictions"].to_pylist() == pytest.approx([5, 7])

    asked = ask(
        url, "POST", "/invocations", sink.getvalue(),
        {"Content-Type": stream, "Accept": "application/json"},
    )  # fmt: skip
    assert predictions(asked) == pytest.approx([5, 7])
    parquet = io.BytesIO()
    pq.write_table(table, parquet)
    answer = invoke(url, parquet.getvalue(), "application/vnd.apache.parquet")
    assert predictions(answer) == pytest.approx([5, 7])


@pytest.mark.parametrize(
    ("body", "field", "row"),
    [
        ({"dataframe_records": [ROWS[0], {"miles": "far", "hour": 8}]}, "miles", 1),
        ({"inputs": {"miles": [1, 2, "far"], "hour": [8, 8, 8]}}, "miles", 2),
        ({"dataframe_records": [{"miles": 1}]}, "hour", None),
        ({"dataframe_records": [ROWS[0], {"miles": 1.0, "hour": None}]}, "hour", None),
        ({"inputs": {"miles": [1, 2], "hour": [8]}}, "hour", None),
        ({"dataframe_split": {"columns": ["miles", "hour"], "data": [[1, 8], [2]]}}, None, 1),
        ({"dataframe_records": []}, "miles", None),
        ({"instances": [[1, 8]]}, None, None),
    ],
)
def test_data_that_do_not_fit_are_refused_by_field_and_row(
    url: str, body: object, field: str | None, row: int | None
) -> None:
    answer = invoke(url, body)
    told = json.loads(answer.body)
    assert answer.status == 400, told
    assert (told.get("field"), told.get("row")) == (field, row), told
    assert field is None or field in told["message"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b'{"a": 1}', "application/json", 400),
        (b'{"inputs": [1], "instances": [1]}', "application/json", 400),
        (b'{"inputs": ' + b"[" * 100_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"", "text/csv", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b"{}", "application/json; charset=latin1", 415),
        (b"{}", "application/json; format=pandas-split", 415),
        (b"no arrow", "application/vnd.apache.arrow.stream", 400),
        (b"no parquet", "application/vnd.apache.parquet", 400),
    ],
)
def test_bodies_that_cannot_be_read_are_the_callers_mistake(
    url: str, body: bytes, content_type: str, status: int
) -> None:
    answer = invoke(url, body, content_type)
    assert answer.status == status, answer.text
    assert json.loads(answer.body)["message"]


def test_the_process_says_how_it_is_and_what_it_takes(url: str, folder: Path) -> None:
    assert ask(url, "GET", "/ping").status == 200
    health = json.loads(ask(url, "GET", "/health").body)
    assert health["status"] == "ok"
    assert health["models"]["fares"]["address"] == str(folder)
    assert ask(url, "GET", "/version").text
    document = json.loads(ask(url, "GET", "/openapi.json").body)
    content = document["paths"]["/invocations"]["post"]["requestBody"]["content"]
    example = content["application/json"]["example"]
    assert predictions(invoke(url, example)) == pytest.approx([5, 7])
    assert ask(url, "GET", "/nowhere").status == 404
    assert ask(url, "GET", "/invocations").status == 405


def test_metrics_count_what_was_answered(url: str) -> None:
    def answered() -> float:
        text = ask(url, "GET", "/metrics").text
        lines = [line for line in text.splitlines() if line.startswith("loopline_requests_total{")]
        good = [line for line in lines if 'status="200"' in line and 'model="fares"' in line]
        return float(good[0].rpartition(" ")[2]) if good else 0

    before = answered()
    for _ in range(3):
        invoke(url, SHAPES["records"])
    assert answered() == before + 3


def test_a_bad_request_among_many_fails_alone(url: str) -> None:
    found: dict[int, Any] = {}

    def one(number: int) -> None:
        miles: object = "far" if number == 7 else number
        found[number] = invoke(url, {"inputs": {"miles": [miles] * 2, "hour": [8, 9]}})

    threads = [threading.Thread(target=one, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.pop(7).status == 400
    for number, answer in found.items():
        assert predictions(answer) == pytest.approx([3 + 2 * number] * 2)


def test_several_models_are_asked_by_name(folder: Path) -> None:
    with serving(f"one={folder}", f"other={folder}") as url:
        answer = invoke(url, SHAPES["records"], path="/models/other/invocations")
        assert predictions(answer) == pytest.approx([5, 7])
        for path in ("/invocations", "/models/third/invocations"):
            refused = invoke(url, SHAPES["records"], path=path)
            assert refused.status == 404
            assert "/models/one/invocations" in refused.text


def test_a_long_body_is_refused_and_the_connection_goes_on(folder: Path) -> None:
    with serving(str(folder), most_body_bytes=1000) as url:
        assert invoke(url, {"inputs": ROWS * 1000}).status == 413
        assert predictions(invoke(url, {"inputs": ROWS})) == pytest.approx([5, 7])


def test_parameters_reach_the_model_and_are_checked(tmp_path: Path, example: pd.DataFrame) -> None:
    def price(context: Any, model_input: Any, params: Any) -> Any:  # noqa: ANN401, ARG001
        return model_input["miles"] * params["per_mile"]

    signature = loopline.infer_signature(example, [1.0], params={"per_mile": 2.0})
    loopline.pyfunc.save_model(tmp_path / "model", price, signature=signature)
    with serving(str(tmp_path / "model"), allow_pickle=True) as url:
        asked = {"dataframe_records": ROWS, "params": {"per_mile": 3}}
        assert predictions(invoke(url, asked)) == [{"miles": 3.0}, {"miles": 6.0}]
        assert predictions(invoke(url, {"inputs": ROWS})) == [{"miles": 2.0}, {"miles": 4.0}]
        refused = invoke(url, {"inputs": ROWS, "params": {"per_mile": "much"}})
        assert refused.status == 400
        assert "per_mile" in refused.text
