"""Files and folders: digests of their bytes, read once and known afterwards by a stat."""

from __future__ import annotations

import gzip
import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import loopline
from loopline.data.cache import SETTLED_NS, FileCache, FileKey
from loopline.errors import InvalidInputError

#: Describes a file twice and says how often it was opened; the file must be old enough.
TWICE = """
import sys
import loopline

path, opened = sys.argv[1], []
sys.addaudithook(lambda event, args: opened.append(1) if event == "open" and args[0] == path else 0)
loopline.set_tracking_uri(sys.argv[2])
first = loopline.dataset(path)
once = len(opened)
assert loopline.dataset(path) == first
print(once, len(opened) - once)
"""

#: Describes a folder, over and over.
MANY = """
import sys
import loopline

loopline.set_tracking_uri(sys.argv[2])
print({loopline.dataset(sys.argv[1]).digest for _ in range(5)})
"""


def entries(home: Path) -> int:
    cache = home / "cache" / "files.db"
    if not cache.exists():
        return 0
    connection = sqlite3.connect(cache)
    (count,) = connection.execute("SELECT count(*) FROM file").fetchone()
    connection.close()
    return int(count)


def test_the_digest_of_a_file_is_its_sha_256(taxi_month: Path) -> None:
    version = loopline.dataset(taxi_month, name="green taxi 2022-01")
    assert version.digest == hashlib.sha256(taxi_month.read_bytes()).hexdigest()
    assert version.size_bytes == taxi_month.stat().st_size
    assert (version.kind, version.source) == ("file", str(taxi_month))
    assert version.rows == len(pd.read_parquet(taxi_month))


def test_a_file_that_was_hashed_is_not_even_opened_again(home: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", TWICE, os.__file__, home], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["1", "0"]


def test_a_file_changed_within_a_tick_of_the_clock_is_never_taken_for_the_old_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "trips.csv"
    seen = set()
    for fare in range(10, 60):
        path.write_text(f"fare\n{fare}\n")  # As long as before, and as old for the file system.
        os.utime(path, ns=(10**18, 10**18))
        seen.add(loopline.dataset(path).digest)
    assert len(seen) == 50


def test_a_fresh_file_is_not_kept_in_the_cache_and_a_settled_one_is(
    home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "trips.csv"
    path.write_text("fare\n7.5\n")
    loopline.dataset(path)
    assert entries(home) == 0

    key = FileKey.of(path.stat())
    with FileCache(home) as cache:
        cache.put(key, "ab" * 32, began_ns=key.ctime_ns + SETTLED_NS)
        cache.put(key, "ab" * 32, began_ns=key.ctime_ns - 10**9)  # The clock went back.
    assert entries(home) == 0
    with FileCache(home) as cache:
        cache.put(key, "ab" * 32, began_ns=time.time_ns() + 10**13)
    with FileCache(home) as cache:
        assert cache.sha256(key) == "ab" * 32
        assert cache.sha256(key._replace(ctime_ns=key.ctime_ns + 1)) is None


def test_many_processes_share_the_cache(home: Path) -> None:
    folder = Path(os.__file__).parent / "json"
    command = [sys.executable, "-c", MANY, str(folder), str(home)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = {process.communicate()[0] for process in started}
    assert answers == {f"{ {loopline.dataset(folder).digest} }\n"}
    assert entries(home) == len([path for path in folder.rglob("*") if path.is_file()])


def test_a_damaged_cache_is_left_behind(home: Path) -> None:
    digest = loopline.dataset(os.__file__).digest
    (home / "cache" / "files.db").write_bytes(b"no database" * 1000)
    assert loopline.dataset(os.__file__).digest == digest
    assert loopline.dataset(os.__file__).digest == digest
    assert entries(home) == 1


def test_a_folder_is_its_paths_and_contents_wherever_it_lies(tmp_path: Path) -> None:
    def fill(root: Path) -> Path:
        (root / "2022").mkdir(parents=True)
        (root / "2022" / "01.csv").write_text("fare\n7.5\n")
        (root / "2022" / "02.csv").write_text("fare\n8\n9.25\n")
        (root / "_SUCCESS").touch()
        return root

    here, there = fill(tmp_path / "trips"), fill(tmp_path / "elsewhere" / "copy")
    version = loopline.dataset(here)
    assert (version.kind, version.name, version.size_bytes) == ("folder", "trips", 21)
    assert (version.rows, version.profile["fare"].max) == (3, 9.25)
    assert loopline.dataset(there).digest == version.digest

    (there / "empty").mkdir()
    assert loopline.dataset(there).digest == version.digest
    (there / "2022" / "02.csv").rename(there / "2022" / "03.csv")
    assert loopline.dataset(there).digest != version.digest


def test_links_are_followed_and_circles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "trips.csv").write_text("fare\n7.5\n")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "trips.csv").symlink_to(tmp_path / "data" / "trips.csv")
    assert loopline.dataset(linked).digest == loopline.dataset(tmp_path / "data").digest

    (linked / "again").symlink_to(linked)
    with pytest.raises(InvalidInputError, match="circle"):
        loopline.dataset(linked)
    (linked / "again").unlink()
    (linked / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match="leads nowhere"):
        loopline.dataset(linked)


def test_months_whose_types_changed_over_the_years_are_one_table(taxi_month: Path) -> None:
    version = loopline.dataset(taxi_month.parent)
    months = sorted(taxi_month.parent.glob("*.parquet"))
    fares = [pd.read_parquet(path, columns=["fare_amount"])["fare_amount"] for path in months]
    assert version.rows == sum(map(len, fares))
    assert version.profile["fare_amount"].max == max(fare.max() for fare in fares)
    assert version.profile["fare_amount"].mean == pytest.approx(pd.concat(fares).mean())


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "jsonl", "feather", "parquet"])
def test_tables_are_described_in_every_format(
    ending: str, trips: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / f"trips.{ending}"
    match ending:
        case "csv" | "csv.gz":
            trips.to_csv(path, index=False)
        case "tsv":
            trips.to_csv(path, index=False, sep="\t")
        case "jsonl":
            trips.to_json(path, orient="records", lines=True, date_format="iso")
        case "feather":
            trips.to_feather(path)
        case _:
            trips.to_parquet(path)
    version = loopline.dataset(path)
    assert (version.rows, version.column_count) == (6, 6)
    assert version.profile["zone"].nulls == 1
    assert version.profile["fare"].mean == pytest.approx(trips["fare"].mean())


def test_a_column_whose_type_changes_far_down_is_text(tmp_path: Path) -> None:
    path = tmp_path / "trips.csv"
    path.write_text("zone_id\n" + "265\n" * 5_000_000 + "unknown\n")
    version = loopline.dataset(path)
    assert version.rows == 5_000_001
    assert version.profile["zone_id"].type == "string"
    assert version.profile["zone_id"].max == "unknown"


def test_a_file_that_is_not_what_it_says_keeps_its_digest_and_warns(tmp_path: Path) -> None:
    path = tmp_path / "trips.parquet"
    path.write_bytes(gzip.compress(b"fare"))
    with pytest.warns(RuntimeWarning, match="cannot be read as parquet"):
        version = loopline.dataset(path)
    assert version.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert version.rows is None


def test_what_is_not_there_is_said_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="Check the path"):
        loopline.dataset(tmp_path / "trips.parquet")
    with pytest.raises(InvalidInputError, match="with data in it"):
        loopline.dataset(tmp_path)
