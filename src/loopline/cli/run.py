"""``loopline run``: a script runs on a worker, or on a machine in a cloud."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.machine import machine_of, machine_options
from loopline.cli.options import actor, epilog, with_backend

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["run"]

PROJECT = "scripts"


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog=epilog(
        "loopline run train.py --epochs 5",
        "loopline run --on vm --provider gce --zone europe-west1-b --size e2-standard-8 train.py",
    ),
)
@click.option(
    "--on",
    "where",
    default="worker",
    show_default=True,
    type=click.Choice(["worker", "vm"]),
    help="A worker, or a machine of its own that a worker starts in a cloud.",
)
@machine_options
@click.option("--detach", is_flag=True, help="Do not wait for its end, nor show its log.")
@click.argument("script", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_backend
def run(
    backend: Backend,
    *,
    where: str,
    detach: bool,
    script: Path,
    arguments: tuple[str, ...],
    as_json: bool,
    **machine: Any,  # noqa: ANN401 - as `machine_options` has them
) -> int:
    """Run a script where there is more to run it on.

    The script travels with the local modules that it imports; data does not, so let it read from
    an address. Its log is shown here, and its runs are where all runs are. With `--on vm` a worker
    (`loopline up`, `loopline worker`) with credentials for the cloud starts a machine for it, which
    is deleted afterwards.
    """
    from loopline.cli.follow import follow_flow_run
    from loopline.cli.output import print_json
    from loopline.flows.flow import Flow
    from loopline.flows.shipping.register import register_flow
    from loopline.records.operations import CreateFlowRun
    from loopline.tasks.script import ScriptTask

    config = None
    if where == "vm":
        config = machine_of(machine)
    elif machine["env"] or machine["packages"]:
        msg = "--env and --package are for --on vm: a worker has its own."
        raise click.UsageError(msg)
    # Its modules are found from where it lies, as Python does.
    sys.path.insert(0, os.fspath(script.resolve().parent))
    flow = Flow(script.stem, run_config=config)
    flow.add_task(ScriptTask(script.read_text(), arguments, file_name=script.name))
    version = register_flow(flow, PROJECT, no_url=True, uri=backend.address.text, say=_say_nothing)
    made = backend.call(CreateFlowRun(flow_version_id=version, actor=actor()))
    if as_json:
        print_json({"flow_run_id": made.flow_run_id})
        return 0
    click.echo(f"Flow run {made.flow_run_id} waits for a worker.", err=True)
    return 0 if detach else follow_flow_run(backend, made.flow_run_id)


def _say_nothing(_line: str) -> None:
    """Registering is no news here."""
