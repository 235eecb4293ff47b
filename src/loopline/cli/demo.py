"""``loopline demo``: the whole life of a model, on taxi fares, in about half a minute."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from loopline.cli import options
from loopline.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from loopline.demo.data_source import Months, TaxiData
    from loopline.demo.story import MonthLine, Story

__all__ = ["demo"]

INTERRUPTED = 130


@click.group()
def demo() -> None:
    """Show the whole life of a model on taxi fares."""


@demo.command(
    epilog=options.epilog(
        "loopline demo taxifare",
        "loopline demo taxifare --exit --model keras",
        "loopline demo taxifare --exit --data ~/tlc --json",
        "loopline demo taxifare --warehouse --no-serve",
    )
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with TLC's green_tripdata_YYYY-MM.parquet. Default: $LOOPLINE_TAXI_DATA, the "
    "cache, TLC's site, or without a network a simulated city.",
)
@click.option(
    "--model",
    type=click.Choice(["sklearn", "keras"]),
    default="sklearn",
    show_default=True,
    help="What to train: histogram boosting, or a small network.",
)
@click.option("--exit", "leave", is_flag=True, help="Do not serve the result at the end.")
@click.option(
    "--warehouse",
    "in_warehouse",
    is_flag=True,
    help="Load the months into the home's DuckDB warehouse, and read them from there.",
)
@click.option(
    "--no-serve",
    is_flag=True,
    help="Do not serve the model while the months pass, which opens a port of this machine.",
)
@click.option("--port", type=click.IntRange(0, 65535), help="Of the server; 0 takes any free one.")
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Record into this home. Default: a new folder in ./.loopline-demo for each run.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the story as JSON, and nothing else.")
@click.pass_context
def taxifare(  # noqa: PLR0913 - its options
    context: click.Context,
    *,
    data: Path | None,
    model: str,
    leave: bool,
    in_warehouse: bool,
    no_serve: bool,
    port: int | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Predict taxi fares month after month, while the fares change.

    For each month of trips a flow scores the Production model on the new rows, looks for drift,
    trains a challenger on the two months before, compares both, and promotes the challenger only
    if it is really better: by at least 5 %, beyond a 95 % paired bootstrap, and worse in no hour
    and no borough. Meanwhile a serving process answers riders, and follows each promotion. Then a
    bad model is forced in, and rolled back. At the end it shows the table and the picture, and
    serves everything in the browser.

    Exits with 0 when the story was told, 1 when something failed and 130 when interrupted.
    """
    try:
        with _stopped_by_sigterm():
            story = _tell(
                data, model, home, in_warehouse=in_warehouse, serve=not no_serve, as_json=as_json
            )
        if as_json:
            print_json(story)
        if not leave:
            _serve(story, port, sys.stderr if as_json else sys.stdout)
    except KeyboardInterrupt:
        click.echo("\nStopped. Run it again to begin anew.", err=True)
        context.exit(INTERRUPTED)


def _tell(
    data: Path | None,
    model: str,
    home: Path | None,
    *,
    in_warehouse: bool,
    serve: bool,
    as_json: bool,
) -> Story:
    """Run the months, showing how far it is, and show the end."""
    from rich.console import Console

    from loopline.demo.data_source import find_files
    from loopline.demo.taxifare import check_extras, make_demo_home, run_taxifare

    check_extras(model, in_warehouse=in_warehouse)
    out = sys.stderr if as_json else sys.stdout
    width = None if out.isatty() else 150  # Nobody knows how wide a file is.
    console = Console(file=out, highlight=False, width=width)
    with contextlib.redirect_stdout(out), _show_download(console) as on_progress:
        files = find_files(data, announce=console.print, on_progress=on_progress)
    place, pictures = make_demo_home(home)
    trips: Months = _fill(files, place) if in_warehouse else files
    console.print(
        f"Trips: {trips.origin}, {trips.months[0]} to {trips.months[-1]}, {trips.address}"
    )
    if trips.is_simulated:
        console.print("The trips are those of a [bold]simulated city[/bold], not real ones.")
    with contextlib.redirect_stdout(out), _show_months(console, trips) as (on_step, on_month):
        story = run_taxifare(
            trips,
            home=place,
            pictures=pictures,
            model=model,
            serve=serve,
            on_step=on_step,
            on_month=on_month,
        )
    _show(console, story)
    return story


