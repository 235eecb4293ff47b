"""``loopline score``: a table through a model."""

from __future__ import annotations

from pathlib import Path

import click

from loopline.cli.options import as_json as as_json_option
from loopline.cli.options import epilog
from loopline.cli.options import uri as uri_option

__all__ = ["score"]


@click.command(
    epilog=epilog(
        "loopline score models:/taxifare_model/Production trips.parquet fares.parquet",
        "loopline score models:/taxifare_model/3 trips/ fares.csv --keep trip_id",
    )
)
@click.argument("address")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--keep", multiple=True, metavar="COLUMN", help="Write only these columns beside the answers."
)
@click.option(
    "--chunk-rows",
    default=100_000,
    show_default=True,
    type=click.IntRange(1),
    help="Rows in memory at a time.",
)
@click.option("--overwrite", is_flag=True, help="Write over a file that is there.")
@click.option(
    "--allow-pickle", is_flag=True, help="Run code from the model's file, where it needs that."
)
@uri_option
@as_json_option
def score(  # noqa: PLR0913 - its options
    *,
    address: str,
    source: Path,
    target: Path,
    keep: tuple[str, ...],
    chunk_rows: int,
    overwrite: bool,
    allow_pickle: bool,
    uri: str | None,
    as_json: bool,
) -> None:
    """Score all rows of a table with a model.

    IN is a Parquet or CSV file, or a folder of them; OUT is written in whole or not at all, with
    the columns of IN and the model's answers.
    """
    from loopline.backend.recorder import set_tracking_uri
    from loopline.cli.output import print_json
    from loopline.cli.progress import shown_progress
    from loopline.models.scoring import score as run

    if uri:
        set_tracking_uri(uri)
    with shown_progress() as show:
        found = run(
            address,
            source,
            target,
            chunk_rows=chunk_rows,
            keep=keep or None,
            overwrite=overwrite,
            allow_pickle=allow_pickle,
            on_progress=lambda done, total: show("Scoring", done, total),
        )
    if as_json:
        print_json(found)
    else:
        click.echo(f"Scored {found.rows:,} rows into {found.target}")
