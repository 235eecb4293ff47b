"""Drift of real kinds of rows: tables, files, profiles and what a model learnt from."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.lifecycle import city
from tests.lifecycle.city import NAME, trips

import loopline
from loopline.backend.recorder import close_recorders, set_tracking_uri
from loopline.data import dataset
from loopline.errors import InvalidInputError
from loopline.lifecycle import drift, log_drift
from loopline.records.tracking import Dataset
from loopline.tracking import fluent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    set_tracking_uri(tmp_path / ".loopline")
    yield
    close_recorders()
    set_tracking_uri(None)


def parts() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    rows = trips()
    at = rows["at"]
    return rows[at < "2022-04"], rows[(at >= "2022-04") & (at < "2022-07")], rows[at >= "2022-07"]


def test_the_raised_fares_drift_and_the_miles_do_not() -> None:
    winter, spring, autumn = parts()
    calm = drift(spring, winter, columns=["miles", "borough", "fare"])
    assert calm.sentence == "None of 3 columns drifted."
    raised = drift(autumn, winter, columns=["miles", "borough", "fare"])
    assert 'class="ll-drift"' in str(raised._repr_html_())
    assert [column.column for column in raised.drifted] == ["fare"]
    assert raised.columns[0].words.startswith("its median went from 9.6")


def test_files_tables_and_profiles_say_about_the_same(tmp_path: Path) -> None:
    winter, _, autumn = parts()
    for frame, name in ((winter, "winter"), (autumn, "autumn")):
        parquet.write_table(pa.Table.from_pandas(frame), tmp_path / f"{name}.parquet")
    of_rows = drift(autumn, winter)
    of_files = drift(tmp_path / "autumn.parquet", str(tmp_path / "winter.parquet"))
    assert of_files.columns == of_rows.columns
    assert (of_files.rows_now, of_files.name) == (len(autumn), "autumn.parquet")
    kept = msgspec.json.decode(msgspec.json.encode(dataset(winter)), type=Dataset)
    profile = drift(autumn, kept)  # As a store answers it: its rows are gone.
    rough, fine = ({c.column: c for c in each.columns} for each in (profile, of_rows))
    assert rough["fare"].is_coarse
    for name in ("fare", "miles"):
        assert rough[name].is_drifted == fine[name].is_drifted
        assert rough[name].distance == pytest.approx(fine[name].distance, abs=0.08)


def test_times_are_compared_only_when_they_are_named() -> None:
    winter, _, autumn = parts()
    assert "at" not in [column.column for column in drift(autumn, winter).columns]
    (at,) = drift(autumn, winter, columns=["at"]).columns
    assert at.words.startswith("its median moved by 2")


def test_what_a_version_learnt_from_is_found_by_its_run() -> None:
    city.loop().turn("2022-03")
    _, spring, autumn = parts()
    found = drift(autumn, f"models:/{NAME}/Production")
    assert found.against.endswith("which v1 learnt from")
    assert "fare" in [column.column for column in found.drifted]
    assert "fare" not in [c.column for c in drift(spring, f"models:/{NAME}/1").drifted]
    with loopline.start_run() as run:
        log_drift(found)
    graph = loopline.lineage(f"models:/{NAME}/1", direction="down")
    reports = [node for node in graph.nodes if node.kind == "drift"]
    assert [(node.key, node.title) for node in reports] == [(run.info.run_id, found.sentence)]


def test_a_report_is_logged_as_metrics_and_a_page() -> None:
    winter, _, autumn = parts()
    with loopline.start_run() as run:
        log_drift(drift(autumn, winter, columns=["fare", "miles"]), step=4)
    found = fluent.get_run(run.info.run_id)
    assert found.metrics["drift/share"].value == 0.5
    assert found.metrics["drift/psi/fare"].value > 0.2
    files = [file.path for file in fluent.list_artifacts(run.info.run_id, "drift")]
    assert files == ["drift/drift-4.html"]


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    winter, _, autumn = parts()
    with pytest.raises(InvalidInputError, match="no column 'tips' to compare in the rows of now"):
        drift(autumn, winter, columns=["tips"])
    with pytest.raises(InvalidInputError, match="no column in common"):
        drift(pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}))
    with pytest.raises(InvalidInputError, match="No file"):
        drift(tmp_path / "missing.parquet", winter)
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(InvalidInputError, match="is no table"):
        drift(tmp_path / "a.txt", winter)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        random = np.random.default_rng(1)
        file = tmp_path / f"{rows}.parquet"
        table = pa.table({f"c{n}": random.normal(size=rows) for n in range(4)})
        parquet.write_table(table, file, row_group_size=100_000)
        del table
        tracemalloc.start()
        drift(file, file)
        size: int = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(3_000_000) < peak(600_000) * 1.5
