"""``loopline automations``: what is done by itself when something happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, with_backend
from loopline.errors import NotFoundError

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.automations import Automation, Then, When

__all__ = ["automations"]

EVENTS = ("flow_run", "task", "late", "model_version", "stage", "feed.new_data")
ACTIONS = ("run", "cancel", "pause_schedule", "webhook", "log")

automation_argument = click.argument("automation", metavar="NAME")


@click.command("list", epilog=epilog("loopline automations list"))
@with_backend
def list_(backend: Backend, *, as_json: bool) -> None:
    """List automations: when they do something, and what."""
    from loopline.cli.output import print_json, print_table
    from loopline.records.operations import ListAutomations

    found = backend.call(ListAutomations())
    if as_json:
        print_json(found)
        return
    print_table(
        ("NAME", "PROJECT", "WHEN", "THEN", "FIRED", "HELD BACK", "ACTIVE"),
        [
            (each.name, each.project, when_words(each.when), then_words(each.then), each.fired,
             each.held_back or "", "yes" if each.is_active else "no")
            for each in found
        ],
        empty="No automations yet. `loopline automations create --help` shows examples.",
        right=("FIRED", "HELD BACK"),
    )  # fmt: skip


@click.command(
    epilog=epilog(
        "loopline automations create mend --when flow_run --state Failed --then run --flow mend",
        "loopline automations create page --when late --late 600 --then webhook --webhook pager",
        "loopline automations create score --when stage --model taxifare --stage Production "
        "--then run --flow score --param version={version}",
        "loopline automations create stop --when task --task extract --state Failed --then cancel",
    )
)
@click.argument("name")
@with_backend
@click.option("--when", "event", type=click.Choice(EVENTS), required=True, help="What happens.")
@click.option("--of-flow", default="", help="A run or task of this flow; without: of any.")
@click.option("--state", "states", multiple=True, help="It enters this state, such as Failed.")
@click.option("--task", default="", help="Slug or name of the task.")
@click.option("--late", "late_s", default=60.0, help="Seconds since it was due.")
@click.option("--model", default="", help="The registered model; without: any.")
@click.option("--stage", default="", help="The stage a version is moved to; without: any.")
@click.option("--feed", default="", help="The feed with new rows; without: any.")
@click.option("--then", "action", type=click.Choice(ACTIONS), required=True, help="What is done.")
@click.option("--flow", default="", help="The flow to run or pause; without: the event's own.")
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the run; {version}, {flow_run_id} and the like are the event's own.",
)
@click.option("--webhook", default="", help="Name of the webhook to tell.")
@click.option("--message", default="", help="What to write into the log, or to tell.")
@click.option("--project", default="", help="It is about this project alone.")
def create(  # noqa: PLR0913 - its options
    backend: Backend,
    *,
    name: str,
    event: str,
    of_flow: str,
    states: tuple[str, ...],
    task: str,
    late_s: float,
    model: str,
    stage: str,
    feed: str,
    action: str,
    flow: str,
    params: tuple[str, ...],
    webhook: str,
    message: str,
    project: str,
    as_json: bool,
) -> None:
    """Do something by itself from now on: when this happens, then that is done."""
    from loopline.cli.flows import parse_parameters
    from loopline.cli.output import print_json
    from loopline.records.automations import Action, CreateAutomation, EventKind, Then, When
    from loopline.rules.automations import sets_itself_off

    when = When(
        event=EventKind(event),
        states=list(states),
        flow=of_flow,
        task=task,
        late_s=late_s,
        model=model,
        stage=stage,
        feed=feed,
    )
    then = Then(
        action=Action(action),
        flow=flow,
        parameters=parse_parameters(params),
        webhook=webhook,
        message=message,
    )
    made = backend.call(CreateAutomation(name=name, project=project, when=when, then=then))
    if as_json:
        print_json(made)
    else:
        click.echo(f"{name}: when {when_words(when)}, then {then_words(then)}.")
        if sets_itself_off(project, when, then):
            click.echo(
                "It may set itself off: after ten in a row it is held back, as "
                f"`loopline automations firings {name}` then says.",
                err=True,
            )


@click.command(epilog=epilog("loopline automations firings mend"))
@automation_argument
@with_backend
def firings(backend: Backend, *, automation: str, as_json: bool) -> None:
    """List what an automation did, newest first, and what kept it from doing more."""
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListFirings

    found = backend.call(ListFirings(automation_id=_find(backend, automation).automation_id))
    if as_json:
        print_json(found)
        return
    print_table(
        ("WHEN", "STATUS", "OF", "WHAT", "RUN"),
        [
            (ago(each.at_ms), each.status, each.subject, each.detail, each.flow_run_id[:8])
            for each in found
        ],
        empty="Nothing has happened yet that it waits for.",
    )


@click.command(epilog=epilog("loopline automations switch off mend"))
@click.argument("switch", type=click.Choice(["on", "off"]))
@automation_argument
@with_backend
def switch(backend: Backend, *, switch: str, automation: str, as_json: bool) -> None:
    """Switch an automation on or off; what happens while it is off is not made up for."""
    from loopline.cli.output import print_json
    from loopline.records.operations import SetAutomationActive

    found = _find(backend, automation)
    after = backend.call(
        SetAutomationActive(automation_id=found.automation_id, active=switch == "on")
    )
    if as_json:
        print_json(after)
    else:
        click.echo(f"{after.name} is {switch} now.")


@click.command(epilog=epilog("loopline automations delete mend"))
@automation_argument
@with_backend
def delete(backend: Backend, *, automation: str, as_json: bool) -> None:
    """Do it no more, and forget what it did."""
    from loopline.cli.output import print_json
    from loopline.records.operations import DeleteAutomation

    found = _find(backend, automation)
    gone = backend.call(DeleteAutomation(automation_id=found.automation_id))
    if as_json:
        print_json(gone)
    else:
        click.echo(f"{gone.name} is gone.")


def _find(backend: Backend, name: str) -> Automation:
    from loopline.records.operations import ListAutomations

    known = backend.call(ListAutomations())
    for each in known:
        if name in {each.name, each.automation_id}:
            return each
    raise NotFoundError.among(
        "automation",
        name,
        [each.name for each in known],
        hint="List them with `loopline automations list`.",
    )


def when_words(when: When) -> str:
    """Say what an automation waits for."""
    model = f"of {when.model}" if when.model else "of any model"
    of_flow = f"of {when.flow}" if when.flow else "of any flow"
    enters = f"enters {' or '.join(when.states)}" if when.states else "changes its state"
    return {
        "flow_run": f"a run {of_flow} {enters}",
        "task": f"the task {when.task or '(any)'} {of_flow} {enters}",
        "late": f"a run {of_flow} is {when.late_s:g} s late",
        "model_version": f"a version {model} is made",
        "stage": f"a version {model} is moved to {when.stage or 'a stage'}",
        "feed.new_data": f"the feed {when.feed or '(any)'} has new rows",
    }[when.event.value]


def then_words(then: Then) -> str:
    """Say what an automation does."""
    flow = f"{then.project}/{then.flow}" if then.project else then.flow or "the flow"
    given = ", ".join(f"{name}={value}" for name, value in then.parameters.items())
    return {
        "run": f"run {flow}{f' with {given}' if given else ''}",
        "cancel": "cancel the run",
        "pause_schedule": f"switch the schedule of {flow} off",
        "webhook": f"tell {then.webhook}",
        "log": "write into the log",
    }[then.action.value]


automations = LazyGroup(
    "automations",
    help="Do things by themselves when something happens.",
    table={
        "list": (f"{__name__}:list_", "List automations: when they do something, and what."),
        "create": (
            f"{__name__}:create",
            "Do something by itself from now on: when this happens, then that is done.",
        ),
        "firings": (
            f"{__name__}:firings",
            "List what an automation did, newest first, and what kept it from doing more.",
        ),
        "switch": (
            f"{__name__}:switch",
            "Switch an automation on or off; what happens while it is off is not made up for.",
        ),
        "delete": (f"{__name__}:delete", "Do it no more, and forget what it did."),
    },
)
