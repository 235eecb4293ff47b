"""The worker: claims due flow runs by lease and runs each in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from loopline.settings import Address

__all__ = ["run_worker"]


def run_worker(
    address: Address,
    *,
    name: str = "",
    slots: int = 1,
    lease_s: float = 30.0,
    poll_s: float = 1.0,
    scheduler: bool | None = None,
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
        address, name=name, slots=slots, lease_s=lease_s, poll_s=poll_s, scheduler=scheduler
    )
    worker.run(stop, stop_now)
