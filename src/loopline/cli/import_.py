"""``loopline import``: bringing in what another store has."""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, with_new_backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopline.backend.protocol import Backend
    from loopline.records.transfer import Report
    from loopline.transfer.importer import Options, Step
    from loopline.transfer.source import Source

__all__ = ["import_"]

_experiments = click.option(
    "--experiment",
    "experiments",
    metavar="NAME",
    multiple=True,
    help="Only this experiment; may be given several times.",
)
_no_artifacts = click.option("--no-artifacts", is_flag=True, help="Leave files out.")
_dry_run = click.option("--dry-run", is_flag=True, help="Only count; change nothing.")
_update = click.option(
    "--update",
    is_flag=True,
    help="Where both sides have a tag, stage, alias or file, take the source's.",
)


@click.command(
    epilog=epilog(
        "loopline import mlflow ./mlruns",
        "loopline import mlflow mlflow.db --dry-run",
        "loopline import mlflow postgresql://mlflow@db/mlflow --artifacts /mnt/mlartifacts",
        "loopline import mlflow http://localhost:5000 --experiment taxifare",
    )
)
@click.argument("source")
@with_new_backend
@_experiments
@click.option(
    "--artifacts",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the artifact root is now, when it was moved or cannot be reached.",
)
@_no_artifacts
@_dry_run
@_update
def mlflow(
    backend: Backend,
    *,
    source: str,
    experiments: tuple[str, ...],
    artifacts: Path | None,
    no_artifacts: bool,
    dry_run: bool,
    update: bool,
    as_json: bool,
) -> int:
    """Bring in an MLflow store: runs, metrics, files and registered models.

    SOURCE is an mlruns folder, an SQLite file, a database URL or a server's address. It is only
    read. Run ids and version numbers stay. Run it as often as you like: an import that was stopped
    goes on, and a second one adds what is new. The last line says whether everything is here, and
    the exit code is 1 when something is not.
    """
    from loopline.transfer.importer import Options
    from loopline.transfer.open_source import open_mlflow

    options = Options(
        experiments=experiments, artifacts=not no_artifacts, dry_run=dry_run, update=update
    )
    with closing(open_mlflow(source, artifacts=artifacts)) as opened:
        return _import(opened, backend, options, as_json=as_json)


@click.command(
    epilog=epilog(
        "loopline import archive ./for-ada",
        "loopline import archive ./for-ada --uri http://localhost:5050",
    )
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@with_new_backend
@_experiments
@_no_artifacts
@_dry_run
@_update
def archive(
    backend: Backend,
    *,
    folder: Path,
    experiments: tuple[str, ...],
    no_artifacts: bool,
    dry_run: bool,
    update: bool,
    as_json: bool,
) -> int:
    """Bring in what ``loopline export --to FOLDER`` wrote, on any machine.

    Its hashes are checked first. Run ids, version numbers and histories stay as they were.
    """
    from loopline.transfer.archive_read import ArchiveSource
    from loopline.transfer.importer import Options

    options = Options(
        experiments=experiments, artifacts=not no_artifacts, dry_run=dry_run, update=update
    )
    with closing(ArchiveSource(folder)) as opened:
        return _import(opened, backend, options, as_json=as_json)


def _import(source: Source, backend: Backend, options: Options, *, as_json: bool) -> int:
    from loopline.cli.output import print_json
    from loopline.transfer.importer import import_from

    with _progress() as watch:
        report = import_from(source, backend, options, watch=watch)
    if as_json:
        print_json(report)
    else:
        _print(report)
    return 0 if report.equal or report.dry_run else 1


def _print(report: Report) -> None:
    from loopline.cli.output import print_table
    from loopline.rules.words import count_words, duration_words

    print_table(
        ("WHAT", "SOURCE", "TO ADD" if report.dry_run else "ADDED", "HERE"),
        [(row.what, f"{row.source:,}", f"{row.new:,}", f"{row.here:,}") for row in report.rows],
        empty=f"There is nothing in {report.source}.",
        right=("SOURCE", "TO ADD", "ADDED", "HERE"),
    )
    if report.left_out:
        click.echo("\nNot imported, or not as it was:")
    for left in report.left_out:
        click.echo(f"  {left.count:,} {left.what}: {left.why}")
    if report.experiment_ids:
        count = count_words(len(report.experiment_ids), "experiment")
        click.echo(f"\nThe ids of {count} are others here; --json lists them.")
    if report.dry_run:
        click.echo("\nNothing was changed; run it without --dry-run to import.")
        return
    if report.equal:
        took = duration_words(report.seconds * 1000)
        what = "All but what is listed above" if report.left_out else "Everything"
        click.echo(f"\n{what} is here, with equal values ({took}).")
        return
    click.echo("\nNot everything is here:", err=True)
    for sentence in report.differences:
        click.echo(f"  {sentence}", err=True)
    if report.more_differences:
        click.echo(f"  … and {report.more_differences:,} more.", err=True)


@contextmanager
def _progress() -> Iterator[Callable[[Step], None] | None]:
    """Show a bar while people look; nothing when a program does."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from loopline.rules.words import size_words

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[more]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Runs", total=None, more="")

        def watch(step: Step) -> None:
            more = f"{step.points:,} points, {size_words(step.file_bytes)}"
            progress.update(task, total=step.total or None, completed=step.runs, more=more)

        yield watch


import_ = LazyGroup(
    "import",
    help="Bring in what another store has.",
    table={
        "mlflow": (
            f"{__name__}:mlflow",
            "Bring in an MLflow store: runs, metrics, files and registered models.",
        ),
        "archive": (
            f"{__name__}:archive",
            "Bring in what ``loopline export --to FOLDER`` wrote, on any machine.",
        ),
    },
)
