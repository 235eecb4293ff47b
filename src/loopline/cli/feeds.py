"""``loopline feeds``: data that grow, what arrived, and what a model has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import as_json as as_json_option
from loopline.cli.options import epilog, limit, uri, with_backend

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.feeds import Feed
    from loopline.records.feeds import FeedReport, RegisteredFeed

__all__ = ["feeds"]

#: Exit code when there is nothing new: for scripts that go on only when there is.
NOTHING_NEW = 3


def _feed(name: str, address: str | None) -> Feed:
    """Open a feed that is there."""
    from loopline.backend.recorder import get_recorder, set_tracking_uri
    from loopline.feeds import Feed
    from loopline.records.operations import GetFeed

    if address:
        set_tracking_uri(address)
    get_recorder().call(GetFeed(name=name))  # Or a name mistyped would make one.
    return Feed(name)


@click.command("list", epilog=epilog("loopline feeds list"))
@with_backend
def list_(backend: Backend, *, as_json: bool) -> None:
    """List feeds: where their rows come from, and how many there are."""
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListFeeds

    found = backend.call(ListFeeds())
    if as_json:
        print_json(found)
        return
    print_table(
        ("NAME", "PROJECT", "ROWS", "ARRIVALS", "REFUSED", "LAST", "UNTIL", "SOURCE"),
        [
            (
                each.name, each.project, f"{each.rows:,}", each.arrivals, each.refused,
                ago(each.last_ms) if each.last_ms else "never", each.order_until, _source(each),
            )
            for each in found
        ],
        empty="No feeds yet. In Python: loopline.Feed('taxi', order_by='pickup_datetime')",
        right=("ROWS", "ARRIVALS", "REFUSED"),
    )  # fmt: skip


@click.command(epilog=epilog("loopline feeds show taxi", "loopline feeds show taxi --json"))
@click.argument("name")
@uri
@as_json_option
def show(name: str, uri: str | None, *, as_json: bool) -> None:
    """Show a feed and what is to be known of its rows: late, twice, gone, changed."""
    from loopline.backend.recorder import get_recorder
    from loopline.cli.output import ago, print_facts, print_json, print_table
    from loopline.records.operations import GetFeed

    feed = _feed(name, uri)
    known = get_recorder().call(GetFeed(name=name))
    report, arrivals = feed.report(), feed.arrivals()
    if as_json:
        print_json({"feed": known, "report": report, "arrivals": arrivals})
        return
    print_facts(
        [
            ("Name", known.name),
            ("Project", known.project),
            ("Source", _source(known)),
            ("New rows by", _told_by(known)),
            ("Ordered by", known.spec.order_by),
            ("Rows", f"{known.rows:,}"),
            *_findings(report),
        ]
    )
    click.echo()
    print_table(
        ("ARRIVAL", "ROWS", "FROM", "UNTIL", "LATE", "TWICE", "WHEN"),
        [
            (each.number, f"{each.rows:,}", each.order_from, each.order_until, each.late,
             each.duplicates, ago(each.at_ms))
            for each in arrivals[-20:]
        ],
        empty="Nothing has arrived yet. Look: loopline feeds check",
        right=("ARRIVAL", "ROWS", "LATE", "TWICE"),
    )  # fmt: skip


@click.command(epilog=epilog("loopline feeds new taxi taxifare_model"))
@click.argument("name")
@click.argument("model")
@click.option("--output", metavar="FILE", help="Write the rows to a Parquet file.")
@uri
@as_json_option
def new(name: str, model: str, output: str | None, uri: str | None, *, as_json: bool) -> None:
    """Tell how many rows no training behind a model's Production has seen, and which."""
    from loopline.backend.recorder import get_recorder
    from loopline.cli.output import print_json
    from loopline.feeds.seen import lineage_of

    feed = _feed(name, uri)
    rows = feed.new_for(model)
    versions = lineage_of(get_recorder(), model)
    if output:
        from pyarrow import parquet

        parquet.write_table(rows.table, output, compression="zstd")
    if as_json:
        print_json(
            {"feed": name, "model": model, "versions": versions, "rows": rows.rows,
             "name": rows.name, "digest": rows.digest if rows else ""}
        )  # fmt: skip
        return
    whom = f"versions {', '.join(map(str, versions))}" if versions else "no version in Production"
    click.echo(f"{rows.rows:,} rows of {name} are new for {model} ({whom}).")
    if not versions and not _is_registered(model):
        click.echo("No model of this name is registered; see: loopline models list", err=True)
    if output:
        click.echo(f"They are in {output}.")


def _is_registered(model: str) -> bool:
    from loopline.backend.recorder import get_recorder
    from loopline.errors import NotFoundError
    from loopline.records.operations import GetModel

    try:
        get_recorder().call(GetModel(name=model))
    except NotFoundError:
        return False
    return True


