"""The server: the native API, the door of the MLflow protocol, and the pages, over one backend."""

from __future__ import annotations

__all__ = ["DEFAULT_HOST", "DEFAULT_PORT"]

#: Loopback: only this machine's people and programs reach the server.
DEFAULT_HOST = "127.0.0.1"

DEFAULT_PORT = 5050
