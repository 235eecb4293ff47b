"""Files as the warehouse: folders, and buckets of a real server of S3's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.blobs.servers import s3

import loopline
from loopline.errors import NotFoundError, TableSchemaError, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def test_folders_are_tables_and_so_are_files(tmp_path: Path, trips: pd.DataFrame) -> None:
    place = tmp_path / "lake"
    (place / "trips").mkdir(parents=True)
    trips[:3].to_parquet(place / "trips" / "2022-01.parquet")
    trips[3:].to_parquet(place / "trips" / "2022-02.parquet")
    (place / "trips" / "_SUCCESS").write_text("")
    trips[["zone"]].drop_duplicates().to_csv(place / "zones.csv", index=False)

    lake = loopline.warehouse(place)
    assert lake.tables() == ["trips", "zones"]
    found = lake.query(
        "SELECT zone, count(*) AS n FROM trips JOIN zones USING (zone) GROUP BY zone ORDER BY zone"
    )
    assert found.rows() == [
        {"zone": "Astoria", "n": 2}, {"zone": "Bronx", "n": 1}, {"zone": "Harlem", "n": 3},
    ]  # fmt: skip
    assert [batch.num_rows for batch in lake.read("trips", index="fare_amount", chunk_size=4)] == [
        4,
        2,
    ]


def test_appending_adds_a_whole_file(tmp_path: Path, trips: pd.DataFrame) -> None:
    lake = loopline.warehouse(tmp_path / "lake")
    assert lake.tables() == []
    assert lake.append("trips", trips) + lake.append("trips", trips) == 12
    assert lake.query("SELECT count(*) n FROM trips").rows() == [{"n": 12}]
    with pytest.raises(TableSchemaError, match="zone: is missing"):
        lake.append("trips", trips.drop(columns="zone"))
    with pytest.raises(UnsupportedError, match="cannot all be replaced"):
        lake.replace("trips", trips)
    assert len(list((tmp_path / "lake" / "trips").iterdir())) == 2
    with pytest.raises(NotFoundError, match="Did you mean 'trips'"):
        lake.schema("trip")


def test_a_bucket_is_asked_as_a_folder_is(
    tmp_path: Path, home: Path, trips: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3(tmp_path) as served:
        for name, value in served.environment.items():
            monkeypatch.setenv(name, value)
        from loopline.blobs.obstore_objects import open_bucket

        obstore, store, _ = open_bucket("s3://wagoncab/lake", "A test")
        trips.to_parquet(tmp_path / "one.parquet")
        trips[:2].to_parquet(tmp_path / "two.parquet")
        for name in ("one", "two"):
            data = (tmp_path / f"{name}.parquet").read_bytes()
            obstore.put(store, f"lake/trips/{name}.parquet", data)

        lake = loopline.warehouse("s3://wagoncab/lake")
        assert lake.tables() == ["files", "trips"] or lake.tables() == ["trips"]
        assert lake.query("SELECT count(*) n FROM trips").rows() == [{"n": 8}]
        obstore.put(
            store, "lake/trips/two.parquet", (tmp_path / "one.parquet").read_bytes()
        )  # Another ETag: it is fetched anew.
        assert lake.query("SELECT count(*) n FROM trips").rows() == [{"n": 12}]
        assert len(list((home / "cache" / "warehouse").iterdir())) == 3
        with pytest.raises(NotFoundError, match="nothing at"):
            loopline.warehouse("s3://wagoncab/other").tables()
