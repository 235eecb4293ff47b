"""``loopline sql``: a question to the store in SQL, read-only, under MLflow's table names."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from loopline.cli.options import epilog, with_backend

import click  # isort: skip

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["sql"]


@click.command(
    epilog=epilog(
        'loopline sql "SELECT name, status FROM runs ORDER BY start_time DESC LIMIT 5"',
        "loopline sql \"SELECT max(value) FROM metrics WHERE key = 'rmse'\" --json",
    )
)
@with_backend
@click.argument("statement")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
def sql(backend: Backend, *, statement: str, as_csv: bool, as_json: bool) -> None:
    """Ask the store in SQL, read-only.

    Tables: experiments, runs, params, tags, latest_metrics, metrics (every point), datasets,
    inputs, registered_models, model_versions. Nothing can be changed. "-" reads the statement
    from standard input.
    """
    from loopline.cli.output import print_json, print_table
    from loopline.tracking.sql import sql_on

    text = sys.stdin.read() if statement == "-" else statement
    answer = sql_on(backend, text)
    if as_json:
        print_json([dict(zip(answer.columns, row, strict=True)) for row in answer.rows])
    elif as_csv:
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows(answer.rows)
    else:
        numbers = [
            name
            for index, name in enumerate(answer.columns)
            if answer.rows and isinstance(answer.rows[0][index], int | float)
        ]
        print_table(answer.columns, answer.rows, empty="No rows.", right=numbers)
