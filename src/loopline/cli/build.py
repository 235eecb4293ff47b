"""``loopline build``: folders and images that serve a model with nothing else."""

from __future__ import annotations

from pathlib import Path

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import as_json as as_json_option
from loopline.cli.options import epilog
from loopline.cli.options import uri as uri_option

__all__ = ["build", "bundle", "image"]

_allow_pickle = click.option(
    "--allow-pickle", is_flag=True, help="Let it run code from the model's file, where it must."
)


@click.command(epilog=epilog("loopline build bundle models:/taxifare_model/Production served/"))
@click.argument("address")
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@_allow_pickle
@uri_option
@as_json_option
def bundle(
    *, address: str, target: Path, allow_pickle: bool, uri: str | None, as_json: bool
) -> None:
    """Make a folder that serves a model.

    It holds the model, requirements with exact versions, a runner and a Dockerfile; python serve.py
    in it serves.
    """
    from loopline.backend.recorder import set_tracking_uri
    from loopline.cli.output import print_json
    from loopline.serving.bundle import build_bundle

    if uri:
        set_tracking_uri(uri)
    folder = build_bundle(address, target, allow_pickle=allow_pickle)
    if as_json:
        print_json({"folder": str(folder)})
    else:
        click.echo(f"Made {folder}. Serve with: python {folder}/serve.py")


@click.command(
    epilog=epilog("loopline build image models:/taxifare_model/Production served/ --tag fares:3")
)
@click.argument("address")
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--tag", required=True, help="Name of the image.")
@_allow_pickle
@uri_option
@as_json_option
def image(
    *, address: str, target: Path, tag: str, allow_pickle: bool, uri: str | None, as_json: bool
) -> None:
    """Make a bundle, and an image of it with Docker."""
    from loopline.backend.recorder import set_tracking_uri
    from loopline.cli.output import print_json
    from loopline.serving.bundle import build_bundle, build_image

    if uri:
        set_tracking_uri(uri)
    folder = build_bundle(address, target, allow_pickle=allow_pickle)
    build_image(folder, tag)
    if as_json:
        print_json({"folder": str(folder), "tag": tag})
    else:
        click.echo(f"Made {tag} of {folder}. Serve with: docker run -p 8080:8080 {tag}")


build = LazyGroup(
    "build",
    table={
        "bundle": ("loopline.cli.build:bundle", "Make a folder that serves a model."),
        "image": (
            "loopline.cli.build:image",
            "Make a bundle, and an image of it with Docker.",
        ),
    },
    help="Make what serves a model with nothing else.",
)
