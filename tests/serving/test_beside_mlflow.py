"""The real `mlflow models serve` and ours, asked the same, answer the same."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from tests.peers import python_of
from tests.server.running import ask
from tests.serving.serving import invoke, serving

import loopline

if TYPE_CHECKING:
    from collections.abc import Iterator


ROW = {"miles": 1.0, "hour": 8}
COLUMNS = ["miles", "hour"]
JSON = "application/json"

#: What is asked: a body, and its type. Each is answered alike in status and predictions.
ASKED: list[tuple[Any, str]] = [
    ({"dataframe_split": {"columns": COLUMNS, "data": [[1.0, 8], [2.5, 9]]}}, JSON),
    ({"dataframe_split": {"columns": COLUMNS, "index": [5], "data": [[1, 8]]}}, JSON),
    ({"dataframe_split": {"columns": ["hour", "x", "miles"], "data": [[8, "a", 1]]}}, JSON),
    ({"dataframe_split": {"data": [[1.0, 8]]}}, JSON),
    ({"dataframe_split": {"columns": COLUMNS, "data": [[1.0]]}}, JSON),
    ({"dataframe_split": [1]}, JSON),
    ({"dataframe_records": [ROW, {**ROW, "x": 1}]}, JSON),
    ({"dataframe_records": [{"miles": 1.0}]}, JSON),
    ({"dataframe_records": []}, JSON),
    ({"dataframe_records": ROW}, JSON),
    ({"dataframe_records": [{"miles": "1.5", "hour": "8"}]}, JSON),
    ({"dataframe_records": [{"miles": "far", "hour": 8}]}, JSON),
    ({"dataframe_records": [{"miles": True, "hour": 8}]}, JSON),
    ({"instances": [ROW, ROW]}, JSON),
    ({"instances": [[1.0, 8]]}, JSON),
    ({"inputs": {"miles": [1, 2], "hour": [8, 9]}}, JSON),
    ({"inputs": {"miles": 1, "hour": 8}}, JSON),
    ({"inputs": [ROW]}, JSON),
    ({"inputs": [[1.0, 8]]}, JSON),
    ({"inputs": {"miles": [1, 2], "hour": [8]}}, JSON),
    ({"inputs": [ROW], "instances": [ROW]}, JSON),
    ({"inputs": [ROW], "params": {"a": 1}}, JSON),
    ({"inputs": [ROW], "params": 5, "more": 1}, JSON),
    ({"other": 1}, JSON),
    ([1], JSON),
    (5, JSON),
    (b"", JSON),
    (b'{"a"', JSON),
    (b"\xff", JSON),
    (b'{"inputs": [{"miles": 1e400, "hour": 8}]}', "application/xml"),
    ({"inputs": [ROW]}, "application/json; charset=UTF-8"),
    ({"inputs": [ROW]}, "application/json; charset=latin1"),
    ({"inputs": [ROW]}, "application/json; format=pandas-split"),
    (b"miles,hour\n1,8\n2,9\n", "text/csv"),
    (b"hour,miles\n8,1\n", "text/csv; charset=utf-8"),
    (b"miles\n1\n", "text/csv"),
    (b"miles,hour\nfar,8\n", "text/csv"),
    (b"", "text/csv"),
]


#: The same for a model that takes an array of two columns.
ASKED_OF_ARRAYS: list[tuple[Any, str]] = [
    ({"inputs": [[1.0, 8], [2.0, 9]]}, JSON),
    ({"instances": [[1.0, 8]]}, JSON),
    ({"inputs": [[1, 8]]}, JSON),
    ({"inputs": [["1", "8"]]}, JSON),
    ({"inputs": [["far", 8]]}, JSON),
    ({"inputs": [1.0, 8]}, JSON),
    ({"inputs": [[1.0, 8, 9]]}, JSON),
    ({"inputs": [[1.0], [8, 9]]}, JSON),
    ({"inputs": {"a": [[1.0, 8]]}}, JSON),
    ({"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 8.0]]}}, JSON),
    ({"dataframe_split": {"data": [[1.0, 8.0]]}}, JSON),
]
#: And of one without a signature.
ASKED_WITHOUT: list[tuple[Any, str]] = [
    ({"inputs": [[1.0, 8], [2.0, 9]]}, JSON),
    ({"instances": [[1.0, 8]]}, JSON),
    ({"inputs": [["far", 8]]}, JSON),
    ({"dataframe_split": {"columns": ["miles", "hour"], "data": [[1.0, 8.0]]}}, JSON),
    ({"dataframe_records": [ROW]}, JSON),
    ({"dataframe_records": [{"miles": 1.0}]}, JSON),
    ({"inputs": "far"}, JSON),
    ({"inputs": []}, JSON),
    (b"miles,hour\n1.0,8.0\n", "text/csv"),
]


@contextmanager
def served_by_mlflow(folder: Path) -> Iterator[str]:
    """Run the real one."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    python = python_of("mlflow-3")
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
    }
    command = [python, "-m", "mlflow", "models", "serve", "-m", str(folder), "-p", str(port)]
    process = subprocess.Popen(
        [*command, "--env-manager", "local"], env=environment, start_new_session=True
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 100
        while True:
            try:
                if ask(url, "GET", "/ping").status == 200:
                    break
            except OSError:
                assert time.monotonic() < until, "mlflow models serve does not answer"
                time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@pytest.mark.deep
@pytest.mark.timeout(200)
@pytest.mark.filterwarnings("ignore:X has feature names")  # Theirs says it too.
@pytest.mark.parametrize("takes", ["table", "array", "anything"])
def test_both_servers_answer_alike(takes: str, folder: Path, tmp_path: Path) -> None:
    asked = {"table": ASKED, "array": ASKED_OF_ARRAYS, "anything": ASKED_WITHOUT}[takes]
    if takes != "table":
        rows = np.array([[1.0, 8.0], [2.0, 9.0], [4.0, 9.0]])
        model = LinearRegression().fit(rows, 3 + 2 * rows[:, 0])
        example = rows[:2] if takes == "array" else None
        folder = tmp_path / "model"
        loopline.sklearn.save_model(model, folder, input_example=example)
    differ = []
    with served_by_mlflow(folder) as theirs, serving(str(folder)) as ours:
        for body, content_type in asked:
            mine = invoke(ours, body, content_type)
            peer = invoke(theirs, body, content_type)
            same = mine.status == peer.status
            if peer.status == 200 and same:
                got = json.loads(mine.body).get("predictions")
                same = got == pytest.approx(json.loads(peer.body)["predictions"])
            if not same:
                differ.append(f"{body} {content_type}: {mine.status} {mine.text} {peer.text[:300]}")
        for path in ("/ping", "/health", "/version"):
            assert ask(ours, "GET", path).status == ask(theirs, "GET", path).status == 200
        for method, path in (("GET", "/nowhere"), ("GET", "/invocations")):
            assert ask(ours, method, path).status == ask(theirs, method, path).status
    assert not differ, "\n".join(differ)


@pytest.mark.deep
def test_answers_are_those_of_the_model_itself(folder: Path) -> None:
    frame = pd.DataFrame([ROW] * 3)
    wanted = loopline.sklearn.load_model(folder).predict(frame).tolist()
    with serving(str(folder)) as url:
        answer = invoke(url, {"dataframe_records": [ROW] * 3})
    assert json.loads(answer.body)["predictions"] == wanted
