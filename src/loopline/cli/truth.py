"""``loopline truth`` and ``loopline predictions``: what was predicted, and what then happened."""

from __future__ import annotations

from pathlib import Path

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import as_json as as_json_option
from loopline.cli.options import epilog, limit
from loopline.cli.options import uri as uri_option

__all__ = ["predictions", "truth"]


@click.command(
    epilog=epilog(
        "loopline truth add fares.parquet --model taxifare_model",
        "loopline truth add fares.csv --model taxifare_model --id-column trip_id",
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="Name that the model was served as.")
@click.option("--id-column", default="id", show_default=True, help="Column with the ids.")
@uri_option
@as_json_option
def add(*, file: Path, model: str, id_column: str, uri: str | None, as_json: bool) -> None:
    """Tell what really happened, from a file.

    It is a Parquet or CSV file: beside the ids of predictions stand one or more columns of what
    happened. A later word about an id counts.
    """
    from loopline.backend.recorder import get_recorder, set_tracking_uri
    from loopline.cli.output import print_json
    from loopline.rules.words import count_words
    from loopline.tracking.predictions import add_truth, check_recorded

    if uri:
        set_tracking_uri(uri)
    check_recorded(model)
    rows = add_truth(file, model, id_column=id_column)
    get_recorder().flush()
    if as_json:
        print_json({"model": model, "rows": rows})
    else:
        click.echo(f"Took what happened for {count_words(rows, 'prediction')} of {model}")


truth = LazyGroup(
    "truth",
    table={"add": ("loopline.cli.truth:add", "Tell what really happened, from a file.")},
    help="Tell what really happened after predictions.",
)


@click.command(
    epilog=epilog(
        "loopline predictions taxifare_model --since 2022-03-01",
        "loopline predictions taxifare_model --output march.parquet",
    )
)
@click.argument("model")
@click.option("--since", metavar="TIME", help="The first moment, such as 2022-03-01.")
@click.option("--until", metavar="TIME", help="The moment after the last.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all of them to this Parquet or CSV file.",
)
@uri_option
@as_json_option
@limit
def predictions(
    *,
    model: str,
    since: str | None,
    until: str | None,
    output: Path | None,
    uri: str | None,
    as_json: bool,
    limit: int,
) -> None:
    """Look at what a served model predicted.

    Newest first, joined with what then happened.
    """
    from loopline.backend.recorder import set_tracking_uri
    from loopline.cli.output import print_json, print_table
    from loopline.tracking.predictions import predictions as find

    if uri:
        set_tracking_uri(uri)
    table = find(model, since=since, until=until)
    if output is not None:
        import pyarrow.csv
        import pyarrow.parquet as pq

        write = pyarrow.csv.write_csv if output.suffix == ".csv" else pq.write_table
        write(table, output)
        click.echo(f"Wrote {len(table):,} predictions to {output}")
        return
    shown = table.slice(max(0, len(table) - limit)).to_pylist()[::-1]
    if as_json:
        print_json([{**row, "time": row["time"].isoformat()} for row in shown])
        return
    names = table.column_names
    print_table(
        [name.upper() for name in names],
        [[_text(row[name]) for name in names] for row in shown],
        empty=(
            f"No predictions of {model} in this time."
            if since or until
            else f"No predictions of {model} yet. What `loopline serve --record all` answers is "
            "written every few seconds."
        ),
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:%Y-%m-%d %H:%M:%S}" if hasattr(value, "strftime") else str(value)
