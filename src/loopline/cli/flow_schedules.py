"""``loopline flows schedule``: switching schedules on and off, and seeing when they fire next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, with_backend
from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.flows import FlowVersion

__all__ = ["schedule"]

_flow = click.argument("flow", metavar="PROJECT/FLOW")


@click.command(epilog=epilog('loopline flows schedule on "wagoncab project/taxifare"'))
@_flow
@with_backend
def on(backend: Backend, *, flow: str, as_json: bool) -> None:
    """Switch a flow's schedule on."""
    _switch(backend, flow, active=True, as_json=as_json)


@click.command(epilog=epilog('loopline flows schedule off "wagoncab project/taxifare"'))
@_flow
@with_backend
def off(backend: Backend, *, flow: str, as_json: bool) -> None:
    """Switch a flow's schedule off."""
    _switch(backend, flow, active=False, as_json=as_json)


def _switch(backend: Backend, flow: str, *, active: bool, as_json: bool) -> None:
    from loopline.cli.flows import find_flow
    from loopline.cli.output import print_json
    from loopline.records.operations import SetScheduleActive
    from loopline.rules.timetable_words import describe

    summary = find_flow(backend, flow, whole=True)
    version = backend.call(
        SetScheduleActive(project=summary.project, name=summary.name, active=active)
    )
    if as_json:
        print_json(version)
    elif version.schedule is None:
        click.echo(f"{version.name} has no schedule; it runs only when asked.")
    else:
        click.echo(
            f"The schedule of {version.name} ({describe(version.schedule)}) is "
            f"{'on' if active else 'off'} now."
        )


@click.command(
    epilog=epilog(
        'loopline flows schedule preview "wagoncab project/taxifare"',
        "loopline flows schedule preview taxifare -n 3 --after 2022-03-12T00:00:00-05:00",
    )
)
@_flow
@with_backend
@click.option("-n", "count", default=10, show_default=True, type=click.IntRange(1, 1000))
@click.option("--after", default="", metavar="TIME", help="Later than this, instead of now.")
def preview(backend: Backend, *, flow: str, count: int, after: str, as_json: bool) -> None:
    """Show when a flow fires next, in your time zone and in UTC."""
    from loopline.cli.flows import find_flow
    from loopline.cli.output import print_json, print_table, say
    from loopline.records.operations import GetFlow
    from loopline.rules.timetable import parse_time
    from loopline.rules.timetable_words import describe

    summary = find_flow(backend, flow)
    version = backend.call(GetFlow(project=summary.project, name=summary.name))
    if version.schedule is None:
        msg = f"{version.name} has no schedule. Run it with: loopline flows run {flow!r}"
        raise InvalidInputError(msg)
    times = _times(backend, version, parse_time(after) if after else datetime.now(UTC), count)
    if as_json:
        words = describe(version.schedule)
        print_json({"schedule": words, "active": version.schedule_active, "times": times})
        return
    click.echo(f"{version.project}/{version.name} runs {describe(version.schedule)}.")
    if not version.schedule_active:
        click.echo("It is switched off; these are the times if it was on.")
    print_table(
        ("YOUR TIME", "UTC", "PARAMETERS", "LABELS"),
        [
            (
                f"{parse_time(time['at']).astimezone():%a %Y-%m-%d %H:%M:%S %Z}",
                f"{parse_time(time['at']):%Y-%m-%d %H:%M:%S}",
                ", ".join(f"{name}={value!r}" for name, value in time["parameters"].items()),
                ", ".join(time["labels"] or ()),
            )
            for time in times
        ],
        empty="It has no more times.",
    )
    if version.schedule.own_code:
        names = ", ".join(version.schedule.own_code)
        say(f"These are computed so far; a worker computes more ahead of time, by {names}.")


def _times(
    backend: Backend, version: FlowVersion, after: datetime, count: int
) -> list[dict[str, Any]]:
    """Compute the next times or, where that takes the user's own code, read those made ahead."""
    from loopline.records.flows import StateKind
    from loopline.records.operations import ListFlowRuns
    from loopline.rules.timetable import next_times

    if version.schedule is None:
        return []
    if not version.schedule.own_code:
        return [
            {"at": time.at.isoformat(), "parameters": time.parameters, "labels": time.labels}
            for time in next_times(version.schedule, after, count)
        ]
    page = backend.call(
        ListFlowRuns(
            project=version.project,
            flow_name=version.name,
            states=[StateKind.SCHEDULED],
            max_results=10_000,
        )
    )
    waiting = [
        (datetime.fromtimestamp(run.scheduled_ms / 1000, UTC), run)
        for run in page.flow_runs
        if run.is_automatic
    ]
    return [
        {"at": at.isoformat(), "parameters": run.parameters, "labels": run.labels}
        for at, run in sorted(waiting, key=lambda pair: pair[0])
        if at > after
    ][:count]


schedule = LazyGroup(
    "schedule",
    help="Switch a flow's schedule on or off, and see when it fires next.",
    table={
        "preview": (
            f"{__name__}:preview",
            "Show when a flow fires next, in your time zone and in UTC.",
        ),
        "on": (f"{__name__}:on", "Switch a flow's schedule on."),
        "off": (f"{__name__}:off", "Switch a flow's schedule off."),
    },
)
