"""``loopline models card``: a model card from the facts, for a person to complete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli.options import epilog, with_backend

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["card"]


@click.command(
    epilog=epilog(
        "loopline models card taxifare_model/3",
        "loopline models card taxifare_model/Production --to MODEL_CARD.md",
    )
)
@click.argument("which", metavar="NAME/VERSION")
@with_backend
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it into this file; what people wrote there stays word for word.",
)
def card(backend: Backend, *, which: str, to: Path | None, as_json: bool) -> None:
    """Write a model card from the facts, for a person to complete.

    NAME/VERSION is a version's number, stage or alias, as in taxifare_model/3. What it is for and
    where it is wrong is for a person to say, in parts of their own, which are never written over.
    """
    from loopline.cli.output import print_json
    from loopline.reproduce.basis import gather
    from loopline.reproduce.explaining import explain
    from loopline.rules.model_cards import card as write
    from loopline.rules.model_cards import written_by_people

    address = which if which.startswith("models:") else f"models:/{which}"
    people = {}
    if to is not None and to.exists():
        people = written_by_people(to.read_text(encoding="utf-8"))
    reasons = explain(backend, address)
    version = reasons.version
    # By its number: somebody may move a stage in between.
    basis = gather(backend, f"models:/{version.name}/{version.version}")
    text = write(basis, reasons, people)
    if to is not None:
        to.write_text(text, encoding="utf-8")
    if as_json:
        print_json({"card": text, "written_by_people": sorted(people)})
    elif to is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"{to} tells of {version.name} v{version.version}.")