@click.command(
    epilog=epilog("loopline feeds check", "loopline feeds check taxi && loopline flows run retrain")
)
@click.argument("names", nargs=-1)
@uri
@as_json_option
def check(names: tuple[str, ...], uri: str | None, *, as_json: bool) -> None:
    """Look for new rows in feeds, in all without a name; automations hear of them.

    Exits with 0 when some are new, with 3 when none are, and with 1 when a feed cannot be right.
    """
    from loopline.backend.recorder import get_recorder, set_tracking_uri
    from loopline.cli.output import print_json, say
    from loopline.errors import LooplineError
    from loopline.records.operations import ListFeeds

    if uri:
        set_tracking_uri(uri)
    wanted = names or tuple(each.name for each in get_recorder().call(ListFeeds()))
    found: list[dict[str, Any]] = []
    for name in wanted:
        try:
            arrival = _feed(name, uri).check()
        except LooplineError as error:
            found.append({"feed": name, "rows": 0, "error": str(error)})
            say(f"Error: {error}")
            continue
        rows = 0 if arrival is None else arrival.rows
        found.append({"feed": name, "rows": rows, "error": ""})
        if not as_json:
            late = f", {arrival.late:,} of them late" if arrival and arrival.late else ""
            click.echo(f"{name}: {rows:,} new rows{late}.")
    if as_json:
        print_json(found)
    if any(each["error"] for each in found):
        raise SystemExit(1)
    if not any(each["rows"] for each in found):
        raise SystemExit(NOTHING_NEW)


@click.command(epilog=epilog("loopline feeds refused taxi"))
@click.argument("name")
@with_backend
@limit
def refused(backend: Backend, *, name: str, limit: int, as_json: bool) -> None:
    """List batches that broke a feed's contract, newest first, and where they are kept."""
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListRefusals

    found = backend.call(ListRefusals(name=name, limit=min(limit, 10_000)))
    if as_json:
        print_json(found)
        return
    print_table(
        ("BATCH", "ROWS", "WHEN", "DATA", "RUN", "WHY"),
        [
            (each.batch, f"{each.rows:,}", ago(each.at_ms), each.content[:12], each.run_id[:8],
             "; ".join(each.problems))
            for each in found
        ],
        empty=f"Nothing was refused of {name}.",
        right=("ROWS",),
    )  # fmt: skip


@click.command(epilog=epilog("loopline feeds delete taxi"))
@click.argument("name")
@with_backend
def delete(backend: Backend, *, name: str, as_json: bool) -> None:
    """Forget a feed and what arrived; its rows stay where they are."""
    from loopline.cli.output import print_json
    from loopline.records.operations import DeleteFeed

    gone = backend.call(DeleteFeed(name=name))
    if as_json:
        print_json(gone)
    else:
        click.echo(f"The feed {name} is forgotten; its {gone.rows:,} rows stay in {_source(gone)}.")


def _source(feed: RegisteredFeed) -> str:
    return f"{feed.spec.source} {feed.spec.table}"


def _told_by(feed: RegisteredFeed) -> str:
    if feed.spec.own:
        return "its own sequence"
    return f"key {', '.join(feed.spec.key)}" if feed.spec.key else feed.spec.ingested_at


def _findings(report: FeedReport) -> list[tuple[str, object]]:
    """Say what is to be known of the rows; what there is not is left out."""
    changes = [f"arrival {n}: {each}" for n, said in report.changes.items() for each in said]
    return [
        ("Late", f"{report.late:,} rows" if report.late else None),
        ("Twice", f"{report.duplicates:,} rows" if report.duplicates else None),
        ("No place", f"{report.without_place:,} rows" if report.without_place else None),
        ("Gone", f"{report.gone:,} rows" if report.gone else None),
        ("Came again", ", ".join(f"arrival {b} is {a}" for b, a in report.repeats)),
        ("Columns", "\n".join(changes)),
        ("Gaps", "\n".join(f"{gap.since} to {gap.until}" for gap in report.gaps[:10])),
        ("Refused", f"{len(report.refused)} batches" if report.refused else None),
    ]


feeds = LazyGroup(
    "feeds",
    help="Look at data that grow, and what of it a model has not seen.",
    table={
        "list": (
            f"{__name__}:list_",
            "List feeds: where their rows come from, and how many there are.",
        ),
        "show": (
            f"{__name__}:show",
            "Show a feed and what is to be known of its rows: late, twice, gone, changed.",
        ),
        "new": (
            f"{__name__}:new",
            "Tell how many rows no training behind a model's Production has seen, and which.",
        ),
        "check": (
            f"{__name__}:check",
            "Look for new rows in feeds, in all without a name; automations hear of them.",
        ),
        "refused": (
            f"{__name__}:refused",
            "List batches that broke a feed's contract, newest first, and where they are kept.",
        ),
        "delete": (
            f"{__name__}:delete",
            "Forget a feed and what arrived; its rows stay where they are.",
        ),
    },
)
