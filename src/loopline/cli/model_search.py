"""``loopline models``: finding models and versions by a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.options import epilog, limit, with_backend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.backend.protocol import Backend

__all__ = ["search", "versions"]

_order_by = click.option(
    "--order-by",
    multiple=True,
    metavar="KEY [ASC|DESC]",
    help="What comes first; may be repeated.",
)


@click.command(
    epilog=epilog(
        "loopline models search \"tags.team = 'fares'\"",
        "loopline models search \"name LIKE 'taxi%'\" --order-by 'timestamp DESC'",
    )
)
@click.argument("text", metavar="[FILTER]", default="")
@with_backend
@_order_by
@limit
def search(
    backend: Backend, *, text: str, order_by: Sequence[str], limit: int, as_json: bool
) -> None:
    """Find models by name and tags."""
    from loopline.cli.models import print_models
    from loopline.cli.output import print_json, say
    from loopline.records.operations import SearchModels

    call = SearchModels(filter=text, order_by=list(order_by), max_results=min(limit, 1_000))
    page = backend.call(call)
    if as_json:
        print_json(page.models)
        return
    print_models(page.models, empty="No model is like that.")
    if page.next_page_token:
        say("There are more: --limit shows them, or a closer filter.")


@click.command(
    epilog=epilog(
        "loopline models versions \"name = 'taxifare_model' AND version_number > 3\"",
        "loopline models versions \"tags.reviewed = 'yes'\" --order-by 'version_number DESC'",
    )
)
@click.argument("text", metavar="[FILTER]", default="")
@with_backend
@_order_by
@limit
def versions(
    backend: Backend, *, text: str, order_by: Sequence[str], limit: int, as_json: bool
) -> None:
    """Find versions of all models by name, number, run, source and tags."""
    from loopline.cli.models import print_versions
    from loopline.cli.output import print_json, say
    from loopline.records.operations import SearchVersions

    page = backend.call(SearchVersions(filter=text, order_by=list(order_by), max_results=limit))
    if as_json:
        print_json(page.versions)
        return
    print_versions(page.versions, with_names=True, empty="No version is like that.")
    if page.next_page_token:
        say("There are more: --limit shows them, or a closer filter.")
