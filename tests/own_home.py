"""A home for the tests: none of them reads or records what is the user's.

Every process that a test starts inherits it, unless the test gives another one. A test that
records without saying where fails, and so does a session that touches the user's ``~/.loopline``:
that is where the first would record for somebody whose checkout lies below it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loopline.settings import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["OwnHome"]

#: What others keep below the home and tests use: kept wheels and trips, and pip's settings.
KEPT = {"XDG_CACHE_HOME": ".cache", "XDG_CONFIG_HOME": ".config"}
#: The only settings of the user's that count: what real trips are, and not where to record.
TRIPS = {"LOOPLINE_TAXI_DATA", "LOOPLINE_TAXI_URL"}


class OwnHome:
    """Makes the home, looks whether tests leave it alone, and removes it."""

    def __init__(self, config: pytest.Config) -> None:
        users = Path.home()
        for variable, name in KEPT.items():
            os.environ.setdefault(variable, str(users / name))
        for variable in ENVIRONMENT.keys() - TRIPS:
            os.environ.pop(variable, None)
        # Those of pytest-xdist's processes lie in their parent's.
        within = users if hasattr(config, "workerinput") else None
        self._folder = Path(tempfile.mkdtemp(prefix="loopline-tests-", dir=within))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)  # After our recorders.
        os.environ["HOME"] = str(self._folder)
        self._before = self._recorded()

    @classmethod
    def move_in(cls, config: pytest.Config) -> None:
        """Make one; each process of pytest-xdist has its own, and its parent watches the user's."""
        if not hasattr(config, "workerinput"):
            config.pluginmanager.register(_UsersHome(Path.home() / ".loopline"))
        config.pluginmanager.register(cls(config))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Remember whether something is here already; then another test failed for it."""
        self._before = self._recorded()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        """Fail a test that recorded here, when its fixtures are through."""
        yield
        if self._recorded() != self._before:
            pytest.fail(
                f"{item.nodeid} recorded into ~/.loopline, where a user's runs are. Say where: "
                "loopline.set_tracking_uri, LOOPLINE_HOME, or HOME for another program.",
                pytrace=False,
            )

    def _recorded(self) -> list[bool]:
        """Tell whether programs recorded here; the files of a PostgreSQL may lie beside."""
        home = self._folder / ".loopline"
        return [(home / name).exists() for name in ("journal", "loopline.db")]


class _UsersHome:
    """Compares the user's home before and after."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = dict(_content(folder))
        self._touched: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the session when it is not as it was."""
        now = dict(_content(self._folder))
        self._touched = sorted(
            path
            for path in now.keys() | self._before.keys()
            if now.get(path) != self._before.get(path)
        )
        if self._touched:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was touched."""
        if self._touched:
            terminalreporter.section(f"{self._folder} was changed", red=True)
            terminalreporter.line(
                "Tests must not touch it (or did another program use it meanwhile?): "
                f"{', '.join(self._touched[:5])}"
            )


def _content(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """List everything in a folder with its size and the time it was changed."""
    for place, _, names in os.walk(folder):
        for path in [Path(place), *(Path(place) / name for name in names)]:
            with suppress(FileNotFoundError):  # Gone meanwhile, with its owner.
                about = path.lstat()
                yield str(path), (about.st_size, about.st_mtime_ns)
