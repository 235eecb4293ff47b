"""Starting the process of a flow run: forked by a zygote, or by a Python of its own."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

import msgspec

from loopline.worker.zygote import READY, Ended, Messages, Order, Started

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FreshProcess", "RunProcess", "Zygote", "stop_group"]

log = logging.getLogger("loopline.worker")

#: How long a zygote may take to fork before a fresh process is started instead.
_FORK_S = 20.0
_LIVES_S = 0.1


class RunProcess(Protocol):
    """The process of a flow run, leader of a session and group of its own."""

    pid: int
    stdin: BinaryIO
    stdout: BinaryIO
    stderr: BinaryIO

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has ended; its id stays its own. False: it has not in time."""

    def reap(self) -> None:
        """Let go of its id, once it has ended."""


class FreshProcess:
    """A process with a Python of its own.

    Args:
        python: The interpreter.
        variables: Its environment.
    """

    def __init__(self, variables: Mapping[str, str], *, python: str = sys.executable) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            # -P: nothing in the worker's working directory may stand in for a flow's module.
            [python, "-P", "-m", "loopline.worker.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=dict(variables),
        )
        self.pid = self._process.pid
        self.stdin = cast("BinaryIO", self._process.stdin)
        self.stdout = cast("BinaryIO", self._process.stdout)
        self.stderr = cast("BinaryIO", self._process.stderr)
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="loopline-wait", daemon=True).start()

    @property
    def returncode(self) -> int | None:
        """Its exit code, once it is reaped."""
        return self._process.returncode

    def _watch(self) -> None:
        if hasattr(os, "waitid"):
            # Not reaped yet, its id cannot be another group's when the group is stopped.
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._process.wait()
        self._ended.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has ended."""
        return self._ended.wait(timeout_s)

    def reap(self) -> None:
        """Let go of its id."""
        self._process.wait()


class ForkedProcess:
    """A fork of a zygote."""

    def __init__(self, zygote: Zygote, pid: int, pipes: tuple[int, int, int]) -> None:
        self._zygote = zygote
        self.pid = pid
        self._code: int | None = None
        self.stdin: BinaryIO = os.fdopen(pipes[0], "wb")
        self.stdout: BinaryIO = os.fdopen(pipes[1], "rb")
        self.stderr: BinaryIO = os.fdopen(pipes[2], "rb")
        self._ended = threading.Event()

    @property
    def returncode(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._code

    def end(self, code: int) -> None:
        """Note how it ended."""
        self._code = code
        self._ended.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has ended."""
        return self._ended.wait(timeout_s)

    def reap(self) -> None:
        """Let go of its id."""
        self._ended.wait()
        self._zygote.reap(self.pid)


class Zygote:
    """The worker's end of a zygote; started at first use, and again when it died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._number = 0
        self._started: dict[int, int] = {}
        self._running: dict[int, ForkedProcess] = {}
        #: Ends told of before whoever started the process knew its id.
        self._early: dict[int, int] = {}

    def warm_up(self) -> None:
        """Start it and wait until it is ready, so that no flow run is taken before."""
        with self._lock:
            line = self._line_now()
        with self._changed:
            self._changed.wait_for(
                lambda: READY in self._started or self._line is not line, _FORK_S
            )

    def start(self, variables: Mapping[str, str]) -> ForkedProcess:
        """Start the process of a flow run.

        Raises:
            OSError: It cannot be started in this way.
        """
        ours, theirs = _pipes()
        try:
            with self._lock:
                line = self._line_now()
                self._number += 1
                number = self._number
                order = Order(number=number, variables=dict(variables))
                self._send(line, Messages.encode(order), theirs)
            return self._await(number, line, ours)
        except BaseException:
            for pipe in ours:
                os.close(pipe)
            raise
        finally:
            for pipe in theirs:
                os.close(pipe)

    def _await(
        self, number: int, line: socket.socket, pipes: tuple[int, int, int]
    ) -> ForkedProcess:
        with self._changed:
            self._changed.wait_for(
                lambda: number in self._started or self._line is not line, _FORK_S
            )
            pid = self._started.pop(number, None)
            if pid is None:
                msg = "The process that others are forked from does not answer."
                raise OSError(msg)
            process = ForkedProcess(self, pid, pipes)
            self._running[pid] = process
            if pid in self._early:
                process.end(self._early.pop(pid))
            return process

    def reap(self, pid: int) -> None:
        """Let go of the id of a process that has ended."""
        with self._changed:
            self._running.pop(pid, None)
            line = self._line
        if line is not None:
            with suppress(OSError):
                self._send(line, Messages.encode(Order(reap=pid)), ())

    def close(self) -> None:
        """End it; what it forked goes on."""
        with self._lock, self._changed:
            line, self._line = self._line, None
        if line is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        if self._process is not None:
            self._process.wait()

    def _line_now(self) -> socket.socket:
        if self._line is not None:
            return self._line
        if self._process is not None:
            self._process.wait()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", "-m", "loopline.worker.zygote", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                # What is printed is read line by line, and faults of C code are told.
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"},
            )
        with self._changed:
            self._line = ours
            self._started.clear()
        threading.Thread(
            target=self._listen, args=(ours,), name="loopline-zygote", daemon=True
        ).start()
        return ours

    def _send(self, line: socket.socket, data: bytes, pipes: tuple[int, ...]) -> None:
        with self._sending:
            if pipes:
                sent = socket.send_fds(line, [data], list(pipes))
                data = data[sent:]
            line.sendall(data)

    def _listen(self, line: socket.socket) -> None:
        messages = Messages()
        with suppress(OSError):
            while data := line.recv(65_536):
                for message in messages.feed(data):
                    self._hear(msgspec.msgpack.decode(message, type=Started | Ended))
        with self._changed:
            if self._line is line:
                log.warning("The process that others are forked from has ended; it starts again")
                self._line = None
            orphans, self._running = list(self._running.values()), {}
            self._changed.notify_all()
        line.close()
        for process in orphans:
            threading.Thread(target=_watch_orphan, args=(process,), daemon=True).start()

    def _hear(self, message: Started | Ended) -> None:
        with self._changed:
            if isinstance(message, Started):
                self._started[message.number] = message.pid
            elif (process := self._running.get(message.pid)) is not None:
                process.end(message.code)
            else:
                self._early[message.pid] = message.code
            self._changed.notify_all()


def _watch_orphan(process: ForkedProcess) -> None:
    """Wait for a process whose zygote died; how it ends nobody can tell any more."""
    while not process.wait(_LIVES_S):
        try:
            os.kill(process.pid, 0)
        except OSError:
            process.end(1)


def _pipes() -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Make three pipes; return the worker's ends, and the process's."""
    stdin_read, stdin_write = os.pipe()
    stdout_read, stdout_write = os.pipe()
    stderr_read, stderr_write = os.pipe()
    return (stdin_write, stdout_read, stderr_read), (stdin_read, stdout_write, stderr_write)


def stop_group(process: RunProcess, *, grace_s: float) -> None:
    """Stop a process and all it started; what is left of the group too when it is gone itself."""
    if grace_s:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(grace_s)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.reap()
    with suppress(OSError):
        process.stdin.close()
