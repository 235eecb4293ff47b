"""``loopline warehouse``: tables in DuckDB, files and BigQuery, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import as_json as as_json_option
from loopline.cli.options import epilog

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.warehouses import Warehouse

__all__ = ["warehouse"]

#: Rows shown when nothing else is said.
SHOWN = 50

where: Callable[..., Any] = click.option(
    "--warehouse",
    "url",
    default="",
    metavar="URL",
    help="A DuckDB file, a folder, a bucket or bigquery://project/dataset; without it the home's.",
)


def _open(url: str) -> Warehouse:
    from loopline.warehouses import warehouse as open_warehouse

    return open_warehouse(url)


@click.command(epilog=epilog("loopline warehouse tables", "loopline warehouse tables --json"))
@where
@as_json_option
def tables(url: str, *, as_json: bool) -> None:
    """List tables and views."""
    from loopline.cli.output import print_json, print_table

    found = _open(url).tables()
    if as_json:
        print_json(found)
        return
    print_table(
        ("TABLE",),
        [(name,) for name in found],
        empty="There are no tables yet. Load one: loopline warehouse load trips trips.parquet",
    )


@click.command(epilog=epilog("loopline warehouse schema trips"))
@click.argument("table")
@where
@as_json_option
def schema(table: str, url: str, *, as_json: bool) -> None:
    """Show the columns of a table with their types."""
    from loopline.cli.output import print_json, print_table

    found = _open(url).schema(table)
    if as_json:
        print_json(found)
        return
    print_table(("COLUMN", "TYPE"), found.items(), empty="It has no columns.")


@click.command(
    epilog=epilog(
        'loopline warehouse query "SELECT count(*) FROM trips"',
        'loopline warehouse query "SELECT * FROM trips WHERE fare > $f" --param f=50 --json',
    )
)
@click.argument("sql")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="Value of a $name.")
@click.option("--limit", default=SHOWN, show_default=True, help="Show at most so many rows.")
@where
@as_json_option
def query(sql: str, params: tuple[str, ...], limit: int, url: str, *, as_json: bool) -> None:
    """Ask in SQL (DuckDB's dialect, whatever is behind)."""
    from loopline.cli.output import print_table, say

    table = _open(url).query(sql, _values(params)).table
    shown = table.slice(0, limit)
    if as_json:
        import json

        click.echo(json.dumps(shown.to_pylist(), default=str))
    else:
        columns = [column.to_pylist() for column in shown.columns]
        print_table(table.column_names, zip(*columns, strict=True), empty="No rows.")
    if table.num_rows > limit:
        say(f"{table.num_rows - limit:,} more rows; raise --limit to see them.")


@click.command(
    epilog=epilog(
        "loopline warehouse load trips 2022-01.parquet 2022-02.parquet",
        "loopline warehouse load trips trips.csv --replace",
    )
)
@click.argument("table")
@click.argument("files", nargs=-1, required=True)
@click.option("--replace", is_flag=True, help="In the place of all rows there are, at once.")
@where
@as_json_option
def load(table: str, files: tuple[str, ...], *, replace: bool, url: str, as_json: bool) -> None:
    """Append Parquet, CSV, Arrow or JSON-lines files to a table, all or none."""
    from loopline.cli.output import print_json
    from loopline.warehouses.loading import reader_of_files

    target = _open(url)
    reader = reader_of_files(files)
    rows = target.replace(table, reader) if replace else target.append(table, reader)
    if as_json:
        print_json({"table": table, "rows": rows})
    else:
        click.echo(f"{table}: {rows:,} rows {'put in the place of all' if replace else 'added'}.")


def _values(params: tuple[str, ...]) -> dict[str, Any]:
    """Read ``name=value``: numbers as numbers, the rest as text."""
    import json

    found: dict[str, Any] = {}
    for each in params:
        name, mark, text = each.partition("=")
        if not mark:
            msg = f"{each!r} is not NAME=VALUE."
            raise click.UsageError(msg)
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


warehouse = LazyGroup(
    "warehouse",
    help="Ask and fill tables in DuckDB, in files, and in BigQuery.",
    table={
        "tables": (f"{__name__}:tables", "List tables and views."),
        "schema": (f"{__name__}:schema", "Show the columns of a table with their types."),
        "query": (f"{__name__}:query", "Ask in SQL (DuckDB's dialect, whatever is behind)."),
        "load": (
            f"{__name__}:load",
            "Append Parquet, CSV, Arrow or JSON-lines files to a table, all or none.",
        ),
    },
)
