"""Predictions are records, joined with what then happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.server.running import ask
from tests.serving.serving import invoke, predictions, serving
from tests.serving.test_swaps import wait_for

import loopline
from loopline import registry
from loopline.backend.recorder import close_recorders
from loopline.errors import InvalidInputError, NotFoundError
from loopline.serving import recording


def body(*miles: float) -> dict[str, Any]:
    return {"inputs": {"miles": list(miles), "hour": [8] * len(miles)}}


def test_what_was_predicted_is_there_with_inputs_version_and_id(fares: str) -> None:
    with serving(fares, record=1.0) as url:
        one = invoke(url, body(1.5))
        two = invoke(url, body(2, 3))
        invoke(url, b"hour,miles\n9,4\n", "text/csv")
        assert invoke(url, {"inputs": {"miles": ["x"], "hour": [1]}}).status == 400
    found = loopline.predictions("fares").to_pylist()
    assert [row["prediction"] for row in found] == pytest.approx([4, 5, 7, 9])
    assert [row["input.miles"] for row in found] == [1.5, 2, 3, 4]
    assert [row["input.hour"] for row in found] == [8, 8, 8, 9]
    assert {row["version"] for row in found} == {"1"}
    assert {row["role"] for row in found} == {"champion"}
    assert all(row["latency_ms"] > 0 for row in found)
    assert found[0]["id"] == one.headers["X-Loopline-Prediction-Id"]
    base = two.headers["X-Loopline-Prediction-Id"]
    assert [row["id"] for row in found[1:3]] == [f"{base}-0", f"{base}-1"]


def test_which_predictions_each_version_made_is_known_without_reading_them(fares: str) -> None:
    with serving(fares, record=1.0) as url:
        invoke(url, body(1, 2, 3))
        registry.transition_stage("fares", 2, "Production")
        wait_for(lambda: invoke(url, body(1)).headers["X-Loopline-Model-Version"] == "2")
    rows = loopline.predictions("fares")["version"].to_pylist()
    for version in (1, 2):
        told = loopline.why(f"models:/fares/{version}").predictions
        assert [one.rows for one in told] == [rows.count(str(version))]
        assert told[0].first_ms <= told[0].last_ms <= time.time() * 1000
    graph = loopline.lineage("models:/fares/1", direction="down")
    assert {"deployment", "predictions"} <= {node.kind for node in graph.nodes}


def test_a_folders_predictions_are_recorded_where_the_process_records(
    home: Path, folder: Path
) -> None:
    with serving(f"named={folder}", record=1.0) as url:
        invoke(url, body(1))
    close_recorders()
    assert len(loopline.predictions("named")) == 1
    assert (home / "loopline.db").exists()
    assert not (Path.home() / ".loopline" / "loopline.db").exists()


def test_truth_joins_by_the_callers_own_id_and_the_last_word_counts(
    fares: str, tmp_path: Path
) -> None:
    with serving(fares, record=1.0) as url:
        for number in range(3):
            data = json.dumps(body(number)).encode()
            headers = {"X-Loopline-Prediction-Id": f"trip{number}"}
            answer = ask(
                url, "POST", "/invocations", data, {**headers, "Content-Type": "application/json"}
            )
            assert answer.headers["X-Loopline-Prediction-Id"] == f"trip{number}"
    assert loopline.predictions("fares")["truth"].null_count == 3
    pd.DataFrame({"trip": ["trip0", "trip1"], "fare": [1.0, 9.0]}).to_csv(
        tmp_path / "fares.csv", index=False
    )
    assert loopline.truth.add(tmp_path / "fares.csv", "fares", id_column="trip") == 2
    time.sleep(0.01)
    assert loopline.truth.add(pd.DataFrame({"id": ["trip1"], "fare": [3.5]}), "fares") == 1
    found = loopline.predictions("fares").sort_by("id").to_pylist()
    assert [row["truth"] for row in found] == [1.0, 3.5, None]
    assert [row["prediction"] for row in found] == pytest.approx([1, 3, 5])


def test_a_time_chooses_what_is_read(fares: str) -> None:
    with serving(fares, record=1.0) as url:
        invoke(url, body(1))
    now = time.time()
    assert len(loopline.predictions("fares", since=now - 60, until=now + 60)) == 1
    assert len(loopline.predictions("fares", since=now + 60)) == 0
    assert len(loopline.predictions("fares", until="2020-01-01")) == 0
    with pytest.raises(InvalidInputError, match="no moment"):
        loopline.predictions("fares", since="yesterday")
    with pytest.raises(NotFoundError, match="--record"):
        loopline.predictions("others")


def test_a_share_of_the_requests_is_kept(fares: str) -> None:
    with serving(fares, record=0.5) as url:
        answers = [invoke(url, body(1)) for _ in range(60)]
    named = [a for a in answers if a.headers["X-Loopline-Prediction-Id"]]
    assert 10 < len(named) < 50
    assert len(loopline.predictions("fares")) == len(named)


def test_a_truth_without_ids_is_refused(fares: str) -> None:
    del fares
    with pytest.raises(InvalidInputError, match="--id-column"):
        loopline.truth.add(pd.DataFrame({"trip": ["a"], "fare": [1.0]}), "fares")
    with pytest.raises(InvalidInputError, match="1 empty ids"):
        loopline.truth.add(pd.DataFrame({"id": ["a", None], "fare": [1.0, 2]}), "fares")


def test_predictions_that_were_flushed_survive_the_kill_of_the_process(
    fares: str, home: Path
) -> None:
    command = [
        sys.executable, "-m", "loopline.cli", "serve", fares, "--port", "0", "--json",
        "--record", "all", "--uri", str(home),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split('"url"')[1].split('"')[1]
        for number in range(20):
            predictions(invoke(url, body(number)))

        def recorded() -> int:
            told = json.loads(ask(url, "GET", "/health").body)
            return int(told["models"]["fares"]["recorded"])

        wait_for(lambda: recorded() == 20)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    # Somebody else takes over what the dead one left.
    wait_for(lambda: len(loopline.predictions("fares")) == 20)
    found = loopline.predictions("fares")
    assert sorted(found["input.miles"].to_pylist()) == list(range(20))


def test_rows_beyond_what_memory_may_hold_are_left_out_and_counted(
    fares: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_ROWS", 3)
    monkeypatch.setattr(recording, "FLUSH_EVERY_S", 60.0)
    with serving(fares, record=1.0) as url:
        for _ in range(5):
            predictions(invoke(url, body(1)))
        text = ask(url, "GET", "/metrics").text
        assert 'loopline_predictions_left_out_total{model="fares"} 2' in text
    assert len(loopline.predictions("fares")) == 3


def test_a_shadow_is_compared_and_answers_nobody(fares: str) -> None:
    registry.transition_stage("fares", 3, "Staging")
    with serving(fares, shadow="models:/fares/Staging", record=1.0) as url:
        for _ in range(4):
            assert predictions(invoke(url, body(1))) == pytest.approx([3])

        def difference() -> str:
            text = ask(url, "GET", "/metrics").text
            start = text.find("loopline_shadow_difference_sum")
            return text[start:].partition("\n")[0] if start >= 0 else ""

        wait_for(lambda: difference().startswith(
            'loopline_shadow_difference_sum{model="fares",version="3"} 8'
        ) or difference().startswith(
            'loopline_shadow_difference_sum{model="fares",version="3"} 7.99'
        ))  # fmt: skip
        health = json.loads(ask(url, "GET", "/health").body)
        assert health["models"]["fares"]["challenger"]["version"] == "3"
    found = loopline.predictions("fares").to_pylist()
    by_role = {role: [r for r in found if r["role"] == role] for role in ("champion", "shadow")}
    assert [len(rows) for rows in by_role.values()] == [4, 4]
    assert {r["id"] for r in by_role["champion"]} == {r["id"] for r in by_role["shadow"]}
    assert [r["prediction"] for r in by_role["shadow"]] == pytest.approx([5] * 4)


def test_a_split_has_the_challenger_answer_its_share(fares: str) -> None:
    registry.transition_stage("fares", 3, "Staging")
    with serving(fares, split=("models:/fares/Staging", 0.5)) as url:
        versions = [invoke(url, body(1)).headers["X-Loopline-Model-Version"] for _ in range(60)]
        assert set(versions) == {"1", "3"}
        assert 10 < versions.count("3") < 50
        text = ask(url, "GET", "/metrics").text
        assert 'version="3",role="challenger",status="200"' in text
