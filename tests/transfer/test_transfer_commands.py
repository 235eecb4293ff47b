"""`loopline import` and `loopline export` as people and programs use them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.transfer.mlruns_story import Mlruns

from loopline.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopline.backend.protocol import Backend

BEST = "a" * 32


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def loopline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    monkeypatch.setenv("LOOPLINE_URI", str(tmp_path / "home" / ".loopline"))

    def run(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["loopline", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return Ran(int(ended.value.code or 0), written.out, written.err)

    return run


def rows_of(ran: Ran) -> dict[str, tuple[int, int]]:
    report: dict[str, Any] = json.loads(ran.out)
    return {row["what"]: (row["source"], row["here"]) for row in report["rows"]}


def test_an_import_ends_with_a_count_of_both_sides(
    store: Mlruns, loopline: Callable[..., Ran]
) -> None:
    ran = loopline("import", "mlflow", store.root)
    assert ran.code == 0
    lines = [line.split() for line in ran.out.splitlines()]
    assert ["WHAT", "SOURCE", "ADDED", "HERE"] in lines
    assert ["metric", "points", "12", "12", "12"] in lines
    assert ["model", "tags", "1", "1", "1"] in lines
    assert "1 repeated metric points" in ran.out
    assert "All but what is listed above is here, with equal values" in ran.out
    assert ran.err == ""  # No bar where nobody looks.


def test_an_import_that_leaves_nothing_out_says_that_everything_is_here(
    tmp_path: Path, loopline: Callable[..., Ran]
) -> None:
    store = Mlruns(tmp_path / "plain")
    experiment = store.experiment("1", "fares")
    store.run(experiment, "a" * 32, metrics={"rmse": "1675000000000 3.5 0\n"})
    ran = loopline("import", "mlflow", store.root)
    assert ran.code == 0
    assert "Everything is here, with equal values" in ran.out


def test_json_says_the_same(store: Mlruns, loopline: Callable[..., Ran]) -> None:
    ran = loopline("import", "mlflow", store.root, "--json")
    assert rows_of(ran)["runs"] == (6, 6)
    assert json.loads(ran.out)["equal"] is True


def test_an_import_that_lacks_something_is_code_1_and_says_what(
    store: Mlruns, loopline: Callable[..., Ran]
) -> None:
    store.run(store.root / "1", "9" * 32, tags={"long": "x" * 65_537})
    ran = loopline("import", "mlflow", store.root)
    assert ran.code == 1
    assert "Not everything is here" in ran.err
    assert "'long' has 65,537 characters" in ran.err


def test_a_dry_run_is_code_0_and_says_that_nothing_changed(
    store: Mlruns, loopline: Callable[..., Ran]
) -> None:
    ran = loopline("import", "mlflow", store.root, "--dry-run", "--experiment", "táxi fares ☂")
    assert ran.code == 0
    assert "Nothing was changed" in ran.out
    assert ["runs", "5", "5", "0"] in [line.split() for line in ran.out.splitlines()]


def test_an_export_goes_round(store: Mlruns, loopline: Callable[..., Ran], tmp_path: Path) -> None:
    loopline("import", "mlflow", store.root)
    ran = loopline("export", "aaaaaaaa", "--to", tmp_path / "archive", "--json")
    assert json.loads(ran.out)["counts"]["runs"] == 2
    other = ("--uri", tmp_path / "other")
    ran = loopline("import", "archive", tmp_path / "archive", "--json", *other)
    assert (ran.code, rows_of(ran)["model versions"]) == (0, (2, 2))
    ran = loopline("export", "--mlflow-db", tmp_path / "mlflow.db")
    assert "mlflow ui --backend-store-uri sqlite:///" in ran.out
    ran = loopline("import", "mlflow", tmp_path / "mlflow.db", *other)
    assert ran.code == 0


def test_an_export_must_say_where_to(
    home: Backend, loopline: Callable[..., Ran], tmp_path: Path
) -> None:
    del home
    assert loopline("export").code == 2
    both = loopline("export", "--to", tmp_path / "a", "--mlflow-db", tmp_path / "b.db")
    assert (both.code, "either --to FOLDER or --mlflow-db FILE" in both.err) == (2, True)
    assert loopline("export", "nothing", "--to", tmp_path / "a").code == 1


def test_a_source_that_is_none_is_an_error_in_a_sentence(
    loopline: Callable[..., Ran], tmp_path: Path
) -> None:
    for source in (tmp_path, tmp_path / "none.db", "ftp://files.example/mlruns"):
        ran = loopline("import", "mlflow", source)
        assert ran.code == 1
        assert ran.err.startswith("Error: ")
