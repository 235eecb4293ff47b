"""FastTrackML's server, in Go, on a SQLite file."""

from __future__ import annotations

import sys
from pathlib import Path

from protocol import main
from server_works import ServerWorks


def serve(file: Path, port: int) -> list[str]:
    """Write the command."""
    program = str(Path(sys.executable).with_name("fml"))
    return [
        program, "server", "-l", "error", "-a", f"127.0.0.1:{port}", "-d", f"sqlite://{file}",
        "--default-artifact-root", str(file.parent),
    ]  # fmt: skip


def command(folder: Path, port: int) -> list[str]:
    """Serve an empty store."""
    return serve(folder / "fasttrackml.db", port)


def filled(folder: Path, port: int) -> list[str]:
    """Serve a store with 100,000 runs, which the client's benchmarks fill."""
    from peer_fasttrackml import fill_runs

    fill_runs(folder, 100_000)
    return serve(folder / "fasttrackml-100000.db", port)


if __name__ == "__main__":
    able = ServerWorks(command, filled).all()
    del able["server_script"]
    main(able, {"server_script": "it has no registry of models"})
