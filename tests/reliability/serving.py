"""A real server of a store, which keeps its port however often it is killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ServerProcess", "free_port"]


def free_port() -> int:
    """Find a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


class ServerProcess:
    """``loopline server`` in a process of its own.

    Attributes:
        uri: The store it serves.
        url: Where it answers, from its first start on.
    """

    def __init__(self, uri: str, home: Path, *options: str, **environment: str) -> None:
        """Choose a free port for the store at ``uri``; nothing runs yet."""
        self._port = free_port()
        self._options = options
        self.url = f"http://127.0.0.1:{self._port}"
        self.uri = uri
        self._environment = {**os.environ, "HOME": str(home), **environment}
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "loopline.cli", "server", "--port", str(self._port), "--json",
             "--uri", self.uri, *self._options],
            stdout=subprocess.PIPE, text=True, env=self._environment,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline())["url"] == self.url

    def kill(self) -> None:
        """Kill it as ``kill -9`` does."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
