"""``loopline workers``: which workers there are, and what they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.options import epilog, with_backend

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["workers"]


@click.command(epilog=epilog("loopline workers", "loopline workers --json"))
@click.argument("verb", metavar="[list]", required=False, type=click.Choice(["list"]))
@with_backend
def workers(backend: Backend, *, verb: str | None, as_json: bool) -> None:
    """List workers with their slots, labels and what they run."""
    del verb  # There is one; who knows `flows list` writes it here, too.
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListWorkers

    found = backend.call(ListWorkers())
    if as_json:
        print_json(found)
        return
    print_table(
        ("WORKER", "STATUS", "SLOTS", "LABELS", "RUNS", "HOST", "LAST SEEN"),
        [
            (
                each.name,
                each.status,
                f"{len(each.flow_runs)}/{each.slots}",
                ", ".join(each.labels),
                ", ".join(run[:8] for run in each.flow_runs),
                f"{each.host}:{each.pid}",
                ago(each.last_seen_ms),
            )
            for each in found
        ],
        empty="No worker was heard of in the last hour. Start one: `loopline worker`.",
        right=("SLOTS",),
    )
