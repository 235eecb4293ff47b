"""``mlflow server`` on a SQLite file, with what its makers set: four workers, jobs on."""

from __future__ import annotations

import sys
from pathlib import Path

from peer_mlflow import fill_runs
from protocol import main
from server_works import ServerWorks


def serve(file: str, folder: Path, port: int) -> list[str]:
    """Write the command."""
    program = str(Path(sys.executable).with_name("mlflow"))
    return [
        program, "server", "--backend-store-uri", file, "--artifacts-destination",
        str(folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip


def command(folder: Path, port: int) -> list[str]:
    """Serve an empty store."""
    return serve(f"sqlite:///{folder / 'mlflow.db'}", folder, port)


def filled(folder: Path, port: int) -> list[str]:
    """Serve a store with 100,000 runs."""
    return serve(fill_runs(folder, 100_000), folder, port)


if __name__ == "__main__":
    main(ServerWorks(command, filled).all())
