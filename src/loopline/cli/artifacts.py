"""``loopline artifacts``: the files of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, with_backend
from loopline.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.tracking import Artifact

__all__ = ["artifacts"]


@click.command(
    "list", epilog=epilog("loopline artifacts list 4f1d2c", "loopline artifacts list 4f1d2c model")
)
@click.argument("run_id")
@click.argument("path", default="")
@with_backend
def list_(backend: Backend, *, run_id: str, path: str, as_json: bool) -> None:
    """List every file of a run, or of a folder of it."""
    from loopline.cli.output import print_json, print_table
    from loopline.cli.runs import find_run
    from loopline.rules.words import size_words

    run = find_run(backend, run_id)
    files = files_below(backend, run.run_id, path)
    if as_json:
        print_json(files)
        return
    print_table(
        ("PATH", "SIZE", "SHA-256"),
        [(file.path, size_words(file.size_bytes), file.sha256[:12]) for file in files],
        empty=f"Run {run.run_id[:8]} has no files{f' in {path}' if path else ''}.",
        right=("SIZE",),
    )


@click.command(
    epilog=epilog(
        "loopline artifacts download 4f1d2c",
        "loopline artifacts download 4f1d2c model --to ./model",
    )
)
@click.argument("run_id")
@click.argument("path", default="")
@with_backend
@click.option(
    "--to",
    default=".",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write to.",
)
def download(backend: Backend, *, run_id: str, path: str, to: Path, as_json: bool) -> None:
    """Download the files of a run, or one file or folder of it.

    Each file is checked by its hash before it gets its name.
    """
    from loopline.cli.output import print_json
    from loopline.cli.runs import find_run
    from loopline.rules.words import count_words, size_words

    run = find_run(backend, run_id)
    files = files_below(backend, run.run_id, path)
    if not files:
        msg = (
            f"Run {run.run_id[:8]} has nothing at {path or 'its root'!r}. "
            f"List its files with: loopline artifacts list {run.run_id[:8]}"
        )
        raise NotFoundError(msg)
    written = [_download(backend, file, to) for file in files]
    if as_json:
        print_json([str(path) for path in written])
        return
    size = size_words(sum(file.size_bytes for file in files))
    click.echo(f"{count_words(len(files), 'file')} ({size}) in {to}")


def files_below(backend: Backend, run_id: str, path: str) -> list[Artifact]:
    """List the files at or below a path of a run."""
    from loopline.records.operations import ListArtifacts

    below = backend.call(ListArtifacts(run_id=run_id, path=path, recursive=True))
    if below or not path:
        return [file for file in below if not file.is_dir]
    beside = backend.call(ListArtifacts(run_id=run_id, path=path.rpartition("/")[0]))
    return [file for file in beside if file.path == path and not file.is_dir]


def _download(backend: Backend, file: Artifact, folder: Path) -> Path:
    """Write one file below a folder: whole, under its name only when its hash is right."""
    from loopline.backend.downloads import download_blob

    root = folder.resolve()
    target = (root / file.path).resolve()
    if not target.is_relative_to(root):
        msg = f"The path {file.path!r} leads out of {folder}. It is not written."
        raise InvalidInputError(msg)
    target.parent.mkdir(parents=True, exist_ok=True)
    download_blob(backend, file.sha256, target)
    return target


artifacts = LazyGroup(
    "artifacts",
    help="List and download the files of a run.",
    table={
        "list": (f"{__name__}:list_", "List every file of a run, or of a folder of it."),
        "download": (
            f"{__name__}:download",
            "Download the files of a run, or one file or folder of it.",
        ),
    },
)
