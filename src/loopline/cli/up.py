"""``loopline up``: server, worker and scheduler in one command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli import options
from loopline.cli.server import listening, tell_set_up
from loopline.settings import tracking_address

if TYPE_CHECKING:
    from loopline.settings import Address

__all__ = ["WorkerProcess", "up"]

RESTART_AFTER_S = 1.0

#: A worker that is told twice stops within five seconds.
STOP_S = 8.0


@click.command(epilog=options.epilog("loopline up", "loopline up --port 0 --slots 2"))
@options.uri
@options.blobs
@listening
@click.option(
    "--slots", default=1, show_default=True, type=click.IntRange(1), help="Flow runs at a time."
)
@options.as_json
def up(  # noqa: PLR0913 - its options
    *,
    uri: str | None,
    host: str,
    port: int,
    insecure: bool,
    auth: bool,
    public_url: str,
    tls: tuple[str, str] | None,
    allowed_hosts: tuple[str, ...],
    allow_private_webhooks: bool,
    slots: int,
    as_json: bool,
) -> None:
    """Run server, worker and scheduler together.

    Ctrl-C or SIGTERM stops all; a flow that runs is handed back and resumed by the next worker.
    """
    from loopline.cli.logs import log_to_stderr
    from loopline.cli.output import print_json
    from loopline.flows.running.presence import present
    from loopline.server.arenas import bound_arenas
    from loopline.server.serve import serve

    bound_arenas()
    address = tracking_address(uri)
    log_to_stderr()
    if address.kind == "home" and Path(address.text).is_dir():
        with present(Path(address.text), "up"):
            pass  # A home that no worker can write to is told now, not at each of its starts.
    worker = WorkerProcess(address, slots=slots)

    def ready(url: str) -> None:
        worker.start()
        if as_json:
            print_json({"url": url, "store": str(address)})
        else:
            click.echo(f"Loopline is up at {url} with a worker, on {address} (Ctrl-C stops both)")

    try:
        serve(
            address,
            host=host,
            port=port,
            insecure=insecure,
            auth=auth,
            public_url=public_url,
            tls=tls,
            allowed_hosts=allowed_hosts,
            allow_private_webhooks=allow_private_webhooks,
            on_ready=ready,
            on_set_up=tell_set_up,
        )
    finally:
        worker.stop()


class WorkerProcess:
    """A worker in a process of its own, started again when it dies."""

    def __init__(self, address: Address, *, slots: int) -> None:
        self._command = [
            sys.executable, "-P", "-m", "loopline.cli", "worker", "--uri", address.text,
            "--slots", str(slots), "--parent", str(os.getpid()),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="loopline-worker", daemon=True)

    def start(self) -> None:
        """Start it."""
        self._keeper.start()

    def stop(self) -> None:
        """Stop it within a few seconds; what it runs is handed back."""
        self._stopping.set()
        process = self._process
        if process is not None:
            try:
                for _ in range(2):
                    process.send_signal(signal.SIGTERM)
                    time.sleep(0.2)
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._keeper.ident is not None:
            self._keeper.join(STOP_S)

    def _keep(self) -> None:
        while not self._stopping.is_set():
            # A session of its own: Ctrl-C reaches it through `stop` only, and once.
            self._process = subprocess.Popen(self._command, start_new_session=True)  # noqa: S603
            code = self._process.wait()
            if not self._stopping.wait(RESTART_AFTER_S):
                click.echo(f"The worker ended with code {code} and is started again.", err=True)
