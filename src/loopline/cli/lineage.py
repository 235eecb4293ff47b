"""``loopline lineage`` and ``loopline why``: what led to what, and why a version is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.options import epilog, with_backend

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["lineage", "why"]


@click.command(
    epilog=epilog(
        "loopline lineage models:/taxifare_model/3",
        "loopline lineage 4f1d2c --down --depth 3 --json",
        "loopline lineage data:6a9efa68...",
    )
)
@click.argument("which", metavar="WHAT")
@with_backend
@click.option("--up", is_flag=True, help="Only what led to it.")
@click.option("--down", is_flag=True, help="Only what came of it.")
@click.option(
    "--depth", type=click.IntRange(0, 20), default=5, show_default=True, help="So many steps."
)
@click.option(
    "--limit",
    type=click.IntRange(1, 2000),
    default=200,
    show_default=True,
    help="At most so many things.",
)
def lineage(
    backend: Backend, *, which: str, up: bool, down: bool, depth: int, limit: int, as_json: bool
) -> None:
    """Show what led to something and what came of it, as a tree.

    WHAT is a version such as models:/NAME/3, a run (by the first letters of its id, or by name), or
    data:DIGEST, feed:NAME, flow-run:ID, flow:PROJECT/NAME, stage:MODEL/Production, deployment:ID.
    """
    from loopline.cli.output import print_json
    from loopline.records.operations import GetLineage
    from loopline.reproduce.explaining import node_of
    from loopline.rules.lineage_trees import node_words, tree_lines

    direction = "both" if up == down else "up" if up else "down"
    node = node_of(backend, which)
    found = backend.call(GetLineage(node=node, direction=direction, depth=depth, limit=limit))
    if as_json:
        print_json(found)
        return
    click.echo(click.style(node_words(found.nodes[0]), bold=True))
    for way, heading in (("up", "came of"), ("down", "led to")):
        if direction in {way, "both"}:
            lines = tree_lines(found, way) or ["nothing that is recorded"]
            click.echo("\n".join([click.style(heading, dim=True), *lines]))


@click.command(
    epilog=epilog(
        "loopline why models:/taxifare_model/Production",
        "loopline why models:/taxifare_model/3 --json",
    )
)
@click.argument("which", metavar="MODEL")
@with_backend
def why(backend: Backend, *, which: str, as_json: bool) -> None:
    """Tell who or what put a version in its place, on which data.

    MODEL is a version such as models:/NAME/Production, models:/NAME/3 or models:/NAME@ALIAS; its
    NAME alone means the one in Production.
    """
    from loopline.cli.output import print_facts, print_json
    from loopline.reproduce.explaining import explain
    from loopline.rules.reason_facts import facts_of

    found = explain(backend, which)
    if as_json:
        print_json(found)
    else:
        print_facts(facts_of(found))
