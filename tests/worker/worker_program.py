"""A worker of tests: ``worker_program.py URI NAME LEASE_S CLOCK_AHEAD_MS SLOTS [LABEL...]``."""

from __future__ import annotations

import logging
import sys
import time

from loopline.backend.local import LocalBackend
from loopline.backend.recorder import get_recorder
from loopline.settings import parse_address
from loopline.worker import run_worker
from loopline.worker.worker import stop_on_signals


def main() -> None:
    uri, name, lease_s, ahead_ms, slots, *labels = sys.argv[1:]
    logging.basicConfig(level=logging.INFO)
    address = parse_address(uri)
    if address.kind == "home":
        # The scheduler's clock: the store decides what is due by it.
        get_recorder(address.text)._backend = LocalBackend(
            address, clock=lambda: time.time_ns() // 1_000_000 + int(ahead_ms)
        )
    stop, stop_now = stop_on_signals()
    run_worker(
        address,
        name=name,
        slots=int(slots),
        labels=labels,
        lease_s=float(lease_s),
        stop=stop,
        stop_now=stop_now,
    )


if __name__ == "__main__":
    main()
