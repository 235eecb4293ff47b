"""A server as tests start it: ``server_program.py HOME CLOCK_AHEAD_MS``; prints its URL."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from loopline.backend.local import LocalBackend
from loopline.server import serve as serving
from loopline.settings import parse_address

if TYPE_CHECKING:
    from loopline.settings import Address


def main() -> None:
    home, ahead_ms = sys.argv[1:]

    def open_backend(address: Address) -> LocalBackend:
        return LocalBackend(address, clock=lambda: time.time_ns() // 1_000_000 + int(ahead_ms))

    # The scheduler's clock: the store decides what is due by it.
    serving.open_backend = open_backend  # type: ignore[attr-defined]
    serving.serve(parse_address(home), port=0, on_ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    main()
