"""``loopline audit``: who changed what through a server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from loopline.cli.options import epilog, limit, with_backend

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.identity import AuditRow

__all__ = ["audit"]

FAILED = 1


@click.command(
    epilog=epilog(
        "loopline audit",
        "loopline audit --actor ana --limit 100",
        "loopline audit --subject model/taxifare --json",
        "loopline audit --verify",
    )
)
@click.option("--actor", default="", help="Only what this user did.")
@click.option("--subject", default="", help="Only what was done to this, such as model/taxifare.")
@click.option("--verify", is_flag=True, help="Check that no row was changed or taken out.")
@limit
@with_backend
def audit(
    backend: Backend, *, actor: str, subject: str, verify: bool, limit: int, as_json: bool
) -> None:
    """See who changed what through a server, newest first.

    Each row holds a hash of the one before. Note the last hash that --verify prints somewhere else:
    a later log that lacks it was cut off.
    """
    from loopline.cli.output import print_json, print_table
    from loopline.records.operations import ListAudit
    from loopline.rules.words import time_words

    if verify:
        _verify(backend, as_json=as_json)
        return
    rows: list[AuditRow] = []
    before = 0
    while len(rows) < limit:
        most = min(1000, limit - len(rows))
        page = backend.call(ListAudit(before=before, limit=most, actor=actor, subject=subject))
        rows += page.rows
        before = page.next_before
        if not before:
            break
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ROW", "WHEN", "WHO", "HOW", "FROM", "WHAT", "TO WHAT"),
        [
            (row.number, time_words(row.at_ms), row.actor or "-", row.how, row.address or "-",
             row.action, row.subject)
            for row in rows
        ],
        empty="Nothing yet. Servers write here who changes what.",
        right=("ROW",),
    )  # fmt: skip


def _verify(backend: Backend, *, as_json: bool) -> None:
    from loopline.cli.output import print_json
    from loopline.records.operations import VerifyAudit

    verdict = backend.call(VerifyAudit())
    if as_json:
        print_json(verdict)
    elif verdict.broken_at:
        click.echo(
            f"Row {verdict.broken_at} is not as it was written, or one is missing before it. "
            "Compare with a backup (`loopline restore`)."
        )
    else:
        click.echo(f"All {verdict.rows:,} rows are as they were written. Last hash: {verdict.head}")
    if verdict.broken_at:
        sys.exit(FAILED)
