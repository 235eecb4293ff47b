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

from loopline.settings import find_home


def test_it():
    home = find_home()
    home.mkdir()
    (home / "loopline.db").write_text("changed")
    {stray}
"""


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """Give the home of a user who has recorded something."""
    database = tmp_path / "user" / ".loopline" / "loopline.db"
    database.parent.mkdir(parents=True)
    database.write_text("mine")
    return tmp_path / "user"


def session(user: Path, stray: str = "") -> subprocess.CompletedProcess[str]:
    """Run a test that records, in a folder of the user's; ``stray`` is one more line of it."""
    project = user / "project"
    project.mkdir()
    (project / "conftest.py").write_text(CONFTEST)
    (project / "test_fares.py").write_text(TEST.format(stray=stray))
    env = {key: value for key, value in os.environ.items() if key != "LOOPLINE_HOME"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", project, project],
        cwd=project,
        env=env | {"HOME": str(user), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_test_records_into_the_sessions_home_and_not_into_the_users(user: Path) -> None:
    done = session(user)
    assert done.returncode == 0, done.stdout
    assert (user / ".loopline" / "loopline.db").read_text() == "mine"


@pytest.mark.parametrize(
    ("stray", "named"),
    [
        ("Path({home!r}, 'loopline.db').write_text('ours')", "loopline.db"),
        ("Path({home!r}, 'loopline.db').unlink()", "loopline.db"),
        ("Path({home!r}, 'journal').mkdir()", "journal"),
    ],
)
def test_a_session_that_touches_the_users_home_fails_and_names_what(
    user: Path, stray: str, named: str
) -> None:
    home = user / ".loopline"
    done = session(user, stray.format(home=str(home)))
    assert "1 passed" in done.stdout
    assert done.returncode == 1
    assert str(home / named) in done.stdout


def test_a_session_that_makes_a_home_for_the_user_fails(user: Path) -> None:
    home = user / ".loopline"
    (home / "loopline.db").unlink()
    home.rmdir()
    done = session(user, f"Path({str(home)!r}).mkdir()")
    assert "1 passed" in done.stdout
    assert done.returncode == 1
    assert f"{home} was changed" in done.stdout
