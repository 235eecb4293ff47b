"""``loopline reproduce``: running a run again, and telling how alike it came out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.options import as_json as as_json_option
from loopline.cli.options import epilog, open_at
from loopline.cli.options import uri as uri_option

if TYPE_CHECKING:
    from loopline.records.reproduction import Reproduction

__all__ = ["reproduce"]

#: Exit codes: the same or nearly so, different, and could not be run.
ALIKE, DIFFERENT, COULD_NOT = 0, 1, 2
COLORS = {"identical": "green", "within tolerance": "green", "different": "red", "missing": "red"}


@click.command(
    epilog=epilog(
        "loopline reproduce models:/taxifare_model/3",
        "loopline reproduce 4f1d2c --same-environment --keep",
        "loopline reproduce models:/taxifare_model/Production --tolerance 0.001 --json",
    )
)
@click.argument("which", metavar="RUN_OR_MODEL")
@uri_option
@as_json_option
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=1e-6,
    show_default=True,
    help="Part of a value by which another may differ and still be within tolerance.",
)
@click.option(
    "--same-environment", is_flag=True, help="Use this interpreter as it is, and make none anew."
)
@click.option("--keep", is_flag=True, help="Keep the folder with the code, the store and output.")
@click.option("--command", default="", help="Run this instead of the recorded command line.")
@click.option("--cells", is_flag=True, help="Run the kept cells of a notebook as a script.")
@click.option(
    "--env", "passed", multiple=True, metavar="NAME", help="Pass this variable on, too; repeatable."
)
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Give up after this.")
@click.pass_context
def reproduce(  # noqa: PLR0913 - one an option
    context: click.Context,
    which: str,
    uri: str | None,
    *,
    as_json: bool,
    tolerance: float,
    same_environment: bool,
    keep: bool,
    command: str,
    cells: bool,
    passed: tuple[str, ...],
    timeout: float | None,
) -> None:
    """Run a run again from its record, and compare the metrics.

    RUN_OR_MODEL is a run, by the first letters of its id or by name, or a version such as
    models:/NAME/3. Its code runs here, on your account: you are told whose it is and where it
    comes from. It records into a store of its own; then its run is put beside the original.

    Exits with 0 when every metric is identical or within tolerance, 1 when one is different, and
    2 when it could not be run.
    """
    from loopline.cli.output import print_json, say
    from loopline.errors import LooplineError
    from loopline.reproduce.reproducing import Wishes
    from loopline.reproduce.reproducing import reproduce as run_again

    open_at(uri, may_make=False).close()
    wishes = Wishes(tolerance, same_environment, keep, command, cells, passed, timeout)
    try:
        found = run_again(which, wishes, uri=uri, say=say)
    except LooplineError as error:
        say(f"Error: It could not be run again. {error}")
        context.exit(COULD_NOT)
    if as_json:
        print_json(found)
    else:
        print_reproduction(found)
    context.exit(DIFFERENT if found.verdict.value == "different" else ALIKE)


def print_reproduction(found: Reproduction) -> None:
    """Print how a reproduction came out."""
    from loopline.cli.output import print_facts

    click.echo()
    for one in found.metrics:
        after = "" if one.after is None else f"{one.after!r}"
        word = click.style(one.likeness.value, fg=COLORS[one.likeness.value])
        click.echo(f"  {one.key}  {one.before!r}  {after}  {word}")
    click.echo()
    verdict = click.style(found.verdict.value, fg=COLORS[found.verdict.value], bold=True)
    print_facts(
        [
            ("Outcome", f"{found.title}: {verdict}"),
            ("Differs first", found.first_difference),
            ("Files", f"{found.files_identical} of {found.files} have the same bytes"),
            ("Reproduction", found.run_id),
            ("Original", found.original),
            ("Took", f"{found.seconds:.1f} s; environment {found.environment_seconds:.1f} s"),
            ("Folder", found.folder),
            ("Notes", "\n".join(found.notes)),
        ]
    )
