"""``loopline drift``: how rows of now differ from those that a model learnt from."""

from __future__ import annotations

from pathlib import Path

import click

from loopline.cli.options import as_json, epilog, uri

__all__ = ["drift"]


@click.command(
    epilog=epilog(
        "loopline drift april.parquet --against march.parquet",
        "loopline drift april.parquet --against models:/taxifare_model/Production --html a.html",
        "loopline drift april.parquet --against march.parquet --column miles --fail-on-drift",
    )
)
@click.argument("now", type=click.Path(exists=True, dir_okay=False))
@click.argument("others", nargs=-1, metavar="")
@click.option("--against", help="Rows of before: a file, or a model version's training data.")
@uri
@as_json
@click.option("--column", "columns", multiple=True, help="This one only; may be repeated.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Draw it as a page.")
@click.option("--fail-on-drift", is_flag=True, help="End with 3 when a column drifted.")
def drift(
    *,
    now: str,
    others: tuple[str, ...],
    against: str | None,
    uri: str | None,
    as_json: bool,
    columns: tuple[str, ...],
    html: Path | None,
    fail_on_drift: bool,
) -> None:
    """Compare rows with those before, column by column."""
    from loopline.backend.recorder import set_tracking_uri
    from loopline.cli.output import print_json, print_table, say
    from loopline.lifecycle.drift import drift as compare
    from loopline.rules.drift_report import report_page

    if others or against is None:
        before = others[0] if others else "models:/NAME/Production"
        msg = f"Say which rows were before: loopline drift {now} --against {against or before}"
        raise click.UsageError(msg)
    if uri is not None:
        set_tracking_uri(uri)
    report = compare(now, against, columns=list(columns) or None)
    if html is not None:
        html.write_text(report_page(report), encoding="utf-8")
        say(f"The report is in {html}.")
    if as_json:
        print_json(report)
    else:
        print_table(
            ("COLUMN", "WHAT DIFFERS", "PSI", "DISTANCE", "MISSING", "P"),
            [
                (
                    column.column,
                    column.words or "nothing that matters",
                    f"{column.psi:.3f}",
                    f"{column.distance:.3f}",
                    f"{column.missing_now:.1%}",
                    f"{column.p_adjusted:.2g}",
                )
                for column in report.columns
            ],
            empty="",
            right=("PSI", "DISTANCE", "MISSING", "P"),
        )
        click.echo(report.sentence)
    if fail_on_drift and report.drifted:
        raise SystemExit(3)
