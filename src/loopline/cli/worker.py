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
        "loopline worker",
        "loopline worker --slots 4 --uri http://localhost:5050",
        "loopline worker --label gpu --label eu",
    )
)
@options.uri
@click.option(
    "--slots", default=1, show_default=True, type=click.IntRange(1), help="Flow runs at a time."
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    help="What it has, such as gpu: it takes flow runs that need no other. Several times: several.",
)
@click.option(
    "--drain",
    "drain_s",
    default=300.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds that what runs may go on after Ctrl-C or SIGTERM, before it is handed back.",
)
@click.option(
    "--lease",
    "lease_s",
    default=20.0,
    show_default=True,
    type=click.FloatRange(1),
    help="Seconds after which another worker takes over when this one dies.",
)
@click.option(
    "--environment",
    type=click.Choice(["here", "recorded"]),
    default="here",
    show_default=True,
    help="Run flows with what is installed here, or with the versions they were registered with, "
    "which uv installs once for all runs.",
)
@click.option("--name", default="", help="How it is shown; default: host and process.")
@click.option("--flow-run", default="", help="Run this flow run alone, and stop; with --token.")
@click.option("--token", type=int, help="Token by which somebody holds that flow run.")
@click.option("--parent", type=int, hidden=True, help="Stop when this process is gone.")
def worker(  # noqa: PLR0913 - its options
    *,
    uri: str | None,
    slots: int,
    labels: tuple[str, ...],
    drain_s: float,
    lease_s: float,
    environment: str,
    name: str,
    flow_run: str,
    token: int | None,
    parent: int | None,
) -> None:
    """Run flows that are due.

    It claims due flow runs and runs each in a process of its own. Ctrl-C or SIGTERM once: finish
    what runs, for as long as --drain says, then stop. Twice: stop within 5 seconds. What still
    runs then is handed back and resumed by the next worker.
    """
    if bool(flow_run) != (token is not None):
        msg = "--flow-run and --token belong together: whoever holds the flow run knows both."
        raise click.UsageError(msg)
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
    run_worker(
        address,
        name=name,
        slots=slots,
        labels=labels,
        lease_s=lease_s,
        drain_s=drain_s,
        assigned=None if token is None else (flow_run, token),
        rebuild=environment == "recorded",
        stop=stop,
        stop_now=stop_now,
    )


def _stop_without(parent: int, stop: threading.Event, stop_now: threading.Event) -> None:
    """Stop as soon as the parent is gone: a killed `loopline up` must leave no worker behind."""
    while os.getppid() == parent:
        time.sleep(WATCH_EVERY_S)
    stop.set()
    stop_now.set()
