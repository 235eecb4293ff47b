"""The process of a reproduction, and which of the runs it makes is the one that matters."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

from loopline.backend.adopt import catch_up
from loopline.backend.open import open_backend
from loopline.errors import LooplineError, UnsupportedError
from loopline.records.operations import SearchRuns
from loopline.reproduce.recording import LENT
from loopline.rules.reproduction import choose_run
from loopline.settings import parse_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from loopline.backend.protocol import Backend
    from loopline.records.tracking import Run

__all__ = ["Ran", "inherited", "run_again"]

#: Variables of ours that any program needs; all others are left out.
PASSED = (
    *("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"),
    *("LD_LIBRARY_PATH", "SSL_CERT_DIR", "SSL_CERT_FILE", "XDG_CACHE_HOME"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)
LOOK_EVERY_S = 0.5
#: What a run says after its end has so long to arrive.
AFTER_END_S = 2.0
#: How long a process that was told to end may take.
END_S = 10.0
TOLD_LINES = 15
MOST_RUNS = 1000


class Ran(NamedTuple):
    """A process that has run.

    Attributes:
        run: The counterpart of the original.
        seconds: How long the process took.
        notes: What a person should know of it.
    """

    run: Run
    seconds: float
    notes: tuple[str, ...] = ()


def inherited(passed: Sequence[str] = ()) -> dict[str, str]:
    """Take the variables that the process gets from ours: few, and those asked for by name."""
    names = (*PASSED, *passed)
    return {name: os.environ[name] for name in names if name in os.environ}


def run_again(
    original: Run,
    command: Sequence[str],
    *,
    folder: Path,
    variables: Mapping[str, str],
    store: Path,
    log: Path,
    timeout_s: float | None = None,
) -> Ran:
    """Run a command until the counterpart of a run has ended.

    A command may make many runs, and go on after the one that matters: then it is stopped.

    Args:
        original: The run.
        command: What to run.
        folder: Where.
        variables: All that it gets.
        store: Home that it records to.
        log: File for what it writes.
        timeout_s: How long the run may take; None: for ever.

    Raises:
        UnsupportedError: The command ended without such a run, or took too long.
    """
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - what the person asked for
            list(command),
            cwd=folder,
            env={**variables, "LOOPLINE_RECORD_TO": str(store)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            run = _wait(process, original, store, began, timeout_s)
        finally:
            stopped = process.poll() is None
            _end(process)
    seconds = round(time.monotonic() - began, 2)
    notes = []
    backend = open_backend(parse_address(str(store)))
    try:
        catch_up(parse_address(str(store)), backend)
        found = choose_run(original, _runs(backend))
    finally:
        backend.close()
    if found is None:
        said = log.read_text(errors="replace").splitlines()[-TOLD_LINES:]
        how = "took too long" if stopped and run is None else f"ended with {process.returncode}"
        msg = (
            f"The command {how}, and made no run that could be the counterpart of "
            f"{original.run_id}. What it wrote last:\n" + "\n".join(f"  {line}" for line in said)
        )
        raise UnsupportedError(msg)
    if stopped:
        notes.append("The command went on after the run had ended, and was stopped.")
    elif process.returncode:
        notes.append(f"The command ended with code {process.returncode}; see its output.")
    return Ran(run=found, seconds=seconds, notes=tuple(notes))


def _wait(
    process: subprocess.Popen[bytes],
    original: Run,
    store: Path,
    began: float,
    timeout_s: float | None,
) -> Run | None:
    """Wait for the process to end, or for the run that matters; None: there is none yet."""
    ended_at = None
    while process.poll() is None:
        time.sleep(LOOK_EVERY_S)
        if timeout_s is not None and time.monotonic() - began > timeout_s:
            return None
        run = _look(original, store)
        if run is not None and run.status.is_terminal:
            ended_at = ended_at or time.monotonic()
            if time.monotonic() - ended_at >= AFTER_END_S:
                return run
    return None


def _look(original: Run, store: Path) -> Run | None:
    if not (store / "loopline.db").exists():
        return None
    try:
        backend = open_backend(parse_address(str(store)))
        try:
            return choose_run(original, _runs(backend))
        finally:
            backend.close()
    except LooplineError:  # It is being made at this very moment.
        return None


def _runs(backend: Backend) -> list[Run]:
    page = backend.call(SearchRuns(order_by=["start_time ASC"], max_results=MOST_RUNS))
    return [run for run in page.runs if LENT not in run.tags]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process with all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        try:
            os.killpg(process.pid, number)
            process.wait(END_S)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
