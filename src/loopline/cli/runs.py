"""``loopline runs``: looking at runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, limit, with_backend
from loopline.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.tracking import Run

__all__ = ["find_run", "runs"]

ID_LENGTH = 32
SHOWN_METRICS = 3


@click.command(
    "list",
    epilog=epilog(
        "loopline runs list", 'loopline runs list --experiment "wagoncab taxifare" --json'
    ),
)
@with_backend
@click.option("--experiment", metavar="NAME", help="Only runs of this experiment.")
@click.option("--order-by", metavar="FIELD", help="Such as 'metrics.rmse ASC'.")
@limit
def list_(
    backend: Backend, *, as_json: bool, experiment: str | None, order_by: str | None, limit: int
) -> None:
    """List runs, newest first."""
    _list(backend, "", experiment, order_by, limit, as_json=as_json)


@click.command(
    epilog=epilog(
        "loopline runs search 'metrics.rmse < 4'",
        "loopline runs search \"params.model = 'keras' AND metrics.rmse.min < 4\" "
        "--order-by 'metrics.rmse ASC'",
    )
)
@click.argument("filter_", metavar="FILTER")
@with_backend
@click.option("--experiment", metavar="NAME", help="Only runs of this experiment.")
@click.option("--order-by", metavar="FIELD", help="Such as 'metrics.rmse ASC'.")
@limit
def search(
    backend: Backend,
    *,
    filter_: str,
    as_json: bool,
    experiment: str | None,
    order_by: str | None,
    limit: int,
) -> None:
    """Find runs by their params, metrics, tags and attributes.

    FILTER is MLflow's search language with OR, NOT and parentheses.
    """
    _list(backend, filter_, experiment, order_by, limit, as_json=as_json)


@click.command(epilog=epilog("loopline runs show 4f1d2c", "loopline runs show 4f1d2c --json"))
@click.argument("run_id")
@with_backend
def show(backend: Backend, *, run_id: str, as_json: bool) -> None:
    """Show a run; the first letters of its id are enough."""
    from loopline.cli.output import print_facts, print_json, print_table
    from loopline.records.operations import ListRefused
    from loopline.rules.words import count_words, number_words, time_words

    run = find_run(backend, run_id)
    refused = backend.call(ListRefused(run_id=run.run_id))
    if as_json:
        print_json({"run": run, "refused": refused})
        return
    print_facts(
        [
            ("Run", run.name),
            ("Id", run.run_id),
            ("Experiment", run.experiment_name or run.experiment_id),
            ("Status", run.status.value),
            ("Reason", run.end_reason),
            ("Started", time_words(run.start_ms)),
            ("Duration", _duration(run)),
            ("User", run.user),
            ("Parent", run.parent_run_id),
            ("Flow run", run.flow_run_id),
        ]
    )
    if run.params:
        click.echo("\nParams")
        print_facts((f"  {key}", value) for key, value in sorted(run.params.items()))
    if run.metrics:
        click.echo("\nMetrics")
        print_table(
            ("  METRIC", "LAST", "MIN", "MAX", "POINTS"),
            [
                (key, *map(number_words, (one.value, one.min, one.max)), one.count)
                for key, one in sorted(run.metrics.items())
            ],
            empty="",
            right=("LAST", "MIN", "MAX", "POINTS"),
        )
    if run.tags:
        click.echo("\nTags")
        print_facts((f"  {key}", value) for key, value in sorted(run.tags.items()))
    if refused:
        click.echo(f"\n{count_words(len(refused), 'record')} refused for good")
        for item in refused:
            click.echo(f"  {item.reason}")


@click.command(epilog=epilog("loopline runs delete 4f1d2c", "loopline runs delete 4f1d2c 9a0b11"))
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID...")
@with_backend
def delete(backend: Backend, *, run_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete runs, which can be restored.

    `loopline runs restore` brings them back, until `loopline gc` has removed them for good.
    """
    from loopline.records.operations import DeleteRun

    found = [find_run(backend, run_id).run_id for run_id in run_ids]  # All, before any is changed.
    gone = [backend.call(DeleteRun(run_id=run_id)) for run_id in found]
    _tell(gone, "Deleted", as_json=as_json)


