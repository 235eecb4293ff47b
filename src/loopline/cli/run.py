"""``loopline run``: a script runs on a worker, or on a machine in a cloud."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

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
@click.option("--provider", default="gce", show_default=True, help="Cloud: gce, ec2, ...")
@click.option("--zone", default="", help="Zone, region or location of the machine.")
@click.option("--size", default="", help="Type of the machine, such as e2-standard-8.")
@click.option("--image", default="", help="Image of the machine; Compute Engine has a default.")
@click.option("--disk", "disk_gb", default=0, help="Size of its disk in GB.")
@click.option("--spot", is_flag=True, help="Take a cheaper machine, which may be taken back.")
@click.option(
    "--hours", default=24.0, show_default=True, help="The machine ends after so many hours."
)
@click.option("--service-account", default="", help="What the machine acts as.")
@click.option("--server", default="", help="The server's address as the machine reaches it.")
@click.option(
    "--image-python", default="", help="Interpreter of the image that has all of it: no install."
)
@click.option("--package", "packages", multiple=True, help="What pip shall install besides.")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="Environment of the script.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE",
    help="What the cloud needs besides, such as project=my-project.",
)  # fmt: skip
@click.option("--detach", is_flag=True, help="Do not wait for its end, nor show its log.")
@click.argument("script", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_backend
def run(  # noqa: PLR0913 - its options
    backend: Backend,
    *,
    where: str,
    provider: str,
    zone: str,
    size: str,
    image: str,
    disk_gb: int,
    spot: bool,
    hours: float,
    service_account: str,
    server: str,
    image_python: str,
    packages: tuple[str, ...],
    env: tuple[str, ...],
    settings: tuple[str, ...],
    detach: bool,
    script: Path,
    arguments: tuple[str, ...],
    as_json: bool,
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
    from loopline.records.vm import VMRun
    from loopline.tasks.script import ScriptTask

    config = None
    if where == "vm":
        if not size:
            msg = "--on vm needs --size, such as e2-standard-8."
            raise click.UsageError(msg)
        config = VMRun(
            provider=provider, zone=zone, size=size, image=image, disk_gb=disk_gb, spot=spot,
            service_account=service_account, server=server, packages=list(packages),
            install="nothing" if image_python else "recorded", python=image_python or "python3",
            deadline_s=int(hours * 3600), env=_pairs(env, "--env"),
            connection=_pairs(settings, "--set"),
        )  # fmt: skip
    elif env or packages:
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


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    pairs = dict(part.split("=", 1) for part in given if "=" in part)
    if len(pairs) != len(given):
        msg = f"{option} takes NAME=VALUE, each name once."
        raise click.UsageError(msg)
    return pairs


def _say_nothing(_line: str) -> None:
    """Registering is no news here."""
