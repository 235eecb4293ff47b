"""An import that is killed, run twice at once, or finds the store away: nothing lost or doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.transfer.mlruns_story import Mlruns

from loopline.records.operations import DescribeRuns, GetMetricHistory, SearchRuns
from loopline.transfer.archive_write import write_archive
from loopline.transfer.importer import import_from
from loopline.transfer.open_source import open_mlflow
from loopline.transfer.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.protocol import Backend

PROGRAM = Path(__file__).parent / "import_program.py"
RUNS = 80


@pytest.fixture
def season(tmp_path: Path) -> Mlruns:
    """Write a season of taxi-fare runs, with files and registered versions."""
    store = Mlruns(tmp_path / "season" / "mlruns")
    store.experiment("0", "Default")
    fares = store.experiment("1", "fares")
    store.meta(store.root / "models" / "fare", creation_timestamp=1, name="fare")
    for number in range(RUNS):
        lines = [f"{1000 + step} {number / (step + 1)} {step}\n" for step in range(200)]
        run = store.run(
            fares,
            f"{number:032x}",
            name=f"night {number}",
            params={"depth": str(number)},
            metrics={"rmse": "".join(lines), "mae": "".join(reversed(lines))},
            files={"model/MLmodel": f"flavors: {{}} # {number}\n"} if number % 5 == 0 else {},
        )
        if number % 4 == 0:
            store.logged_model(
                fares,
                f"m-{number:032x}",
                run_id=run.name,
                params={"depth": str(number)},
                metrics={"rmse": f"1 {number} 0 {run.name}\n"},
                files={"MLmodel": f"flavors: {{}} # logged {number}\n"},
            )
            store.used(run, f"m-{number:032x}", step=number)
        if number % 10 == 0:
            store.version("fare", number // 10 + 1, run, stage="Staging")
    return store


def contents(backend: Backend, folder: Path) -> dict[str, bytes]:
    """Tell all that a store has, but for when its archive was written."""
    write_archive(Selection(backend), backend, folder)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def import_until(source: Mlruns, home: Path, runs: int) -> int:
    """Import in another process and kill it soon after so many runs; return its exit code."""
    process = subprocess.Popen(
        [sys.executable, PROGRAM, source.root, home],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= runs:
            break
    seeded = random.Random(runs)  # noqa: S311 - so that a failure can be repeated
    time.sleep(seeded.random() * 0.05)
    process.kill()
    process.stdout.close()
    return process.wait()


def kill_many_times(
    season: Mlruns, tmp_path: Path, new_home: Callable[[str], Backend], *, kills: int
) -> None:
    import_from(open_mlflow(str(season.root)), new_home("whole"))
    moments = random.Random(7)  # noqa: S311 - so that a failure can be repeated
    hits = 0
    backend = new_home("killed")
    for _ in range(kills):
        here = len(backend.call(SearchRuns(max_results=1000)).runs)
        code = import_until(season, tmp_path / "killed" / ".loopline", moments.randrange(RUNS))
        known = backend.call(SearchRuns(max_results=1000)).runs
        hits += code == -9 and (here < len(known) < RUNS or here == 0)
    assert hits, "no kill hit an import under way"
    report = import_from(open_mlflow(str(season.root)), backend)
    assert report.equal, report.differences
    whole = contents(new_home("whole"), tmp_path / "archive-whole")
    assert contents(backend, tmp_path / "archive-killed") == whole
    described = backend.call(DescribeRuns(run_ids=[f"{number:032x}" for number in range(RUNS)]))
    assert [known.run.metrics["rmse"].count for known in described] == [200] * RUNS
    assert [len(known.events) for known in described] == [2] * RUNS


def test_an_import_that_is_killed_goes_on_and_doubles_nothing(
    season: Mlruns, tmp_path: Path, new_home: Callable[[str], Backend]
) -> None:
    kill_many_times(season, tmp_path, new_home, kills=3)


@pytest.mark.deep
def test_an_import_that_is_killed_again_and_again_ends_the_same(
    season: Mlruns, tmp_path: Path, new_home: Callable[[str], Backend]
) -> None:
    kill_many_times(season, tmp_path, new_home, kills=25)


def test_two_imports_at_once_double_nothing(
    season: Mlruns, tmp_path: Path, new_home: Callable[[str], Backend]
) -> None:
    new_home("both").close()
    ended: list[tuple[int, str]] = []

    def run() -> None:
        home = tmp_path / "both" / ".loopline"
        done = subprocess.run(
            [sys.executable, PROGRAM, season.root, home],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        ended.append((done.returncode, done.stderr))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [code for code, _ in ended] == [0, 0], ended
    backend = new_home("both")
    report = import_from(open_mlflow(str(season.root)), backend)
    assert report.equal, report.differences
    assert {row.what: row.new for row in report.rows if row.new} == {}
    history = backend.call(GetMetricHistory(run_id=f"{0:032x}", key="rmse"))
    assert history.total == 200


def test_what_is_left_of_an_import_is_no_lost_run(
    season: Mlruns, tmp_path: Path, new_home: Callable[[str], Backend]
) -> None:
    from loopline.records.operations import CloseLostRuns

    backend = new_home("killed")
    import_until(season, tmp_path / "killed" / ".loopline", 30)
    backend.call(CloseLostRuns(silent_s=-1.0))  # As a server does, half a minute later.
    report = import_from(open_mlflow(str(season.root)), backend)
    assert report.equal, report.differences
    runs = backend.call(SearchRuns(max_results=1000)).runs
    assert {msgspec.to_builtins(run.status) for run in runs} == {"FINISHED"}
