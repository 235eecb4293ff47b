"""What a user logs is what a user reads back, on a home and through a server alike."""

from __future__ import annotations

import asyncio
import decimal
import math
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import loopline
from loopline.backend.recorder import close_recorders
from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.tracking import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    loopline.set_tracking_uri(tmp_path)
    loopline.set_experiment("wagoncab taxifare")
    yield tmp_path
    while loopline.active_run() is not None:
        loopline.end_run()
    close_recorders()
    loopline.set_tracking_uri(None)


def test_a_run_keeps_its_params_metrics_and_tags() -> None:
    with loopline.start_run(run_name="first", tags={"city": "New York"}) as run:
        loopline.log_params({"batch_size": 256, "row_count": 100_000})
        loopline.log_metrics({"rmse": 0.456})
        loopline.set_tag("simulated", value=False)
    found = loopline.get_run(run.info.run_id)
    assert found.params == {"batch_size": "256", "row_count": "100000"}
    assert found.data.metrics == {"rmse": 0.456}
    assert found.tags["city"] == "New York"
    assert found.tags["simulated"] == "False"
    assert found.name == "first"
    assert found.status is RunStatus.FINISHED
    assert found.experiment_name == "wagoncab taxifare"


def test_a_run_that_raises_is_failed_with_the_reason_and_the_error_goes_on() -> None:
    with pytest.raises(ZeroDivisionError), loopline.start_run() as run:  # noqa: PT012
        loopline.log_metric("rmse", 1.0)
        _ = 1 / 0
    found = loopline.get_run(run.run_id)
    assert found.status is RunStatus.FAILED
    assert found.end_reason == "ZeroDivisionError: division by zero"
    assert found.metrics["rmse"].value == 1.0


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (3, 3.0),
        (True, 1.0),
        (np.float32(0.5), 0.5),
        (np.array(2.0), 2.0),
        (np.array([[2.0]]), 2.0),
        (decimal.Decimal("4.25"), 4.25),
        (math.inf, math.inf),
    ],
)
def test_metrics_take_what_people_really_pass(value: Any, kept: float) -> None:  # noqa: ANN401
    with loopline.start_run() as run:
        loopline.log_metric("rmse", value)
    assert loopline.get_run(run.run_id).metrics["rmse"].value == kept


def test_nan_is_kept_as_nan() -> None:
    with loopline.start_run() as run:
        loopline.log_metric("rmse", math.nan, step=1)
    assert math.isnan(loopline.get_run(run.run_id).metrics["rmse"].value)


@pytest.mark.parametrize("value", ["4.2", None, [1.0, 2.0], np.zeros(3), object(), 1j])
def test_what_is_no_number_is_refused_by_key_and_type_and_the_run_goes_on(value: Any) -> None:  # noqa: ANN401
    with loopline.start_run() as run:
        with pytest.raises(InvalidInputError, match=rf"'rmse'.*{type(value).__name__}"):
            loopline.log_metric("rmse", value)
        loopline.log_metric("mae", 1.0)
    assert set(loopline.get_run(run.run_id).metrics) == {"mae"}


def test_a_param_keeps_its_first_value() -> None:
    with loopline.start_run() as run:
        loopline.log_param("model", "gbm")
        loopline.log_param("model", "gbm")
        with pytest.raises(InvalidInputError, match="already logged with value='gbm'"):
            loopline.log_param("model", "keras")
    assert loopline.get_run(run.run_id).params == {"model": "gbm"}


def test_long_values_are_refused_and_never_cut() -> None:
    with loopline.start_run() as run, pytest.raises(InvalidInputError, match="65,537 characters"):
        loopline.log_param("note", "x" * 65_537)
    assert loopline.get_run(run.run_id).params == {}


def test_nested_runs_know_their_parent() -> None:
    with loopline.start_run() as parent:
        with pytest.raises(InvalidInputError, match="nested=True"):
            loopline.start_run()
        with loopline.start_run(nested=True) as child:
            assert loopline.active_run() is child
        assert loopline.active_run() is parent
    assert loopline.get_run(child.run_id).parent_run_id == parent.run_id


def test_the_info_of_an_active_run_has_the_fields_it_has_when_read() -> None:
    with loopline.start_run(run_name="fares") as run:
        info = run.info
        assert (info.lifecycle_stage, info.end_time) == ("active", None)
    found = loopline.get_run(run.run_id).info
    for name in [
        "run_id",
        "run_uuid",
        "run_name",
        "experiment_id",
        "user_id",
        "status",
        "start_time",
        "end_time",
        "lifecycle_stage",
        "artifact_uri",
    ]:
        assert getattr(run.info, name) == getattr(found, name), name


def test_a_run_ends_for_a_reason_in_words_or_an_exception() -> None:
    run = loopline.start_run()
    with pytest.raises(InvalidInputError, match=r"text or an exception, not int \(5\)"):
        run.end("FAILED", reason=5)  # type: ignore[arg-type]
    assert not run.is_ended
    run.end("FAILED", reason=ValueError("no fares"))
    assert loopline.get_run(run.run_id).end_reason == "ValueError: no fares"


def test_names_that_are_no_text_are_told_with_their_type() -> None:
    fares = pd.DataFrame({"fare": [1.0]})
    for name in ("name", "source"):
        with pytest.raises(InvalidInputError, match=rf"{name} of a data version .*not int \(5\)"):
            loopline.dataset(fares, **{name: 5})  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"name is text, not int: 5.*experiment_id"):
        loopline.set_experiment(5)  # type: ignore[arg-type]
    for given in ("a", 0, math.nan, True):
        with pytest.raises(InvalidInputError, match=r"number of seconds above 0, not \w+ \("):
            loopline.set_system_metrics_sampling_interval(given)  # type: ignore[arg-type]


