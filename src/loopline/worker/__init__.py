"""The worker: claims due flow runs by lease and runs each in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from loopline.settings import Address

__all__ = ["DRAIN_S", "LEASE_S", "POLL_S", "run_worker"]

#: With the pause between two looks of a scheduler a dead worker is noted within 30 seconds.
LEASE_S = 20.0
POLL_S = 0.25
DRAIN_S = 300.0


def run_worker(  # noqa: PLR0913 - a worker has these
    address: Address,
    *,
    name: str = "",
    slots: int = 1,
    labels: Iterable[str] = (),
    lease_s: float = LEASE_S,
    poll_s: float = POLL_S,
    drain_s: float = DRAIN_S,
    rebuild: bool = False,
    scheduler: bool | None = None,
    assigned: tuple[str, int] | None = None,
    stop: threading.Event,
    stop_now: threading.Event | None = None,
) -> None:
    """Run a worker until ``stop`` is set and what it runs has ended; see ``Worker``.

    ``stop_now`` ends it within 5 seconds: what runs is stopped and handed back.
    ``loopline.worker.worker.stop_on_signals()`` makes both events for a program.
    """
    # The process of a flow run imports this package too: it needs no worker.
    from loopline.worker.worker import Worker

    worker = Worker(
        address,
        name=name,
        slots=slots,
        labels=labels,
        lease_s=lease_s,
        poll_s=poll_s,
        drain_s=drain_s,
        rebuild=rebuild,
        scheduler=scheduler,
        assigned=assigned,
    )
    worker.run(stop, stop_now)
