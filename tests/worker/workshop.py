"""A real home with real workers on it, and a project as users have it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from loopline.backend.local import LocalBackend
from loopline.records.operations import CreateFlowRun, GetFlowRun
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.records.flows import FlowRun, StateKind

T = TypeVar("T")

HERE = Path(__file__).parent

TAXIFARE = {
    "taxifare/__init__.py": "",
    "taxifare/interface/__init__.py": "",
    "taxifare/interface/main.py": """
        from taxifare.ml_logic.model import RMSE

        def preprocess(first_row):
            print(f"preprocess from row {first_row}")

        def train(first_row, stage):
            return RMSE["retrained"]

        def evaluate(first_row):
            return RMSE["stale"]
    """,
    "taxifare/ml_logic/__init__.py": "",
    "taxifare/ml_logic/model.py": 'RMSE = {"stale": 5.81, "retrained": 4.46}\n',
}

IMPORTS = """
    import datetime, os, pathlib, subprocess, sys, threading, time
    from loopline.flows.flow import Flow
    from loopline.flows.task import task
    from loopline.executors import LocalDaskExecutor
    from loopline.schedules import IntervalSchedule

    HERE = pathlib.Path({folder!r})

    def note(what):
        with open(HERE / "notes", "a") as file:
            file.write(what + "\\n")

    def wait_for(name):
        while not (HERE / name).exists():
            time.sleep(0.02)
"""


class Workshop:
    """A home, a project folder, and the workers started on it."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.project.mkdir()
        self.home = folder / "home" / ".loopline"
        self.backend = LocalBackend(Address("home", str(self.home)))
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        self.uri = str(self.home)
        self._started: list[subprocess.Popen[bytes]] = []

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def register(self, script: str, *, with_imports: bool = True) -> str:
        """Run a script that registers a flow; return what it printed."""
        head = IMPORTS.format(folder=str(self.project)) if with_imports else ""
        (self.project / "flow.py").write_text(textwrap.dedent(head) + textwrap.dedent(script))
        done = subprocess.run(
            [sys.executable, "flow.py"],
            cwd=self.project,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_worker(
        self,
        name: str,
        *,
        lease_s: float = 30.0,
        ahead_ms: int = 0,
        slots: int = 1,
        labels: tuple[str, ...] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a worker in another folder."""
        options = (str(lease_s), str(ahead_ms), str(slots), *labels)
        return self._start("worker_program.py", name, self.uri, name, *options)

    def start_server(self, *, ahead_ms: int) -> None:
        """Start a server over the home; scripts and workers then know nothing but its URL."""
        server = self._start("server_program.py", "server", str(self.home), str(ahead_ms))
        assert server.stdout is not None
        self.uri = server.stdout.readline().decode().strip()

    def _start(self, program: str, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.elsewhere / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(HERE / program), *arguments],
                cwd=self.elsewhere,
                env=self._environment(),
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._started.append(process)
        return process

    def _environment(self) -> dict[str, str]:
        # Journals of what goes to a server lie in the home of whoever sends it.
        own = {} if self.uri == str(self.home) else {"LOOPLINE_HOME": str(self.elsewhere / "own")}
        return {**os.environ, "LOOPLINE_URI": self.uri, "TMPDIR": str(self.temporary), **own}

    @property
    def temporary(self) -> Path:
        """Where all it starts puts its temporary files."""
        folder = self.elsewhere / "temporary"
        folder.mkdir(exist_ok=True)
        return folder

    def worker_log(self, name: str) -> str:
        return (self.elsewhere / f"{name}.log").read_text()

    def ask_for_run(self, name: str) -> str:
        run = self.backend.call(CreateFlowRun(project="wagoncab project", name=name))
        return run.flow_run_id

    def wait_for_state(self, flow_run_id: str, *states: StateKind) -> FlowRun:
        def reached() -> FlowRun | None:
            run = self.backend.call(GetFlowRun(flow_run_id=flow_run_id))
            return run if run.state in states else None

        return wait(reached)

    def notes(self) -> list[str]:
        path = self.project / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for_note(self, what: str) -> None:
        wait(lambda: what in self.notes())

    def allow(self, name: str) -> None:
        """Let go on what waits for this."""
        (self.project / name).touch()

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()
        self.backend.close()


def wait(answer: Callable[[], T | None], timeout_s: float = 60.0) -> T:
    """Wait until something is true, and return it."""
    until = time.monotonic() + timeout_s
    while not (found := answer()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)
    return found
