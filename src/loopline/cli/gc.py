"""``loopline gc``: freeing what nobody needs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from loopline.cli import options
from loopline.settings import tracking_address

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend
    from loopline.care.collect import Collected, Garbage
    from loopline.care.purge import Purgeable
    from loopline.care.purge_experiments import PurgeableExperiments
    from loopline.models.room import Room

__all__ = ["gc"]

HOUR_S = 3600


@click.command(
    epilog=options.epilog(
        "loopline gc", "loopline gc --yes", "loopline gc --deleted-for 30 --dry-run"
    )
)
@click.option(
    "--grace",
    "grace_h",
    metavar="HOURS",
    type=click.FloatRange(1),
    default=24,
    show_default=True,
    help="Leave files alone that were logged within so many hours.",
)
@click.option(
    "--deleted-for",
    metavar="DAYS",
    type=click.FloatRange(0),
    help="Also remove for good the runs, logged models and experiments deleted at least so many "
    "days ago.",
)
@click.option(
    "--also", metavar="URI", multiple=True, help="Another store that keeps files in this folder."
)
@click.option("--forget", metavar="STORE", multiple=True, help="Such a store that exists no more.")
@click.option("--dry-run", is_flag=True, help="Show what would be freed, and free nothing.")
@click.option("--yes", is_flag=True, help="Free it without asking.")
@options.uri
@options.blobs
@options.as_json
def gc(
    *,
    grace_h: float,
    deleted_for: float | None,
    also: tuple[str, ...],
    forget: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    uri: str | None,
    as_json: bool,
) -> int:
    """Free the room of files that nothing names any more.

    These are files whose path was overwritten or whose run or model is gone, results and code
    that no flow names, and uploads that broke off. Says what it would free, and asks; in a
    script give --yes. Others may go on logging: what they log meanwhile is safe.
    """
    from loopline.backend.recorder import home_of
    from loopline.care.collect import collect_garbage, find_garbage
    from loopline.care.collect import forget as forget_note
    from loopline.care.place import open_here
    from loopline.cli.output import print_json
    from loopline.cli.progress import shown_progress
    from loopline.models.room import measure

    with open_here(tracking_address(uri), "gc") as backend:
        for store in forget:
            forget_note(backend, store)
        doomed = None if deleted_for is None else _find_doomed(backend, deleted_for)
        garbage = find_garbage(backend, grace_s=grace_h * HOUR_S, also=also)
        cache = measure(home_of(tracking_address(uri)))
        if not as_json:
            _tell_found(garbage, doomed)
            _tell_cache(cache)
        collected, removed, models, experiments = None, 0, 0, 0
        has_any = bool(
            garbage.size_bytes
            or garbage.blobs
            or (doomed and (doomed.runs or doomed.logged_models or doomed.experiments.ids))
        )
        if has_any and not dry_run and (yes or (not as_json and _asked())):
            if doomed is not None:
                removed, models, experiments = _remove(backend, doomed)
            with shown_progress() as progress:
                collected = collect_garbage(backend, garbage, also=also, progress=progress)
    if as_json:
        print_json(
            {
                "found": garbage,
                "found_bytes": garbage.size_bytes,
                "cache_bytes": cache.size_bytes,
                "deleted_runs": doomed,
                "collected": collected,
                "removed_runs": removed,
                "removed_logged_models": models,
                "removed_experiments": experiments,
            }
        )
    elif collected is not None:
        gone = {"run": removed, "logged model": models, "experiment": experiments}
        _tell_freed(collected, gone, grace_h)
    return 0


def _find_doomed(backend: LocalBackend, days: float) -> Purgeable:
    from loopline.care.purge import find_purgeable

    with backend.store.read() as connection:
        return find_purgeable(connection, backend.store.clock(), days)


def _remove(backend: LocalBackend, doomed: Purgeable) -> tuple[int, int, int]:
    from loopline.care.purge import purge_logged_models, purge_runs
    from loopline.care.purge_experiments import purge_experiments

    runs, of_runs = purge_runs(backend.store, doomed.runs)
    models, of_models = purge_logged_models(backend.store, doomed.logged_models)
    # What named them has gone, and others may just name them.
    backend.blobs.renew(of_runs | of_models)
    return runs, models, purge_experiments(backend.store, doomed.experiments.ids)


def _asked() -> bool:
    from loopline.cli.output import say

    if not sys.stdin.isatty():
        say("Nothing was freed. To free it: loopline gc --yes")
        return False
    return click.confirm("Free it?")


def _tell_found(garbage: Garbage, doomed: Purgeable | None) -> None:
    from loopline.rules.words import count_words, size_words

    if doomed is not None:
        click.echo(f"{count_words(len(doomed.runs), 'deleted run')} to remove for good.")
        if doomed.recent:
            click.echo(f"  {doomed.recent:,} more were deleted too recently.")
        if doomed.of_models:
            click.echo(f"  {doomed.of_models:,} more stay: model versions were made from them.")
        if doomed.logged_models or doomed.recent_models:
            models = count_words(len(doomed.logged_models), "deleted logged model")
            click.echo(f"{models} to remove for good.")
        if doomed.recent_models:
            click.echo(f"  {doomed.recent_models:,} more were deleted too recently.")
        _tell_experiments(doomed.experiments)
    files = sum(size for _, size in garbage.blobs)
    left = sum(each.size_bytes for each in garbage.strays)
    if not garbage.blobs and not garbage.strays:
        click.echo(f"No file to free; all of {garbage.needed:,} are needed.")
    else:
        click.echo(
            f"{count_words(len(garbage.blobs), 'file')} that nothing names: {size_words(files)}."
        )
        click.echo(f"{len(garbage.strays):,} left half-made: {size_words(left)}.")
    if garbage.young:
        hours = f"{garbage.grace_s / HOUR_S:g} h"
        click.echo(f"{garbage.young:,} not named either are younger than {hours} and stay.")


def _tell_experiments(doomed: PurgeableExperiments) -> None:
    from loopline.rules.words import count_words

    if doomed.ids or doomed.recent or doomed.in_use:
        experiments = count_words(len(doomed.ids), "deleted experiment")
        click.echo(f"{experiments} to remove for good; their names may be taken again.")
    if doomed.recent:
        click.echo(f"  {doomed.recent:,} more were deleted too recently.")
    if doomed.in_use:
        click.echo(f"  {doomed.in_use:,} more stay, for some of their runs do.")


def _tell_cache(cache: Room) -> None:
    """Name the other place that grows, which bounds itself."""
    from loopline.models.room import limit_bytes
    from loopline.rules.words import count_words, size_words

    if cache.size_bytes:
        most = limit_bytes()
        bound = "without a bound" if most is None else f"at most {size_words(most)}"
        click.echo(
            f"{count_words(cache.models, 'model')} loaded here and kept: "
            f"{size_words(cache.size_bytes)}, {bound} (LOOPLINE_CACHE_GB)."
        )


def _tell_freed(collected: Collected, removed: dict[str, int], grace_h: float) -> None:
    from loopline.rules.words import count_words, size_words

    click.echo(
        f"Freed {size_words(collected.freed_bytes)}: "
        f"{count_words(collected.blobs + collected.strays, 'file')}."
    )
    if collected.kept:
        click.echo(f"{collected.kept:,} stay, for somebody needs them now.")
    gone = [count_words(count, what) for what, count in removed.items() if count]
    if gone:
        click.echo(
            f"Removed {', '.join(gone)}. Files that only they had are freed by the "
            f"next gc in {grace_h:g} h or later."
        )
