"""The pages: plain HTML made on the server, readable without a script."""

from __future__ import annotations

__all__: list[str] = []
