"""Starts the programs in ``peers/``, each with its own Python, and ends what they leave running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peers.environments import PEERS, why_missing
from benchmarks.peers.protocol import descendants

if TYPE_CHECKING:
    from benchmarks.peers.environments import Peer

__all__ = ["ROOT", "CannotError", "ask", "command", "finished", "need"]

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(__file__).with_name("peers")
#: How long one program may take; MLflow fills its store and searches it in six minutes.
TIMEOUT_S = 600.0


class CannotError(Exception):
    """A program could not do a work; says why."""


def need(peer: Peer) -> None:
    """Raise ``CannotError`` when a peer has no environment."""
    why = why_missing(peer) if peer.environment else None
    if why:
        raise CannotError(why)


def command(peer: Peer, work: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Answer what to start, and in which environment."""
    python = str(peer.python) if peer.environment else sys.executable
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    # Else each process would compile all that is not in an environment's folder.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if not peer.environment:
        environment["PYTHONPATH"] = str(ROOT)
    # Whose client asks all servers: the newest of MLflow.
    environment["BENCHMARK_CLIENT"] = str(PEERS["mlflow"].python)
    return [python, str(PROGRAMS / peer.program), work, str(folder)], environment | peer.settings


def ask(peer: Peer, work: str, folder: Path) -> dict[str, Any]:
    """Let a program do a work; answer what it measured, and its wall time.

    Raises:
        CannotError: It cannot, failed, or took too long.
    """
    words, environment = command(peer, work, folder)
    began = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=errors,
            stdin=subprocess.DEVNULL, cwd=folder, start_new_session=True,
        )  # fmt: skip
        try:
            out, _ = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise CannotError(f"took more than {TIMEOUT_S:.0f} s") from None
        finally:
            wall_s = time.perf_counter() - began
            finished(process)
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    if process.returncode or not out.strip():
        raise CannotError(f"failed: {said[-1] if said else f'exit {process.returncode}'}")
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    if "cannot" in found:
        raise CannotError(found["cannot"])
    return {**found, "wall_s": wall_s}


def finished(process: subprocess.Popen[Any]) -> None:
    """End what a program has left running: only what came from it, as we take in its orphans."""
    if process.poll() is None:
        process.kill()
        process.wait()
    for pid in descendants(os.getpid()):
        try:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue  # It ended by itself, or its parent takes care of it.
