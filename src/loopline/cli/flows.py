"""``loopline flows``: looking at registered flows, running and scheduling them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import actor, epilog, with_backend
from loopline.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopline.backend.protocol import Backend
    from loopline.records.flows import FlowSummary, ParameterSpec

__all__ = ["flows"]

flow_argument = click.argument("flow", metavar="PROJECT/FLOW")


@click.command(
    "list", epilog=epilog("loopline flows list", "loopline flows list --project wagoncab")
)
@with_backend
@click.option("--project", default="", help="Only flows of this project.")
def list_(backend: Backend, *, as_json: bool, project: str) -> None:
    """List registered flows with their schedules."""
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListFlows
    from loopline.rules.timetable_words import describe

    found = backend.call(ListFlows(project=project))
    if as_json:
        print_json(found)
        return
    print_table(
        ("FLOW", "VERSION", "SCHEDULE", "NEXT", "LAST RUN", "STATE"),
        [
            (
                f"{flow.project}/{flow.name}",
                f"v{flow.version}",
                ("" if flow.schedule_active else "off: ") + describe(flow.schedule)
                if flow.schedule
                else "only when asked",
                ago(flow.next_ms),
                ago(flow.recent[0].scheduled_ms) if flow.recent else "",
                flow.recent[0].state.value if flow.recent else "",
            )
            for flow in found
        ],
        empty='No flows yet. Register one: flow.register("project").',
        right=("VERSION",),
    )


@click.command(epilog=epilog('loopline flows show "wagoncab project/taxifare"'))
@flow_argument
@with_backend
def show(backend: Backend, *, flow: str, as_json: bool) -> None:
    """Show a flow: its schedule, its tasks, its newest runs."""
    from loopline.cli.output import ago, print_facts, print_json, print_table
    from loopline.records.operations import GetFlow
    from loopline.rules.parameters import parameter_words
    from loopline.rules.timetable_words import describe

    summary = find_flow(backend, flow)
    version = backend.call(GetFlow(project=summary.project, name=summary.name))
    if as_json:
        print_json({"flow": version, "recent": summary.recent, "next_ms": summary.next_ms})
        return
    parameters = ", ".join(parameter_words(item) for item in version.graph.parameters)
    print_facts(
        [
            ("Flow", version.name),
            ("Project", version.project),
            ("Version", f"v{version.version}, registered {ago(version.created_ms)}"),
            ("Schedule", describe(version.schedule) if version.schedule else "only when asked"),
            ("Active", "yes" if version.schedule_active else "no, switched off"),
            ("Next run", ago(summary.next_ms)),
            ("Parameters", parameters),
            ("Labels", ", ".join(version.labels)),
            ("Limit", f"{_runs(summary.most_runs)} at a time" if summary.most_runs else ""),
        ]
    )
    click.echo("\nTasks")
    after: dict[str, list[str]] = {}
    for edge in version.graph.edges:
        after.setdefault(edge.downstream, []).append(edge.upstream)
    print_table(
        ("  TASK", "AFTER"),
        [
            (f"  {task.slug}", ", ".join(dict.fromkeys(after.get(task.slug, []))))
            for task in version.graph.tasks
            if task.kind == "task"
        ],
        empty="It has no tasks.",
    )
    click.echo("\nNewest runs")
    print_table(
        ("ID", "NAME", "STATE", "DUE"),
        [
            (run.flow_run_id[:8], run.name, run.state.value, ago(run.scheduled_ms))
            for run in summary.recent
        ],
        empty=f"It has not run yet. Run it with: loopline flows run {flow!r}",
    )


@click.command(epilog=epilog('loopline flows versions "wagoncab project/taxifare"'))
@flow_argument
@with_backend
def versions(backend: Backend, *, flow: str, as_json: bool) -> None:
    """List the versions of a flow, newest first, with what changed."""
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListFlowVersions

    summary = find_flow(backend, flow)
    found = backend.call(ListFlowVersions(project=summary.project, name=summary.name))
    if as_json:
        print_json(found)
        return
    print_table(
        ("VERSION", "REGISTERED", "CHANGES"),
        [
            (f"v{each.version}", ago(each.created_ms), "; ".join(each.changes) or "first version")
            for each in found
        ],
        empty="It has no versions.",
        right=("VERSION",),
    )


@click.command(
    epilog=epilog(
        'loopline flows run "wagoncab project/taxifare"',
        "loopline flows run taxifare --param next_row=68211 --follow",
        "loopline flows run taxifare --label gpu --priority 5 --watch",
    )
)
@flow_argument
@with_backend
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter, read by its type (`loopline flows show`); of none: JSON, or else text.",
)
@click.option("--name", default="", help="A name for the flow run.")
@click.option("--label", "labels", multiple=True, help="What a worker must have to take it.")
@click.option("--priority", default=0, help="-1000 to 1000; the greatest that is due goes first.")
@click.option("--note", default="", help="What there is to say about it.")
@click.option("--key", default="", help="Asking again under the same key makes no second run.")
@click.option("--follow", is_flag=True, help="Show its log until it has finished.")
@click.option("--watch", is_flag=True, help="Show its tasks until it has ended.")
def run(  # noqa: PLR0913 - its options
    backend: Backend,
    *,
    flow: str,
    params: tuple[str, ...],
    name: str,
    labels: tuple[str, ...],
    priority: int,
    note: str,
    key: str,
    follow: bool,
    watch: bool,
    as_json: bool,
) -> int:
    """Ask a worker to run a flow now."""
    from loopline.cli.follow import follow_flow_run
    from loopline.cli.output import print_json, say
    from loopline.cli.watch import watch_flow_run
    from loopline.records.operations import CreateFlowRun, GetFlow

    summary = find_flow(backend, flow, whole=True)
    version = backend.call(GetFlow(flow_version_id=summary.flow_version_id)) if params else None
    asked = backend.call(
        CreateFlowRun(
            project=summary.project,
            name=summary.name,
            parameters=parse_parameters(params, version.graph.parameters if version else ()),
            run_name=name,
            labels=list(labels) or None,
            priority=priority,
            note=note,
            run_key=key,
            actor=actor(),
        )
    )
    if watch:
        return watch_flow_run(backend, asked.flow_run_id, as_json=as_json)
    if as_json:
        print_json(asked)
    else:
        click.echo(f"Flow run {asked.name or asked.flow_run_id} waits for a worker.")
        say(f"Look at it with: loopline flow-runs show {asked.flow_run_id[:8]}")
    return follow_flow_run(backend, asked.flow_run_id) if follow else 0


@click.command(
    epilog=epilog(
        'loopline flows limit "wagoncab project/taxifare" 1', "loopline flows limit taxifare 0"
    )
)
@flow_argument
@click.argument("most", type=click.IntRange(0))
@with_backend
def limit(backend: Backend, *, flow: str, most: int, as_json: bool) -> None:
    """Let at most MOST runs of a flow run at a time; 0: as many as there are slots."""
    from loopline.cli.output import print_json
    from loopline.records.operations import SetFlowLimit

    summary = find_flow(backend, flow, whole=True)
    backend.call(SetFlowLimit(project=summary.project, name=summary.name, most=most))
    if as_json:
        print_json({"project": summary.project, "name": summary.name, "most_runs": most})
    elif most:
        click.echo(f"The limit of {summary.name} is {_runs(most)} at a time.")
    else:
        click.echo(f"Runs of {summary.name} have no limit now.")


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def parse_parameters(given: Iterable[str], specs: Iterable[ParameterSpec] = ()) -> dict[str, Any]:
    """Read ``NAME=VALUE`` pairs, each by its parameter's type; of none: JSON, or else text.

    Raises:
        InvalidInputError: For a pair without a name or ``=``, or a value that does not fit.
    """
    from loopline.rules.parameters import parse_value

    known = {each.name: each for each in specs}
    parameters: dict[str, Any] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            msg = f"{pair!r} is no parameter. Write --param NAME=VALUE."
            raise InvalidInputError(msg)
        parameters[name] = parse_value(known.get(name), text)
    return parameters


def find_flow(backend: Backend, text: str, *, whole: bool = False) -> FlowSummary:
    """Find a flow by ``project/name``, its name, or by a part of that which only one flow has.

    Args:
        backend: Where it is registered.
        text: What the user wrote.
        whole: A part is not enough: the command acts, and must not act on a near miss.

    Raises:
        NotFoundError: There is none; the nearest name is told.
        InvalidInputError: It may mean several.
    """
    from loopline.records.operations import ListFlows

    known = backend.call(ListFlows())
    found = [flow for flow in known if text in {f"{flow.project}/{flow.name}", flow.name}]
    exact = [flow for flow in found if text == f"{flow.project}/{flow.name}"]
    if len(exact or found) == 1:
        return (exact or found)[0]
    # A part of a name is enough when only one flow has it.
    inside = [flow for flow in known if text.lower() in f"{flow.project}/{flow.name}".lower()]
    if not found and len(inside) == 1 and not whole:
        return inside[0]
    found = found or ([] if whole else inside)
    if found:
        names = ", ".join(repr(f"{flow.project}/{flow.name}") for flow in found)
        msg = f"{text!r} may mean several flows. Say which: {names}."
        raise InvalidInputError(msg)
    names_known = [f"{flow.project}/{flow.name}" for flow in known]
    names_known += [flow.name for flow in known]
    hint = "List them with `loopline flows list`."
    if len(inside) == 1:
        hint = f"Did you mean {f'{inside[0].project}/{inside[0].name}'!r}? {hint}"
        names_known = []
    raise NotFoundError.among("flow", text, names_known, hint=hint)


flows = LazyGroup(
    "flows",
    help="Look at registered flows, run and schedule them.",
    table={
        "list": (f"{__name__}:list_", "List registered flows with their schedules."),
        "show": (f"{__name__}:show", "Show a flow: its schedule, its tasks, its newest runs."),
        "versions": (
            f"{__name__}:versions",
            "List the versions of a flow, newest first, with what changed.",
        ),
        "run": (f"{__name__}:run", "Ask a worker to run a flow now."),
        "schedule": (
            "loopline.cli.flow_schedules:schedule",
            "Switch a flow's schedule on or off, and see when it fires next.",
        ),
        "limit": (
            f"{__name__}:limit",
            "Let at most MOST runs of a flow run at a time; 0: as many as there are slots.",
        ),
    },
)
