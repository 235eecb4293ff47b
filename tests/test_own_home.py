"""No test reads or records what is the user's, whatever it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONFTEST = """
from tests.own_home import OwnHome


def pytest_configure(config):
    OwnHome.move_in(config)
"""
TEST = """
from pathlib import Path

import loopline


def test_it(tmp_path):
    loopline.set_tracking_uri({where})
    with loopline.start_run():
        loopline.log_metric("rmse", 3.5)
    {more}
"""


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """Give the home of a user who has recorded something."""
    database = tmp_path / "user" / ".loopline" / "loopline.db"
    database.parent.mkdir(parents=True)
    database.write_text("mine")
    return tmp_path / "user"


def session(user: Path, *, where: str = "tmp_path", more: str = "") -> tuple[int, str]:
    """Run a test that records, with one more line in it; return its code and what it said."""
    project = user.parent / "project"
    project.mkdir()
    (project / "conftest.py").write_text(CONFTEST)
    (project / "test_fares.py").write_text(TEST.format(where=where, more=more))
    elsewhere = {"LOOPLINE_URI": str(user / "elsewhere"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", project, project],
        cwd=project,
        env={**os.environ, **elsewhere, "HOME": str(user)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (user / "elsewhere").exists()
    return done.returncode, done.stdout


def test_what_the_user_set_moves_no_test(user: Path) -> None:
    code, said = session(user)
    assert code == 0, said
    assert (user / ".loopline" / "loopline.db").read_text() == "mine"


def test_a_test_that_records_without_saying_where_fails(user: Path) -> None:
    code, said = session(user, where="None")
    assert code == 1
    assert "test_fares.py::test_it recorded into ~/.loopline" in said
    assert (user / ".loopline" / "loopline.db").read_text() == "mine"


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("Path({home!r}, 'loopline.db').write_text('ours')", "loopline.db"),
        ("Path({home!r}, 'loopline.db').unlink()", "loopline.db"),
        ("Path({home!r}, 'journal').mkdir()", "journal"),
    ],
)
def test_a_session_that_touches_the_users_home_fails_and_names_what(
    user: Path, more: str, named: str
) -> None:
    home = user / ".loopline"
    code, said = session(user, more=more.format(home=str(home)))
    assert "1 passed" in said
    assert code == 1
    assert str(home / named) in said


def test_a_session_that_makes_a_home_for_the_user_fails(user: Path) -> None:
    home = user / ".loopline"
    (home / "loopline.db").unlink()
    home.rmdir()
    code, said = session(user, more=f"Path({str(home)!r}).mkdir()")
    assert "1 passed" in said
    assert code == 1
    assert f"{home} was changed" in said