@click.command(epilog=epilog("loopline runs restore 4f1d2c0b9e8a4f1d2c0b9e8a4f1d2c0b"))
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID...")
@with_backend
def restore(backend: Backend, *, run_ids: tuple[str, ...], as_json: bool) -> None:
    """Bring back deleted runs.

    Their whole ids are asked for: a search does not find them.
    """
    from loopline.records.operations import GetRun, RestoreRun

    found = [backend.call(GetRun(run_id=run_id)).run_id for run_id in run_ids]
    back = [backend.call(RestoreRun(run_id=run_id)) for run_id in found]
    _tell(back, "Restored", as_json=as_json)


def _tell(runs: list[Run], done: str, *, as_json: bool) -> None:
    from loopline.cli.output import print_json, say

    if as_json:
        print_json(runs)
        return
    for run in runs:
        say(f"{done} {run.name} ({run.run_id}) of {run.experiment_name}.")


def _list(
    backend: Backend,
    filter_: str,
    experiment: str | None,
    order_by: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    from loopline.cli.output import ago, print_json, print_table, say
    from loopline.records.operations import CountRuns, GetExperiment, SearchRuns
    from loopline.rules.shown import frequent_keys
    from loopline.rules.words import number_words

    names = []
    if experiment is not None:
        names = [backend.call(GetExperiment(name=experiment)).name]  # A wrong name is an error.
    page = backend.call(
        SearchRuns(
            experiment_names=names,
            filter=filter_,
            order_by=[order_by] if order_by else [],
            max_results=limit,
        )
    )
    if as_json:
        print_json(page.runs)
        return
    keys = frequent_keys((run.metrics for run in page.runs), SHOWN_METRICS)
    print_table(
        ("ID", "NAME", "STATUS", "STARTED", "DURATION", "EXPERIMENT", *keys),
        [
            (
                run.run_id[:8],
                run.name,
                run.status.value,
                ago(run.start_ms),
                _duration(run),
                run.experiment_name,
                *(
                    number_words(run.metrics[key].value) if key in run.metrics else ""
                    for key in keys
                ),
            )
            for run in page.runs
        ],
        empty="No run matches." if filter_ else "No runs yet. `loopline.start_run()` makes one.",
        right=tuple(keys),
    )
    if page.next_page_token:
        total = backend.call(CountRuns(experiment_names=names, filter=filter_))
        say(f"The first {limit} of {total:,} runs; --limit shows more.")


def find_run(backend: Backend, run_id: str) -> Run:
    """Find a run by its id or the first letters of it.

    Raises:
        NotFoundError: No run's id begins like this.
        InvalidInputError: Several do.
    """
    from loopline.records.operations import GetRun, SearchRuns

    if len(run_id) >= ID_LENGTH or not run_id.isalnum():
        return backend.call(GetRun(run_id=run_id))
    found = backend.call(
        SearchRuns(filter=f"attributes.run_id LIKE '{run_id}%'", max_results=2)
    ).runs
    if not found:
        msg = f"No run's id begins with {run_id!r}. List the runs with `loopline runs list`."
        raise NotFoundError(msg)
    if len(found) > 1:
        msg = f"Several runs' ids begin with {run_id!r}. Give more letters of it."
        raise InvalidInputError(msg)
    return found[0]


def _duration(run: Run) -> str:
    import time

    from loopline.rules.words import duration_words

    if run.duration_ms is not None:
        return duration_words(run.duration_ms)
    if not run.start_ms:
        return ""
    if run.end_ms is None:
        return f"{duration_words(time.time() * 1000 - run.start_ms)} so far"
    return duration_words(run.end_ms - run.start_ms)


runs = LazyGroup(
    "runs",
    help="Look at runs, delete and restore them.",
    table={
        "list": (f"{__name__}:list_", "List runs, newest first."),
        "show": (f"{__name__}:show", "Show a run; the first letters of its id are enough."),
        "delete": (f"{__name__}:delete", "Delete runs, which can be restored."),
        "restore": (f"{__name__}:restore", "Bring back deleted runs."),
        "search": (
            f"{__name__}:search",
            "Find runs by their params, metrics, tags and attributes.",
        ),
    },
)
