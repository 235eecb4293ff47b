"""``loopline sync``: sending what is still in journals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli import options
from loopline.errors import LooplineError
from loopline.settings import parse_address, tracking_address

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.settings import Address

__all__ = ["sync"]


@click.command(
    epilog=options.epilog(
        "loopline sync", "loopline sync ~/from-the-cluster/.loopline --uri http://localhost:5050"
    )
)
@click.argument("folder", required=False, type=click.Path(exists=True, path_type=Path))
@options.uri
@options.as_json
def sync(folder: Path | None, *, uri: str | None, as_json: bool) -> int:
    """Send what is still in journals.

    Without FOLDER: what dead processes of this machine left in the home. With FOLDER, a home or a
    journal copied from another machine: everything in it, to --uri.
    """
    from loopline.backend.recorder import home_of
    from loopline.cli.output import print_json

    address = tracking_address(uri)
    journals = _journals(folder) if folder else _abandoned(home_of(address))
    sent, kept = _send_all(journals, address, everything=folder is not None)
    if as_json:
        print_json({"sent": sent, "kept": kept})
    else:
        _tell(sent, kept)
    return 1 if kept else 0


def _tell(sent: dict[str, list[str]], kept: dict[str, str]) -> None:
    from loopline.rules.words import count_words

    closed = sum(map(len, sent.values()))
    if sent:
        ended = f", {count_words(closed, 'run')} closed as FAILED" if closed else ""
        click.echo(f"Sent {count_words(len(sent), 'journal')}{ended}.")
    for journal, reason in kept.items():
        click.echo(f"Kept {journal}: {reason}", err=True)
    if not sent and not kept:
        click.echo("Nothing to send: every journal has been emptied or belongs to a live process.")


def _send_all(
    journals: list[Path], address: Address, *, everything: bool
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Send journals; answer the runs closed by each one sent, and why others were kept."""
    from loopline.backend.adopt import adopt
    from loopline.journal.journal import read_meta

    sent: dict[str, list[str]] = {}
    kept: dict[str, str] = {}
    backends: dict[Address, Backend] = {}
    try:
        for journal in journals:
            try:
                target = address if everything else parse_address(read_meta(journal).address)
                if target not in backends:
                    backends[target] = options.open_at(target.text)
                closed = adopt(journal, target, backends[target], everything=everything)
            except LooplineError as error:
                kept[str(journal)] = str(error)
                continue
            if not journal.exists():  # Still there: its owner lives and sends it by itself.
                sent[str(journal)] = closed
    finally:
        for backend in backends.values():
            backend.close()
    return sent, kept


def _abandoned(home: Path) -> list[Path]:
    import socket

    from loopline.journal.journal import abandoned

    return abandoned(home / "journal", host=socket.gethostname())


def _journals(folder: Path) -> list[Path]:
    """Find the journals of a copied folder: it is one, holds them, or is a home with them."""
    from loopline.errors import InvalidInputError
    from loopline.journal.journal import abandoned

    if (folder / "meta.json").is_file():
        return [folder]
    for root in (folder / "journal", folder / ".loopline" / "journal", folder):
        found = abandoned(root)
        if found:
            return found
    msg = f"No journal in {folder}. Give a home (.loopline) or a folder below its journal/."
    raise InvalidInputError(msg)
