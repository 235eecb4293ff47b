"""``loopline export``: writing runs, models and files out of the store."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli.options import epilog, with_backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopline.backend.protocol import Backend
    from loopline.transfer.selection import Selection

__all__ = ["export"]

ID_LENGTH = 32
SHORTEST = 6


@click.command(
    epilog=epilog(
        "loopline export --to ./everything",
        'loopline export "wagoncab taxifare" 4f1d2c --to ./for-ada',
        "loopline export --mlflow-db mlflow.db",
    )
)
@click.argument("names", metavar="[RUN_OR_EXPERIMENT]...", nargs=-1)
@with_backend
@click.option(
    "--to",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Write an archive that `loopline import archive` reads.",
)
@click.option(
    "--mlflow-db",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write an SQLite database that MLflow opens, and a folder of files beside it.",
)
@click.option("--no-artifacts", is_flag=True, help="With --mlflow-db: leave files out.")
def export(
    backend: Backend,
    *,
    names: tuple[str, ...],
    to: Path | None,
    mlflow_db: Path | None,
    no_artifacts: bool,
    as_json: bool,
) -> None:
    """Write runs, models and files out of the store.

    RUN_OR_EXPERIMENT is a run's id or its first letters, or an experiment's name or id; a run
    takes those nested in it along, and the model versions it made. Without one, everything goes.
    """
    from loopline.cli.output import print_json
    from loopline.transfer.selection import Selection

    if (to is None) == (mlflow_db is None):
        msg = "Say where to: either --to FOLDER or --mlflow-db FILE."
        raise click.UsageError(msg)
    if no_artifacts and to is not None:
        msg = "An archive always has its files; --no-artifacts goes with --mlflow-db."
        raise click.UsageError(msg)
    selection = Selection(backend, [_whole_id(backend, name) for name in names])
    if to is not None:
        written = _archive(selection, backend, to)
    else:
        assert mlflow_db is not None  # noqa: S101 - checked above
        written = _mlflow(selection, backend, mlflow_db, artifacts=not no_artifacts)
    if as_json:
        print_json(written)
        return
    _print(written)


def _archive(selection: Selection, backend: Backend, folder: Path) -> dict[str, object]:
    from loopline.transfer.archive_write import write_archive

    with _progress() as watch:
        manifest = write_archive(selection, backend, folder, watch=watch)
    return {
        "written": str(folder),
        "next": f"Read it with: loopline import archive {folder}",
        "counts": manifest.counts,
        "left_out": manifest.left_out,
    }


def _mlflow(
    selection: Selection, backend: Backend, database: Path, *, artifacts: bool
) -> dict[str, object]:
    from loopline.transfer.mlflow_export import write_mlflow_database

    with _progress() as watch:
        done = write_mlflow_database(selection, backend, database, artifacts=artifacts, watch=watch)
    return {
        "written": done.database,
        "next": f"Look at it with: mlflow ui --backend-store-uri sqlite:///{done.database}\n"
        f"Its schema is that of MLflow {done.mlflow_version}; MLflow 3 migrates it when it opens "
        "the file.",
        "counts": done.counts,
        "left_out": [f"{count:,} {what}" for what, count in done.left_out.items()],
    }


def _print(written: dict[str, object]) -> None:
    from loopline.cli.output import print_table

    counts = written["counts"]
    left_out = written["left_out"]
    assert isinstance(counts, dict)  # noqa: S101 - as made above
    assert isinstance(left_out, list)  # noqa: S101 - as made above
    print_table(
        ("WHAT", "COUNT"),
        [(what, f"{count:,}") for what, count in counts.items()],
        empty="There was nothing to write.",
        right=("COUNT",),
    )
    click.echo(f"\nWritten: {written['written']}")
    for what in left_out:
        click.echo(f"Left out: {what}")
    click.echo(f"{written['next']}")


def _whole_id(backend: Backend, name: str) -> str:
    """Complete the first letters of a run's id; other names stay as they are."""
    from loopline.errors import NotFoundError
    from loopline.records.operations import GetExperiment

    if not SHORTEST <= len(name) < ID_LENGTH or not name.isalnum() or name.isdecimal():
        return name
    try:
        backend.call(GetExperiment(name=name))
    except NotFoundError:
        from loopline.cli.runs import find_run

        try:
            return find_run(backend, name).run_id
        except NotFoundError:
            return name
    return name


@contextmanager
def _progress() -> Iterator[Callable[[str], None] | None]:
    """Count runs while people look; say nothing to a program."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed} runs"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Runs", total=None)
        yield lambda _run_id: progress.advance(task)
