"""Homes that cannot be written are read; what is no home is told apart, with the next step."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import loopline
from loopline.backend.local import LocalBackend
from loopline.backend.recorder import close_recorders
from loopline.errors import BackendUnavailableError, InvalidInputError
from loopline.records.operations import SearchRuns
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Root may write what nobody may; without these two it is held to the rights of files, too.
AS_ANYBODY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]

READ = """
import sys, loopline
loopline.set_tracking_uri(sys.argv[1])
print(loopline.find_runs()[0].metrics["rmse"].value)
print(loopline.sql("SELECT name FROM runs"))
try:
    loopline.start_run()
except loopline.errors.BackendUnavailableError as error:
    print(error)
try:
    loopline.create_experiment("night shift")
except loopline.errors.BackendUnavailableError as error:
    print(error)
"""


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with one run, whose processes are gone."""
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    home = tmp_path / "home"
    loopline.set_tracking_uri(home)
    with loopline.start_run(run_name="night"):
        loopline.log_metric("rmse", 3.9)
    close_recorders()
    loopline.set_tracking_uri(None)
    yield home
    for path in (home, *home.rglob("*")):
        path.chmod(0o700)


def lock_away(home: Path) -> None:
    for path in (*home.rglob("*"), home):
        path.chmod(0o500 if path.is_dir() else 0o400)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    prefix = AS_ANYBODY if os.geteuid() == 0 else []
    assert not prefix or shutil.which("setpriv"), "Install util-linux, which has setpriv."
    environment = {**os.environ, "LOOPLINE_NO_CAPTURE": "1"}
    return subprocess.run(
        [*prefix, *command], capture_output=True, text=True, check=False, env=environment
    )


def test_a_home_that_may_not_be_written_is_read(recorded: Path) -> None:
    lock_away(recorded)
    ran = run(sys.executable, "-W", "error", "-c", READ, recorded)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("3.9\n")
    assert "night" in ran.stdout
    assert f"The home {recorded} cannot be written (Permission denied)" in ran.stdout
    assert f"The database {recorded / 'loopline.db'} can only be read here" in ran.stdout
    assert not list(recorded.glob("loopline.db-*"))


def test_commands_read_a_home_that_may_not_be_written(recorded: Path) -> None:
    lock_away(recorded)
    program = [sys.executable, "-m", "loopline.cli"]
    listed = run(*program, "runs", "list", "--uri", recorded)
    assert (listed.returncode, "night" in listed.stdout) == (0, True), listed.stderr
    asked = run(*program, "sql", "SELECT name FROM runs", "--uri", recorded)
    assert (asked.returncode, "night" in asked.stdout) == (0, True), asked.stderr


def test_a_home_that_others_write_is_read_with_their_latest_writes(recorded: Path) -> None:
    writer = LocalBackend(Address("home", str(recorded)))
    writer.call(SearchRuns())
    with sqlite3.connect(recorded / "loopline.db") as connection:
        connection.execute("UPDATE ll_run SET name = 'renamed'")
        connection.commit()
        assert (recorded / "loopline.db-wal").stat().st_size
        lock_away(recorded)
        asked = run(
            sys.executable, "-m", "loopline.cli", "sql", "SELECT name FROM runs", "--uri", recorded
        )
        assert "renamed" in asked.stdout, asked.stderr
    writer.close()
    connection.close()


@pytest.mark.parametrize("uri", ["/dev/null", "/dev/null/deeper"])
def test_what_is_no_folder_is_no_home(uri: str) -> None:
    loopline.set_tracking_uri(uri)
    try:
        with pytest.raises(InvalidInputError, match=r"/dev/null is no folder.*Give a folder"):
            loopline.start_run()
        with pytest.raises(InvalidInputError, match="/dev/null is no folder"):
            loopline.find_runs()
    finally:
        loopline.set_tracking_uri(None)


@pytest.mark.parametrize("uri", ["/proc/loopline", "/sys/loopline"])
def test_a_home_that_cannot_be_made_says_why(uri: str) -> None:
    loopline.set_tracking_uri(uri)
    try:
        with pytest.raises(BackendUnavailableError, match=rf"The home {uri} cannot be written \("):
            loopline.start_run()
    finally:
        loopline.set_tracking_uri(None)


def test_a_database_given_as_a_folder_is_told_how_to_be_given(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    connection.close()
    with pytest.raises(InvalidInputError) as raised:
        LocalBackend(Address("home", str(path)))
    assert f"sqlite:///{path}" in str(raised.value)
    assert f"`loopline import mlflow {path}`" in str(raised.value)
