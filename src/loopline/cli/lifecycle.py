"""``loopline lifecycle``: going around the loop of a model, once or over the past."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import as_json, epilog, uri, with_backend
from loopline.cli.your_code import your_code
from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.lifecycle.backtest import Backtest, BacktestLine
    from loopline.lifecycle.loop import Loop

__all__ = ["lifecycle"]

_place = click.argument("place", metavar="FILE[:NAME]")


@click.command(
    epilog=epilog(
        "loopline lifecycle turn taxi_loop.py",
        "loopline lifecycle turn taxi_loop.py:loop --until 2022-04",
    )
)
@_place
@uri
@as_json
@click.option("--until", help="Rows before this moment are there; without: now.")
def turn(*, place: str, uri: str | None, until: str | None, as_json: bool) -> None:
    """Go around a loop once: evaluate, train, compare, promote, tell."""
    from loopline.backend.recorder import set_tracking_uri
    from loopline.cli.output import print_json, say

    if uri is not None:
        set_tracking_uri(uri)
    loop = find_loop(place)
    with your_code(_file_of(place)):
        done = loop.turn(until, quietly=False) if not as_json else _silently(loop, until)
    if as_json:
        print_json(done)
    elif done.version is not None:
        say(f"v{done.version} is in {loop.policy.stage}.")


def _silently(loop: Loop, until: str | None) -> Any:  # noqa: ANN401 - a turn
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        return loop.turn(until)


@click.command(
    epilog=epilog(
        "loopline lifecycle backtest taxi_loop.py --since 2022-01 --until 2023-05",
        "loopline lifecycle backtest taxi_loop.py --since 2022-01 --until 2023-05 --picture a.svg",
    )
)
@_place
@as_json
@click.option("--since", required=True, help="Begin of the first window, such as 2022-01.")
@click.option("--until", required=True, help="The last window ends here or before.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw it as SVG.")
def backtest(*, place: str, since: str, until: str, picture: Path | None, as_json: bool) -> None:
    """Tell what a policy would have done over the past, cost and saved.

    Everything happens in a home of its own, which is gone afterwards; nothing of yours is moved.
    """
    from loopline.cli.output import print_json, say

    loop = find_loop(place)
    with your_code(_file_of(place)):
        done = _run(loop, since, until)
    if picture is not None:
        picture.write_text(done.picture(), encoding="utf-8")
        say(f"The picture is in {picture}.")
    if as_json:
        print_json(done)
        return
    _print(done)


@click.command(
    epilog=epilog(
        "loopline lifecycle check taxifare_model",
        "loopline lifecycle check taxifare_model --every 60",
        "loopline lifecycle check taxifare_model --dry-run --json",
    )
)
@click.argument("name")
@with_backend
@click.option("--stage", default="Production", show_default=True, help="Of this stage.")
@click.option("--every", type=click.FloatRange(min=1), help="Look again after so many seconds.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
def check(
    backend: Backend, *, name: str, stage: str, every: float | None, dry_run: bool, as_json: bool
) -> None:
    """Look at the champion's live error, and take it back if its policy says so."""
    import time

    from loopline.backend.recorder import recording_to
    from loopline.cli.output import print_json
    from loopline.lifecycle.live import check_live
    from loopline.records.operations import GetPolicy

    policy = backend.call(GetPolicy(name=name, stage=stage)).policy
    while True:
        with recording_to(backend.address.text):
            found = check_live(policy, dry_run=dry_run)
        if as_json:
            print_json(found)
        else:
            click.echo(found.sentence)
        if every is None:
            return
        time.sleep(every)


def _run(loop: Loop, since: str, until: str) -> Backtest:
    from loopline.cli.output import say

    def shown(line: BacktestLine) -> None:
        if sys.stderr.isatty():
            say(f"{line.since[:10]}: {line.sentence}")

    return loop.backtest(since, until, on_line=shown)


def _print(done: Backtest) -> None:
    from loopline.cli.output import print_table
    from loopline.rules.words import number_words

    def number(value: float | None) -> str:
        return "" if value is None else number_words(value)

    print_table(
        ("FROM", "ROWS", "WITH", "WITHOUT", "CHALLENGER", "DECISION"),
        [
            (
                line.since[:10],
                f"{line.rows:,}" if line.rows else "",
                number(line.production),
                number(line.without),
                number(line.challenger),
                line.sentence,
            )
            for line in done.lines
        ],
        empty="",
        right=("ROWS", "WITH", "WITHOUT", "CHALLENGER"),
    )
    click.echo(done.sentence)


def _file_of(place: str) -> Path:
    return Path(place.partition(":")[0])


def find_loop(place: str) -> Loop:
    """Run a file and take the loop that it defines.

    Args:
        place: ``taxi_loop.py``, or ``taxi_loop.py:name`` when it defines several.

    Raises:
        InvalidInputError: There is no such file, it raises, or not one loop is in it.
    """
    import runpy

    from loopline.lifecycle.loop import Loop
    from loopline.tracking.environment.process import tell_script

    path, _, name = place.partition(":")
    file = _file_of(place)
    if not file.is_file():
        msg = f"No file {path!r}. Name one that makes a loopline.lifecycle.Loop."
        raise InvalidInputError(msg)
    sys.path.insert(0, str(file.resolve().parent))  # As Python does for a script.
    tell_script(file.resolve())  # Kept with the runs, so that they can be reproduced.
    with your_code(file):
        made = runpy.run_path(str(file), run_name="__loopline__")
    loops = {key: value for key, value in made.items() if isinstance(value, Loop)}
    if name:
        loops = {key: value for key, value in loops.items() if key == name}
    if len(loops) != 1:
        there = ", ".join(sorted(key for key, value in made.items() if isinstance(value, Loop)))
        msg = (
            f"{path} has {f'no loop {name!r}' if name else f'{len(loops)} loops'}"
            f"{f', but {there}' if there else ''}. "
            "Define one: loop = lifecycle.Loop(policy, rows=…, train=…), or name it: FILE:NAME."
        )
        raise InvalidInputError(msg)
    return next(iter(loops.values()))


lifecycle = LazyGroup(
    "lifecycle",
    help="Is a model still good, is a new one better, and then what.",
    table={
        "turn": (
            f"{__name__}:turn",
            "Go around a loop once: evaluate, train, compare, promote, tell.",
        ),
        "check": (
            f"{__name__}:check",
            "Look at the champion's live error, and take it back if its policy says so.",
        ),
        "backtest": (
            f"{__name__}:backtest",
            "Tell what a policy would have done over the past, cost and saved.",
        ),
    },
)