def _fill(files: TaxiData, home: Path) -> Months:
    """Load the months into the warehouse of a home."""
    from loopline.demo.warehouse_months import load_months
    from loopline.warehouses.open import FILE

    return load_months(files, home / FILE)


@contextlib.contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Stop as by Ctrl-C when told to end, so that the serving process ends, too."""
    import signal

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _show_download(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar per file on a terminal, a line per file elsewhere."""
    if not console.is_terminal:

        def tell(name: str, done: int, total: int) -> None:
            if done == total:
                console.print(f"{name}: {total:,} bytes")

        yield tell
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        bars: dict[str, Any] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total or None)
            progress.update(bars[name], completed=done)

        yield show


@contextlib.contextmanager
def _show_months(
    console: Console, trips: Months
) -> Iterator[tuple[Callable[[str, str], None], Callable[[MonthLine], None]]]:
    """Show a bar over all months on a terminal; elsewhere what the tasks print is enough."""
    from loopline.demo.taxifare import INCIDENT_STEPS, STEPS

    if not console.is_terminal:
        yield lambda _month, _step: None, lambda _line: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("starting", total=len(trips.months) * len(STEPS))

        def on_step(month: str, step: str) -> None:
            if step in INCIDENT_STEPS:
                progress.update(bar, description=f"{month}: {INCIDENT_STEPS[step]}")
                return
            done = trips.months.index(month) * len(STEPS) + list(STEPS).index(step)
            progress.update(bar, completed=done, description=f"{month}: {STEPS[step]}")

        def on_month(line: MonthLine) -> None:
            progress.update(bar, completed=(trips.months.index(line.month) + 1) * len(STEPS))

        yield on_step, on_month


def _show(console: Console, story: Story) -> None:
    """Show the table, the picture and the sentence."""
    from loopline.demo.story import draw_text, make_table

    encoding = (getattr(console.file, "encoding", "") or "ascii").lower().replace("-", "")
    only_ascii = not encoding.startswith("utf")
    console.print()
    console.print(make_table(story))
    width = min(console.width, 78) if console.is_terminal else 78
    console.print(draw_text(story, width=width, only_ascii=only_ascii), markup=False)
    console.print()
    console.print(story.summary, markup=False)
    console.print(f"Picture: {story.picture}", markup=False)
    console.print(f"Recorded in {story.home} in {story.seconds:.0f} s.", markup=False)


def _serve(story: Story, port: int | None, out: TextIO) -> None:
    """Serve the story's home until Ctrl-C."""
    from loopline.errors import ConflictError
    from loopline.server import DEFAULT_PORT
    from loopline.server.serve import serve
    from loopline.settings import parse_address

    def ready(url: str) -> None:
        page = f"{url}/runs/{story.run_id}"
        click.echo(f"\nSee it at {page}\nCtrl-C stops the server.", file=out)
        if _has_display():
            import webbrowser

            webbrowser.open(page)

    address = parse_address(story.home)
    try:
        serve(address, port=DEFAULT_PORT if port is None else port, on_ready=ready)
    except ConflictError:
        if port is not None:
            raise
        serve(address, port=0, on_ready=ready)  # Nobody asked for the usual port.


def _has_display() -> bool:
    """Whether somebody sits before this machine's screen."""
    import os

    if not sys.stdout.isatty() or os.environ.get("CI"):
        return False
    screens = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screens) or sys.platform in {"darwin", "win32"}
