"""``loopline sync``: sending what is still in journals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli import options
from loopline.settings import tracking_address

if TYPE_CHECKING:
    from loopline.care.sync import SyncReport
    from loopline.settings import Address

__all__ = ["sync"]


@click.command(
    epilog=options.epilog(
        "loopline sync",
        "loopline sync ~/from-the-cluster --uri http://localhost:5050",
        "loopline sync /media/stick/.loopline --keep",
    )
)
@click.argument("folder", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--keep", is_flag=True, help="Leave FOLDER as it is; else what was sent is deleted.")
@options.uri
@options.as_json
def sync(folder: Path | None, *, keep: bool, uri: str | None, as_json: bool) -> int:
    """Send what is still in journals.

    Without FOLDER: what dead processes of this machine left in the home; and what short scripts
    left in its store is put in its place, for who reads loopline.db directly. With FOLDER, which
    holds journals or homes copied from other machines: everything in it, to --uri. What was sent
    before is not taken twice. Exit code 1 says that some journals could not be sent and were kept.
    """
    from loopline.care.sync import find_journals, send_journals, settle_home
    from loopline.cli.output import print_json
    from loopline.cli.progress import shown_progress

    if keep and folder is None:
        msg = "--keep is for a copied FOLDER: journals of the home are kept until they were sent."
        raise click.UsageError(msg)
    address = tracking_address(uri)
    journals = find_journals(folder) if folder else _abandoned(address)
    with shown_progress() as progress:
        report = send_journals(journals, address if folder else None, keep=keep, progress=progress)
    if folder is None:
        settle_home(address)
    if as_json:
        print_json(report)
    else:
        _tell(report)
    return 1 if report.kept else 0


def _tell(report: SyncReport) -> None:
    from loopline.rules.words import count_words

    if report.sent:
        all_sent = report.sent.values()
        closed = sum(len(each.closed) for each in all_sent)
        ended = f", {count_words(closed, 'run')} closed as FAILED" if closed else ""
        click.echo(
            f"Sent {count_words(len(report.sent), 'journal')}: "
            f"{count_words(sum(each.points for each in all_sent), 'metric point')} and "
            f"{count_words(sum(each.records for each in all_sent), 'other record')}{ended}."
        )
        refused = sum(each.refused for each in all_sent)
        if refused:
            click.echo(
                f"{count_words(refused, 'record')} were refused for good; "
                "`loopline runs show RUN` says why."
            )
    for journal, reason in report.kept.items():
        click.echo(f"Kept {journal}: {reason}", err=True)
    if not report.sent and not report.kept:
        click.echo("Nothing to send: every journal has been emptied or belongs to a live process.")


def _abandoned(address: Address) -> list[Path]:
    import socket

    from loopline.backend.recorder import home_of
    from loopline.journal.journal import abandoned

    return abandoned(home_of(address) / "journal", host=socket.gethostname())
