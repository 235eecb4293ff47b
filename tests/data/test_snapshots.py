"""Kept data come back as they were, or not at all."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.server.running import running

import loopline
from loopline.backend.recorder import close_recorders, get_recorder
from loopline.errors import IntegrityError, InvalidInputError, NotFoundError
from loopline.records.operations import ListInputs
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path


def test_a_table_is_kept_as_parquet_and_comes_back_as_it_was(trips: pd.DataFrame) -> None:
    version = loopline.dataset(trips, name="trips")
    with loopline.start_run() as run:
        kept = version.snapshot()
    assert (kept.run_id, kept.folder) == (run.run_id, f"datasets/{version.digest}")
    assert [file.path for file in kept.files] == ["data.parquet"]
    assert loopline.list_artifacts(run.run_id, kept.folder)[0].sha256 == kept.files[0].sha256

    back = loopline.data.load(version.digest[:8])
    pd.testing.assert_frame_equal(back, trips)
    for library in ("arrow", "polars"):
        again = loopline.data.load(kept, to=library)
        assert loopline.dataset(again).digest == version.digest
    assert type(again).__module__.startswith(import_module("polars").__name__)
    assert loopline.data.load(version, to="path").name == "data.parquet"


def test_arrays_come_back_without_pickle() -> None:
    split = {"x": np.arange(6.0).reshape(3, 2), "y": np.array([0, 1, 1])}
    back = loopline.data.load(loopline.data.snapshot(split, name="split"))
    assert {name: array.tolist() for name, array in back.items()} == {
        name: array.tolist() for name, array in split.items()
    }
    fares = loopline.data.load(loopline.data.snapshot(split["x"]))
    assert fares.tolist() == split["x"].tolist()


def test_what_would_need_pickle_or_fits_no_parquet_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="without pickle"):
        loopline.data.snapshot(np.array(["Harlem", None], dtype=object))
    far = pa.table({"at": pa.array([2**62], pa.timestamp("s"))})
    with pytest.raises(InvalidInputError, match="cannot be kept as Parquet"):
        loopline.data.snapshot(far)


def test_files_and_folders_are_kept_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "trips"
    (folder / "2022").mkdir(parents=True)
    (folder / "2022" / "01.csv").write_text("fare\n7.5\n")
    (folder / "notes.txt").write_text("rain")
    of_file = loopline.data.snapshot(folder / "2022" / "01.csv")
    of_folder = loopline.data.snapshot(folder)

    assert loopline.data.load(of_file).read_text() == "fare\n7.5\n"
    assert loopline.data.load(of_file, to="pandas")["fare"].tolist() == [7.5]
    assert (loopline.data.load(of_folder) / "2022" / "01.csv").read_text() == "fare\n7.5\n"
    with pytest.raises(InvalidInputError, match="to='path'"):
        loopline.data.load(of_folder, to="pandas")


def test_data_that_changed_since_they_were_described_are_not_kept(
    trips: pd.DataFrame, tmp_path: Path
) -> None:
    version = loopline.dataset(trips, name="trips")
    trips.loc[0, "fare"] = 99.0
    with pytest.raises(IntegrityError, match="have changed since"):
        version.snapshot()

    path = tmp_path / "trips.csv"
    path.write_text("fare\n7.5\n")
    version = loopline.dataset(path)
    path.write_text("fare\n8.5\n")
    with pytest.raises(IntegrityError, match="have changed since"):
        version.snapshot()
    with pytest.raises(NotFoundError, match="No run has kept"):
        loopline.data.load(version)


def test_bytes_that_the_store_has_are_not_written_again(trips: pd.DataFrame) -> None:
    with loopline.start_run():
        first = loopline.data.snapshot(trips)
    version = loopline.dataset(trips)
    trips.loc[0, "fare"] = 99.0  # So that writing them again would fail.
    with loopline.start_run() as second:
        loopline.log_input(version, context="training")
        again = version.snapshot()
    assert again.files == first.files
    assert again.run_id == second.run_id
    loopline.delete_run(first.run_id)
    pd.testing.assert_frame_equal(loopline.data.load(again), loopline.data.load(version.digest))


def test_a_run_that_logged_the_data_is_not_said_to_have_read_them_twice(
    trips: pd.DataFrame,
) -> None:
    with loopline.start_run() as run:
        loopline.log_input(trips, "training", name="trips")
        loopline.data.snapshot(trips, name="trips")
    inputs = get_recorder().call(ListInputs(run_id=run.run_id))
    assert [(one.dataset.name, one.context) for one in inputs] == [("trips", "training")]


def test_half_a_folder_does_not_count_as_kept(tmp_path: Path) -> None:
    folder = tmp_path / "trips"
    folder.mkdir()
    (folder / "01.csv").write_text("fare\n7.5\n")
    (folder / "02.csv").write_text("fare\n8.5\n")
    version = loopline.dataset(folder)
    with loopline.start_run():
        loopline.log_input(version)
        loopline.log_artifact(folder / "01.csv", f"datasets/{version.digest}")
    with pytest.raises(NotFoundError, match="No run has kept"):
        loopline.data.load(version)
    version.snapshot()
    assert (loopline.data.load(version) / "02.csv").exists()


def test_a_record_from_the_store_can_be_loaded_but_not_kept(trips: pd.DataFrame) -> None:
    with loopline.start_run() as run:
        loopline.log_input(trips)
    (read,) = get_recorder().call(ListInputs(run_id=run.run_id))
    assert loopline.dataset(trips) == read.dataset
    with pytest.raises(NotFoundError, match="Give the data themselves"):
        loopline.data.snapshot(read.dataset)
    loopline.data.snapshot(trips)
    assert loopline.data.load(read.dataset).equals(trips)


def test_a_damaged_copy_in_the_cache_is_noticed(trips: pd.DataFrame) -> None:
    kept = loopline.data.snapshot(trips)
    path = loopline.data.load(kept, to="path")
    path.chmod(0o644)
    path.write_bytes(b"short")
    with pytest.raises(IntegrityError, match="Remove"):
        loopline.data.load(kept)


def test_data_kept_on_a_server_come_back_elsewhere(
    trips: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(Address("home", str(tmp_path / "served"))) as url:
        monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "laptop"))
        loopline.set_tracking_uri(url)
        version = loopline.dataset(trips, name="trips")
        version.snapshot()
        assert loopline.data.uses(version).runs[0].dataset == "trips"
        close_recorders()
        monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "cluster"))
        pd.testing.assert_frame_equal(loopline.data.load(version.digest), trips)
        close_recorders()


def test_an_unknown_form_is_refused(trips: pd.DataFrame) -> None:
    kept = loopline.data.snapshot(pa.table({"fare": [1.0]}))
    with pytest.raises(InvalidInputError, match="pandas, polars, arrow or path"):
        loopline.data.load(kept, to="excel")
    with pytest.raises(InvalidInputError, match="digest"):
        loopline.data.load(trips)
