"""The options of commands that start a machine in a cloud, and the machine that they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.records.vm import VMRun

__all__ = ["machine_of", "machine_options"]

F = TypeVar("F", bound="Callable[..., Any]")


def machine_options(command: F) -> F:
    """Give a command the options of a machine."""
    for option in reversed(
        (
            click.option(
                "--provider", default="gce", show_default=True, help="Cloud: gce, ec2, ..."
            ),
            click.option("--zone", default="", help="Zone, region or location of the machine."),
            click.option("--size", default="", help="Type of the machine, such as e2-standard-8."),
            click.option(
                "--image", default="", help="Image of the machine; Compute Engine has a default."
            ),
            click.option("--disk", "disk_gb", default=0, help="Size of its disk in GB."),
            click.option(
                "--spot", is_flag=True, help="Take a cheaper machine, which may be taken back."
            ),
            click.option(
                "--hours",
                default=24.0,
                show_default=True,
                help="The machine ends after so many hours.",
            ),
            click.option("--service-account", default="", help="What the machine acts as."),
            click.option(
                "--server", default="", help="The server's address as the machine reaches it."
            ),
            click.option(
                "--image-python",
                default="",
                help="Interpreter of the image that has all of it: no install.",
            ),
            click.option(
                "--package", "packages", multiple=True, help="What pip shall install besides."
            ),
            click.option(
                "--env", multiple=True, metavar="NAME=VALUE", help="Environment of the script."
            ),
            click.option(
                "--set",
                "settings",
                multiple=True,
                metavar="NAME=VALUE",
                help="What the cloud needs besides, such as project=my-project.",
            ),
        )
    ):
        command = option(command)
    return command


def machine_of(options: dict[str, Any], *, packages: tuple[str, ...] = ()) -> VMRun:
    """Make what a flow's machine is to be.

    Args:
        options: As ``machine_options`` gives them.
        packages: What pip shall install besides those that were named.

    Raises:
        click.UsageError: No size was named, or a pair is none.
    """
    from loopline.records.vm import VMRun

    if not options["size"]:
        msg = "--on vm needs --size, such as e2-standard-8."
        raise click.UsageError(msg)
    image_python = options["image_python"]
    return VMRun(
        provider=options["provider"],
        zone=options["zone"],
        size=options["size"],
        image=options["image"],
        disk_gb=options["disk_gb"],
        spot=options["spot"],
        service_account=options["service_account"],
        server=options["server"],
        packages=[*packages, *options["packages"]],
        install="nothing" if image_python else "recorded",
        python=image_python or "python3",
        deadline_s=int(options["hours"] * 3600),
        env=_pairs(options["env"], "--env"),
        connection=_pairs(options["settings"], "--set"),
    )


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    pairs = dict(part.split("=", 1) for part in given if "=" in part)
    if len(pairs) != len(given):
        msg = f"{option} takes NAME=VALUE, each name once."
        raise click.UsageError(msg)
    return pairs
