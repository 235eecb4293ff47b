"""The command line in this process, over a store that holds the taxi-fare story."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.server import story

from loopline.backend.local import LocalBackend
from loopline.cli import main
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path


class Ran(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the command writes
        """The output as JSON."""
        return json.loads(self.out)


class Shell:
    """Runs `loopline` commands on one store."""

    def __init__(
        self, home: Path, flow_runs: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.home = home
        self.flow_runs = flow_runs
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ran:
        self._capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["loopline", *arguments])
            patch.setenv("LOOPLINE_URI", str(self.home))
            with pytest.raises(SystemExit) as ended:
                main()
        written = self._capsys.readouterr()
        return Ran(int(ended.value.code or 0), written.out, written.err)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    home = tmp_path_factory.mktemp("cli") / ".loopline"
    backend = LocalBackend(Address("home", str(home)))
    flow_runs = story.fill(backend, tmp_path_factory.mktemp("files"))
    backend.close()
    return home, flow_runs


@pytest.fixture
def shell(filled: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(*filled, capsys)
