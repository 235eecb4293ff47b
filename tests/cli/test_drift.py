"""`loopline drift`: two files, told as a table, a page and a way to end."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from tests.cli.conftest import Shell


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    random = np.random.default_rng(1)
    for name, more in (("march", 1.0), ("april", 1.4)):
        table = pa.table(
            {"fare": random.gamma(2, 3, 2000) * more, "miles": random.normal(size=2000)}
        )
        parquet.write_table(table, tmp_path / f"{name}.parquet")
        csv.write_csv(table, tmp_path / f"{name}.csv")
    return Shell(tmp_path / "home", [], capsys)


def test_drift_is_told_drawn_and_counted(shell: Shell, tmp_path: Path) -> None:
    now, before = str(tmp_path / "april.parquet"), str(tmp_path / "march.csv")
    ran = shell("drift", now, "--against", before, "--html", str(tmp_path / "a.html"))
    assert ran.code == 0
    assert "1 of 2 columns drifted: fare." in ran.out
    assert "nothing that matters" in ran.out
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    assert shell("drift", now, "--against", before, "--fail-on-drift").code == 3
    assert (
        shell("drift", now, "--against", before, "--column", "miles", "--fail-on-drift").code == 0
    )
    asked = shell("drift", now, "--against", before, "--json").json
    assert [column["column"] for column in asked["columns"] if column.get("is_drifted")] == ["fare"]


def test_what_is_not_there_is_said(shell: Shell, tmp_path: Path) -> None:
    now = str(tmp_path / "april.parquet")
    missing = shell("drift", now, "--against", "models:/taxifare/Production")
    assert missing.code == 1
    wrong = shell("drift", now, "--against", now, "--column", "tips")
    assert (wrong.code, "no column 'tips'" in wrong.err) == (1, True)


@pytest.mark.parametrize("package", ["pyarrow", "numpy"])
def test_without_what_reads_tables_the_extra_is_named(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    (tmp_path / "trips.csv").write_text("miles\n1\n")
    monkeypatch.setitem(sys.modules, package, None)
    ran = shell("drift", str(tmp_path / "trips.csv"), "--against", str(tmp_path / "trips.csv"))
    assert ran.code == 1
    assert ran.err == (
        f'Error: Comparing rows needs {package}. Install it with: pip install "loopline[data]"\n'
    )


def test_who_gives_two_files_is_asked_which_was_before(shell: Shell, tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("april.csv", "march.csv")]
    for file in files:
        Path(file).write_text("miles\n1\n")
    april, march = files
    ran = shell("drift", april, march)
    assert (ran.code, f"loopline drift {april} --against {march}\n" in ran.err) == (2, True)
    assert "--against models:/NAME/Production" in shell("drift", april).err
