"""``loopline doctor``: what is wrong, why it matters, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli import options
from loopline.settings import tracking_address

if TYPE_CHECKING:
    from loopline.care.doctor.findings import Finding

__all__ = ["doctor"]

MARKS = {"fine": ("ok", "green"), "note": ("note", "blue"), "warning": ("warning", "yellow"),
         "problem": ("PROBLEM", "red")}  # fmt: skip


@click.command(epilog=options.epilog("loopline doctor", "loopline doctor --all --json"))
@click.option(
    "--all", "thorough", is_flag=True, help="Read every file and index, rather than a sample."
)
@options.uri
@options.blobs
@options.as_json
def doctor(*, thorough: bool, uri: str | None, as_json: bool) -> int:
    """Check a home and explain what it finds.

    Looks at the folder and its disk, the database, files, journals, the installation, and at a
    server when LOOPLINE_URI names one. Changes nothing. Exit code 1 says that there are problems.
    """
    from loopline.care.doctor.examine import examine
    from loopline.cli.output import print_json
    from loopline.cli.progress import shown_progress

    address = tracking_address(uri)
    with shown_progress() as progress:
        findings = list(examine(address, thorough=thorough, progress=progress))
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        print_json({"address": str(address), "problems": problems, "findings": findings})
    else:
        _tell(str(address), findings, problems)
    return 1 if problems else 0


def _tell(address: str, findings: list[Finding], problems: int) -> None:
    from loopline.rules.words import count_words

    width = max(len(mark) for mark, _ in MARKS.values())
    click.echo(f"Looked at {address}:")
    for finding in findings:
        mark, colour = MARKS[finding.level]
        click.echo(f"{click.style(mark.rjust(width), fg=colour)}  {finding.what}")
        for line in (finding.why, f"Next: {finding.next}" if finding.next else ""):
            if line:
                click.echo(f"{' ' * width}  {line}")
    warnings = sum(finding.level == "warning" for finding in findings)
    click.echo(
        f"{count_words(problems, 'problem')}, {count_words(warnings, 'warning')}."
        if problems or warnings
        else "All is well."
    )
