"""The zygote: a process that has imported what every flow run needs, and forks for each of them.

Starting Python and importing the engine takes most of the time between the due time of a flow run
and its first task. The zygote has done both. It has no threads, opens no store and runs no user
code, so that a fork of it is as good as a fresh process.

The worker is at the other end of a socket (``loopline.worker.starting``). It sends the variables
of a new process with three pipes, and is told of its id and its end. A process that has ended is
reaped when the worker says so: until then its id is no other's, and its group can be stopped.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["READY", "Ended", "Messages", "Order", "Started", "main"]

_LENGTH = struct.Struct("<I")
_CHUNK_BYTES = 65_536
#: Standard input, output and error of a new process.
_PIPES = 3
#: Number of the start of the zygote itself.
READY = 0


class Order(msgspec.Struct):
    """To the zygote: start a process, or reap one.

    Attributes:
        number: Of a start; the answer has it.
        variables: Environment variables of the new process.
        reap: Id of a process that has ended; 0: start one.
    """

    number: int = 0
    variables: dict[str, str] = {}
    reap: int = 0


class Started(msgspec.Struct, tag=True):
    """From the zygote: a process has started."""

    number: int
    pid: int


class Ended(msgspec.Struct, tag=True):
    """From the zygote: a process has ended; the code is negative for a signal."""

    pid: int
    code: int


class Messages:
    """Cuts a stream of bytes into messages: 4 bytes of little-endian length, and msgpack."""

    def __init__(self) -> None:
        self._data = b""

    @staticmethod
    def encode(message: msgspec.Struct) -> bytes:
        """Write a message."""
        data = msgspec.msgpack.encode(message)
        return _LENGTH.pack(len(data)) + data

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what came, and give each message that is whole."""
        self._data += data
        while len(self._data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._data)
            end = _LENGTH.size + length
            if len(self._data) < end:
                return
            yield self._data[_LENGTH.size : end]
            self._data = self._data[end:]


class _Zygote:
    """Serves one worker.

    Args:
        line: The socket to it.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._messages = Messages()
        self._pipes: list[int] = []
        self._alive: set[int] = set()
        self._woken, self._waker = os.pipe()
        for end in (self._woken, self._waker):
            os.set_blocking(end, False)

    def serve(self) -> Literal["parent", "child"]:
        """Serve until the worker is gone; in each forked child it returns at once."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._line.sendall(Messages.encode(Started(number=READY, pid=os.getpid())))
        while True:
            line = self._line.fileno()
            ready, _, _ = select.select([line, self._woken], [], [])
            if self._woken in ready:
                self._drain()
                self._tell_ends()
            if line not in ready:
                continue
            data, pipes, _, _ = socket.recv_fds(self._line, _CHUNK_BYTES, 16 * _PIPES)
            if not data:
                return "parent"
            self._pipes += pipes
            for message in self._messages.feed(data):
                order = msgspec.msgpack.decode(message, type=Order)
                if order.reap:
                    self._reap(order.reap)
                elif self._fork(order) == "child":
                    return "child"

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._woken, 4096):
                pass

    def _tell_ends(self) -> None:
        for pid in list(self._alive):
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None:
                self._alive.discard(pid)
                by_signal = ended.si_code != os.CLD_EXITED
                code = -ended.si_status if by_signal else ended.si_status
                self._line.sendall(Messages.encode(Ended(pid=pid, code=code)))

    def _reap(self, pid: int) -> None:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        self._alive.discard(pid)

    def _fork(self, order: Order) -> Literal["parent", "child"]:
        pipes, self._pipes = self._pipes[:_PIPES], self._pipes[_PIPES:]
        pid = os.fork()
        if pid == 0:
            self._become(order, pipes)
            return "child"
        for pipe in pipes:
            os.close(pipe)
        self._alive.add(pid)
        self._line.sendall(Messages.encode(Started(number=order.number, pid=pid)))
        return "parent"

    def _become(self, order: Order, pipes: list[int]) -> None:
        """Turn a fork into the process of a flow run: own session, own pipes, nothing of ours."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        for sign in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(sign, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._line.close()
        for number in (self._woken, self._waker, *self._pipes):
            os.close(number)
        for target, pipe in enumerate(pipes):
            os.dup2(pipe, target)
            os.close(pipe)
        os.environ.clear()
        os.environ.update(order.variables)


def _import_all() -> None:
    """Import what the process of a flow run imports before it has its code."""
    import loopline.backend.http
    import loopline.backend.local
    import loopline.backend.recorder
    import loopline.flows.executors.threads
    import loopline.flows.running.engine
    import loopline.flows.shipping.code
    import loopline.store.operations
    import loopline.store.sqlite
    import loopline.worker.assignment  # noqa: F401


def main() -> int:
    """Serve the worker at the socket whose number is the first argument."""
    from loopline.worker import process

    # The worker stops it by closing the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line = socket.socket(fileno=int(sys.argv[1]))
    line.set_inheritable(False)
    _import_all()
    gc.collect()
    gc.freeze()  # What is shared with the forks stays shared.
    if _Zygote(line).serve() == "parent":
        return 0
    sys.argv = [process.__file__]
    return process.main()


if __name__ == "__main__":
    sys.exit(main())
