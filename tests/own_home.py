"""A home for the whole session: no test reads or records what is the user's.

Every process that a test starts inherits it. A session that still touches the user's
``~/.loopline`` fails.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["OwnHome"]

#: What others keep below the home and tests use: kept wheels and trips, and pip's settings.
KEPT = {"XDG_CACHE_HOME": ".cache", "XDG_CONFIG_HOME": ".config"}


class OwnHome:
    """Makes the home, and compares the user's before and after."""

    def __init__(self, users: Path) -> None:
        self._users = users / ".loopline"
        self._before = dict(_content(self._users))
        self._touched: list[str] = []
        self._folder = Path(tempfile.mkdtemp(prefix="loopline-tests-"))
        for variable, name in KEPT.items():
            os.environ.setdefault(variable, str(users / name))
        os.environ["HOME"] = str(self._folder)
        os.environ["LOOPLINE_HOME"] = str(self._folder / ".loopline")

    @classmethod
    def move_in(cls, config: pytest.Config) -> None:
        """Set the variables, and watch; the processes of pytest-xdist are in already."""
        if not hasattr(config, "workerinput"):
            config.pluginmanager.register(cls(Path.home()))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the session when the user's home is not as it was."""
        now = dict(_content(self._users))
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
            terminalreporter.section(f"{self._users} was changed", red=True)
            terminalreporter.line(
                f"Tests must not touch it (or did another program use it meanwhile?): "
                f"{', '.join(self._touched[:5])}"
            )

    def pytest_unconfigure(self) -> None:
        """Remove it."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _content(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """List everything in a folder with its size and the time it was changed."""
    for place, _, names in os.walk(folder):
        for path in [Path(place), *(Path(place) / name for name in names)]:
            about = path.lstat()
            yield str(path), (about.st_size, about.st_mtime_ns)
