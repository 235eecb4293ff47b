"""``loopline worker``: running flows that are due."""

from __future__ import annotations

import os
import threading
import time

import click

from loopline.cli import options
from loopline.settings import tracking_address

__all__ = ["worker"]

WATCH_EVERY_S = 0.5


@click.command(
    epilog=options.epilog(
        "loopline worker", "loopline worker --slots 4 --uri http://localhost:5050"
    )
)
@options.uri
@click.option(
    "--slots", default=1, show_default=True, type=click.IntRange(1), help="Flow runs at a time."
)
@click.option(
    "--lease",
    "lease_s",
    default=30.0,
    show_default=True,
    type=click.FloatRange(1),
    help="Seconds after which another worker takes over when this one dies.",
)
@click.option("--name", default="", help="How it is shown; default: host and process.")
@click.option("--parent", type=int, hidden=True, help="Stop when this process is gone.")
def worker(*, uri: str | None, slots: int, lease_s: float, name: str, parent: int | None) -> None:
    """Run flows that are due.

    It claims due flow runs and runs each in a process of its own. Ctrl-C or SIGTERM once: finish
    what runs, then stop. Twice: stop within 5 seconds; what runs is handed back and resumed by
    the next worker.
    """
    from loopline.cli.logs import log_to_stderr
    from loopline.worker import run_worker
    from loopline.worker.worker import stop_on_signals

    log_to_stderr()
    stop, stop_now = stop_on_signals()
    if parent is not None:
        watch = threading.Thread(target=_stop_without, args=(parent, stop, stop_now), daemon=True)
        watch.start()
    address = tracking_address(uri)
    click.echo(f"Worker for {address} is looking for due flow runs (Ctrl-C stops it)", err=True)
    run_worker(address, name=name, slots=slots, lease_s=lease_s, stop=stop, stop_now=stop_now)


def _stop_without(parent: int, stop: threading.Event, stop_now: threading.Event) -> None:
    """Stop as soon as the parent is gone: a killed `loopline up` must leave no worker behind."""
    while os.getppid() == parent:
        time.sleep(WATCH_EVERY_S)
    stop.set()
    stop_now.set()
