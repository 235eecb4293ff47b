"""A line to a server that breaks: passes bytes on, counts them, and is cut after so many."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

__all__ = ["CutLine"]


class CutLine:
    """Listens on a port and passes everything on to another port.

    Args:
        port: Where the server listens.
        at: Where this listens.
        up: For each connection in turn, after how many bytes towards the server it is cut; those
            that follow are not.
        down: The same of bytes towards the client.

    Attributes:
        url: Its address.
        sent: Bytes that went through towards the server.
        received: Bytes that went through towards the client.
    """

    def __init__(
        self, port: int, at: int, *, up: tuple[int, ...] = (), down: tuple[int, ...] = ()
    ) -> None:
        self._port = port
        self._cuts = {"sent": list(up), "received": list(down)}
        self._listener = socket.create_server(("127.0.0.1", at))
        self.url = f"http://127.0.0.1:{at}"
        self.sent = self.received = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            threading.Thread(target=self._join, args=(client, server), daemon=True).start()

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=self._pass, args=("received", server, client), daemon=True)
        with client, server:
            back.start()
            self._pass("sent", client, server)
            back.join()

    def _pass(self, name: str, source: socket.socket, target: socket.socket) -> None:
        left = None
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                passed += len(data)
                with self._lock:
                    setattr(self, name, getattr(self, name) + len(data))
                    # A cut is for the next connection on which enough goes this way.
                    if left is None and self._cuts[name] and passed > 1 << 17:
                        left = self._cuts[name].pop(0)
                target.sendall(data)
                if left is not None and passed >= left:
                    break
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
