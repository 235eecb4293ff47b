"""Loopline's server, under the same protocol as its peers."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from protocol import main
from server_stop import stop
from server_works import ServerWorks


def command(folder: Path, port: int) -> list[str]:
    """Serve a home."""
    program = str(Path(sys.executable).with_name("loopline"))
    return [program, "server", "--uri", str(folder / "home"), "--port", str(port)]


def filled(folder: Path, port: int) -> list[str]:
    """Serve a home with 100,000 runs."""
    from benchmarks.fill_store import fill

    home = fill(folder / "runs-100000", 100_000)
    program = str(Path(sys.executable).with_name("loopline"))
    return [program, "server", "--uri", str(home), "--port", str(port)]


if __name__ == "__main__":
    os.environ["HOME"] = os.environ.get("BENCHMARK_HOME", os.environ["HOME"])
    works = ServerWorks(command, filled).all()
    main({**works, "server_stop": partial(stop, command)})
