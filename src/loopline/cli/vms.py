"""``loopline vms``: the cloud machines that run flow runs, and getting rid of strays."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, with_backend

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from loopline.backend.protocol import Backend
    from loopline.records.vm import Place

__all__ = ["vms"]

PLACE = "--provider gce --zone europe-west1-b --set project=my-project"


def in_place(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name a place."""
    for option in (
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="NAME=VALUE",
            help="What the cloud needs besides, such as project=my-project.",
        ),
        click.option("--zone", default="", help="Zone, region or location."),
        click.option("--provider", default="", help="Such as gce or ec2; default: all noted here."),
    ):
        command = option(command)
    return command


@click.command("list", epilog=epilog("loopline vms list", f"loopline vms list {PLACE}"))
@in_place
@with_backend
def list_(
    backend: Backend, *, provider: str, zone: str, settings: tuple[str, ...], as_json: bool
) -> None:
    """List the machines that work for this store, and say which nobody needs any more.

    Looks where workers of this home have started machines, or in the place that the options name.
    """
    from loopline.cli.output import print_json, print_table
    from loopline.compute.reap import find_machines

    found = find_machines(backend, _places(backend, provider, zone, settings))
    if as_json:
        print_json(
            [
                {"name": each.vm.name, "state": each.vm.state, "flow_run_id": each.name.flow_run,
                 "provider": each.place.provider, "zone": each.place.zone,
                 "deadline_s": each.name.deadline_s, "stray": each.why}
                for each in found
            ]
        )  # fmt: skip
        return
    print_table(
        ("MACHINE", "STATE", "FLOW RUN", "WHERE", "AT MOST UNTIL", "STRAY"),
        [(each.vm.name, each.vm.state, each.name.flow_run,
          f"{each.place.provider} {each.place.zone}".strip(),
          datetime.fromtimestamp(each.name.deadline_s, UTC).strftime("%Y-%m-%d %H:%M UTC"),
          each.why or "no") for each in found],
        empty="No machines work for this store.",
    )  # fmt: skip


@click.command(epilog=epilog("loopline vms reap", f"loopline vms reap {PLACE}"))
@in_place
@with_backend
def reap(
    backend: Backend, *, provider: str, zone: str, settings: tuple[str, ...], as_json: bool
) -> None:
    """Delete the machines that nobody needs any more; workers do so every minute.

    Looks where `loopline vms list` looks.
    """
    from loopline.cli.output import print_json
    from loopline.compute.reap import reap as reap_strays

    gone = reap_strays(backend, _places(backend, provider, zone, settings))
    if as_json:
        print_json([{"name": each.vm.name, "why": each.why} for each in gone])
        return
    for each in gone:
        click.echo(f"Deleted {each.vm.name}: {each.why}")
    click.echo(f"Deleted {len(gone)} machines." if len(gone) != 1 else "Deleted 1 machine.")


def _places(backend: Backend, provider: str, zone: str, settings: tuple[str, ...]) -> list[Place]:
    from loopline.backend.recorder import home_of
    from loopline.compute.places import noted_places
    from loopline.records.vm import Place

    if not provider:
        if zone or settings:
            msg = "--zone and --set need --provider."
            raise click.UsageError(msg)
        return noted_places(home_of(backend.address))
    pairs = dict(part.split("=", 1) for part in settings if "=" in part)
    if len(pairs) != len(settings):
        msg = "--set takes NAME=VALUE."
        raise click.UsageError(msg)
    return [Place(provider=provider, zone=zone, connection=pairs)]


vms = LazyGroup(
    "vms",
    table={
        "list": (
            f"{__name__}:list_",
            "List the machines that work for this store, and say which nobody needs any more.",
        ),
        "reap": (
            f"{__name__}:reap",
            "Delete the machines that nobody needs any more; workers do so every minute.",
        ),
    },
    help="Look at cloud machines that run flow runs, delete strays.",
)
