"""``loopline experiments``: the groups that runs are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, with_backend

import click  # isort: skip

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["experiments"]


@click.command("list", epilog=epilog("loopline experiments list"))
@with_backend
def list_(backend: Backend, *, as_json: bool) -> None:
    """List experiments, newest change first."""
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListExperiments

    found = backend.call(ListExperiments())
    if as_json:
        print_json(found)
        return
    print_table(
        ("ID", "NAME", "LAST CHANGE"),
        [(item.experiment_id, item.name, ago(item.updated_ms)) for item in found],
        empty="No experiments yet. The first run makes one.",
        right=("ID",),
    )


experiments = LazyGroup(
    "experiments",
    help="Look at experiments.",
    table={"list": (f"{__name__}:list_", "List experiments, newest change first.")},
)
