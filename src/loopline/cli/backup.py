"""``loopline backup`` and ``loopline restore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli import options
from loopline.settings import tracking_address

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["backup", "restore"]

#: Hashes of missing blobs that are shown.
SHOWN = 5


@click.command(
    epilog=options.epilog(
        "loopline backup /mnt/backups/taxifare",
        "loopline backup taxifare.tar",
        "loopline restore --check taxifare.tar",
    )
)
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--link",
    is_flag=True,
    help="Link files instead of copying them, on the same disk: fast, and safe from deletion, "
    "but lost with the disk.",
)
@click.option("--force", is_flag=True, help="Replace a backup in one file that is there.")
@options.uri
@options.blobs
@options.as_json
def backup(target: Path, *, link: bool, force: bool, uri: str | None, as_json: bool) -> int:
    """Back up the store and all files while they are used.

    TARGET is a folder, which is brought up to date (files that are there are not copied again), or
    a new file that ends in .tar, .tar.gz or .tgz. A backup that was interrupted is never taken for
    a whole one. Exit code 1 says that files were missing or damaged where they should be; the rest
    is backed up.
    """
    from loopline.care.backup import back_up
    from loopline.care.place import open_here
    from loopline.cli.output import print_json, say
    from loopline.cli.progress import shown_progress
    from loopline.rules.words import count_words, size_words

    with open_here(tracking_address(uri), "backup") as backend, shown_progress() as progress:
        report = back_up(backend, target, link=link, replace=force, progress=progress)
    if as_json:
        print_json(report)
    else:
        click.echo(
            f"Backed up {_counted(report.counts)} and {count_words(report.blobs, 'file')} "
            f"({size_words(report.size_bytes)}) to {report.path}."
        )
        if report.copied < report.blobs:
            new = f"{report.copied:,} new, {size_words(report.copied_bytes)}"
            click.echo(f"Of the files {report.blobs - report.copied:,} were there ({new}).")
        if report.missing:
            _tell_missing(report.missing)
        if report.sealed:
            say(
                f"{count_words(report.sealed, 'secret')} in it can be opened only with their key, "
                "which no backup holds. Keep it elsewhere: the file secret.key in the home, or "
                "what LOOPLINE_SECRET_KEY says."
            )
        say(f"Next: check it with `loopline restore --check {target}`.")
    return 1 if report.missing else 0


@click.command(
    epilog=options.epilog(
        "loopline restore taxifare.tar --uri ~/restored/.loopline",
        "loopline restore /mnt/backups/taxifare --force",
        "loopline restore --check taxifare.tar",
    )
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Check every file of the backup and restore nothing.")
@click.option("--force", is_flag=True, help="Keep what is there aside instead of refusing.")
@options.uri
@options.blobs
@options.as_json
def restore(source: Path, *, check: bool, force: bool, uri: str | None, as_json: bool) -> int:
    """Restore a backup into an empty home or PostgreSQL database.

    Every file is checked against its hash first. What trainings have logged since is in their
    journals as far as it was not sent for good, and is offered to the restored store again.
    """
    from loopline.care.restore import check_backup
    from loopline.care.restore import restore as restore_backup
    from loopline.cli.output import print_json, say
    from loopline.cli.progress import shown_progress
    from loopline.rules.words import count_words, size_words, time_words

    with shown_progress() as progress:
        if check:
            report = check_backup(source, progress=progress)
        else:
            address = tracking_address(uri)
            report = restore_backup(source, address, force=force, progress=progress)
    if as_json:
        print_json(report)
        return 0
    held = (
        f"{_counted(report.counts)} and {count_words(report.blobs, 'file')} "
        f"({size_words(report.size_bytes)}), as of {time_words(report.taken_ms)}"
    )
    if check:
        click.echo(f"The backup is whole: {held}.")
    else:
        click.echo(f"Restored {held}, to {report.path}.")
    if report.kept_aside:
        click.echo(f"What was there before is kept in {report.kept_aside}; delete it some day.")
    if report.missing:
        _tell_missing(report.missing)
    if report.closed:
        say(
            f"{count_words(report.closed, 'secret')} in it cannot be opened: their key is not "
            "here. Put the file secret.key of the home that was backed up into this one, or set "
            "LOOPLINE_SECRET_KEY. Without it, set these secrets and webhooks anew."
        )
    return 0


def _counted(counts: Mapping[str, int]) -> str:
    from loopline.rules.words import count_words

    return (
        f"{count_words(counts['runs'], 'run')} with "
        f"{count_words(counts['metric_points'], 'metric point')}, "
        f"{count_words(counts['model_versions'], 'model version')}, "
        f"{count_words(counts['flow_runs'], 'flow run')}"
    )


def _tell_missing(missing: list[str]) -> None:
    from loopline.cli.output import say
    from loopline.rules.words import count_words

    say(
        f"{count_words(len(missing), 'file')} that the store names were missing or damaged when "
        "the backup was made. `loopline doctor --all` says whose they are:"
    )
    for digest in missing[:SHOWN]:
        say(f"  {digest}")