def test_only_a_value_that_is_too_long_is_better_kept_as_a_file() -> None:
    with loopline.start_run():
        with pytest.raises(InvalidInputError, match=r"65,536 are allowed.*`log_text`"):
            loopline.log_param("note", "x" * 65_537)
        with pytest.raises(InvalidInputError, match=r"250 are allowed\. Shorten it\.$"):
            loopline.log_metric("x" * 251, 1.0)
    with pytest.raises(InvalidInputError, match=r"500 are allowed\. Shorten it\.$"):
        loopline.set_experiment("x" * 501)


def test_a_run_can_go_on_later() -> None:
    with loopline.start_run() as run:
        loopline.log_metric("rmse", 4.0, step=0)
    with loopline.start_run(run_id=run.run_id):
        assert loopline.get_run(run.run_id).status is RunStatus.RUNNING
        loopline.log_metric("rmse", 3.0, step=1)
    found = loopline.get_run(run.run_id)
    assert found.status is RunStatus.FINISHED
    assert found.name == run.name
    assert loopline.get_metric_history(run.run_id, "rmse").steps == [0, 1]


def test_threads_and_asyncio_tasks_have_active_runs_of_their_own() -> None:
    seen: dict[str, str] = {}

    def work(name: str) -> None:
        with loopline.start_run(run_name=name):
            loopline.log_param("who", name)
            active = loopline.active_run()
            assert active is not None
            seen[name] = active.run_id

    async def work_async(name: str) -> None:
        with loopline.start_run(run_name=name, nested=True):
            await asyncio.sleep(0)
            loopline.log_param("who", name)
            active = loopline.active_run()
            assert active is not None
            seen[name] = active.run_id

    async def together() -> None:
        await asyncio.gather(*(work_async(f"task {number}") for number in range(4)))

    with loopline.start_run() as outer:
        threads = [threading.Thread(target=work, args=(f"thread {n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asyncio.run(together())
        assert loopline.active_run() is outer
    assert len(set(seen.values())) == 8
    assert all(loopline.get_run(run_id).params["who"] == name for name, run_id in seen.items())


def test_files_texts_and_folders_become_artifacts(tmp_path: Path) -> None:
    (tmp_path / "model" / "data").mkdir(parents=True)
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}")
    (tmp_path / "model" / "data" / "weights.bin").write_bytes(bytes(5000))
    with loopline.start_run() as run:
        loopline.log_artifacts(tmp_path / "model", "model")
        loopline.log_text("fares rose", "notes/why.txt")
        loopline.log_dict({"fare": 3.5}, "fare.json")
        with pytest.raises(InvalidInputError, match="relative path"):
            loopline.log_text("x", "../outside.txt")
    top = loopline.list_artifacts(run.run_id)
    assert [(artifact.path, artifact.is_dir) for artifact in top] == [
        ("fare.json", False),
        ("model", True),
        ("notes", True),
    ]
    inside = loopline.list_artifacts(run.run_id, "model/data")
    assert [(artifact.path, artifact.size_bytes) for artifact in inside] == [
        ("model/data/weights.bin", 5000)
    ]


def test_a_search_is_a_frame_with_mlflows_columns() -> None:
    for rmse in (4.0, 3.0):
        with loopline.start_run():
            loopline.log_metric("rmse", rmse)
            loopline.log_param("model", "gbm")
    frame = loopline.search_runs(order_by=["metrics.rmse"])
    assert isinstance(frame, pd.DataFrame)
    assert frame["metrics.rmse"].tolist() == [3.0, 4.0]
    assert {"run_id", "experiment_id", "status", "params.model"} <= set(frame.columns)
    assert len(loopline.search_runs(filter_string="metrics.rmse < 3.5", output_format="list")) == 1
    with pytest.raises(InvalidInputError, match="character 16"):
        loopline.search_runs(filter_string="metrics.rmse < 'x'")


def test_a_data_version_changes_with_the_data_and_only_then() -> None:
    trips = pd.DataFrame({"distance": [1.0, 2.5], "fare": [5.0, None], "zone": ["a", "b"]})
    version = loopline.dataset(trips, name="trips", source="green 2022-01")
    assert loopline.dataset(trips.copy(), name="trips").digest == version.digest
    assert loopline.dataset(trips[::-1], name="trips").digest != version.digest
    assert version.rows == 2
    assert (version.profile["fare"].mean, version.profile["fare"].nulls) == (5.0, 1)
    with loopline.start_run() as run:
        loopline.log_input(version, context="training")
    found = loopline.search_runs(
        filter_string=f"datasets.digest = '{version.digest}'", output_format="list"
    )
    assert [one.run_id for one in found] == [run.run_id]


def test_an_unknown_run_is_said_with_the_next_step() -> None:
    with pytest.raises(NotFoundError, match="loopline runs list"):
        loopline.get_run("f" * 32)


def test_the_environment_is_captured_without_being_asked_and_without_secrets(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import loopline\nwith loopline.start_run() as run: print(run.run_id)",
            "--api-key",
            "canary-1",
            "--password=canary-2",
            "https://user:canary-3@example.org/data",
        ],
        env={"LOOPLINE_URI": str(tmp_path), "PATH": "/usr/bin:/bin", "MY_TOKEN": "canary-4"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    run_id = done.stdout.strip()
    run = loopline.get_run(run_id)
    assert run.tags["loopline.python"] == sys.version.split()[0]
    artifact = loopline.list_artifacts(run_id, "loopline")[0]
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert artifact.path == "loopline/environment.json"
    assert b"https://example.org/data" in kept
    assert b"canary" not in kept
