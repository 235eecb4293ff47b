"""Commands that change flow runs: retry, run again, pause, resume, rename."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loopline.cli.flow_runs import find_flow_run
from loopline.cli.options import actor, epilog, with_backend
from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.flows import FlowRun

__all__ = ["pause", "rerun", "resume", "retry", "update"]

flow_run_argument = click.argument("flow_run_id")
reason_option = click.option("--reason", default="", help="Why, kept in its history.")
watch_option = click.option("--watch", is_flag=True, help="Show its tasks until it has ended.")


def _newest_event(backend: Backend, run: FlowRun) -> int:
    """Find the position of the newest change of state: what comes after it is news."""
    from loopline.records.operations import ListFlowRunEvents

    newest = ListFlowRunEvents(flow_run_id=run.flow_run_id, limit=1, newest=True)
    return max((event.position for event in backend.call(newest)), default=0)


def _told(
    backend: Backend, run: FlowRun, *, words: str, watch: bool, as_json: bool, told: int = 0
) -> int:
    """Show what came of a change, and go on watching if that is wanted."""
    from loopline.cli.output import print_json
    from loopline.cli.watch import watch_flow_run

    if watch:
        return watch_flow_run(backend, run.flow_run_id, as_json=as_json, after=told)
    if as_json:
        print_json(run)
    else:
        click.echo(f"{run.name or run.flow_run_id} {words}")
    return 0


@click.command(
    epilog=epilog("loopline flow-runs retry 4f1d2c", "loopline flow-runs retry 4f1d2c --watch")
)
@flow_run_argument
@with_backend
@reason_option
@watch_option
def retry(backend: Backend, *, flow_run_id: str, reason: str, watch: bool, as_json: bool) -> int:
    """Go on with a failed or cancelled flow run: what succeeded stays."""
    from loopline.records.operations import RetryFlowRun

    run = find_flow_run(backend, flow_run_id)
    told = _newest_event(backend, run) if watch else 0
    after = backend.call(RetryFlowRun(flow_run_id=run.flow_run_id, reason=reason, actor=actor()))
    words = "waits for a worker, which goes on from its finished tasks."
    return _told(backend, after, words=words, watch=watch, told=told, as_json=as_json)


@click.command(
    epilog=epilog(
        "loopline flow-runs resume 4f1d2c",
        "loopline flow-runs resume 4f1d2c --task approve --reason 'looks good'",
    )
)
@flow_run_argument
@with_backend
@click.option("--task", "tasks", multiple=True, help="Approve only this paused task.")
@reason_option
@watch_option
def resume(
    backend: Backend,
    *,
    flow_run_id: str,
    tasks: tuple[str, ...],
    reason: str,
    watch: bool,
    as_json: bool,
) -> int:
    """Go on with a paused flow run, approving what it waits for, or with a failed one."""
    from loopline.records.operations import ResumeFlowRun

    run = find_flow_run(backend, flow_run_id)
    told = _newest_event(backend, run) if watch else 0
    after = backend.call(
        ResumeFlowRun(flow_run_id=run.flow_run_id, tasks=list(tasks), reason=reason, actor=actor())
    )
    return _told(backend, after, words="goes on.", watch=watch, told=told, as_json=as_json)


@click.command(
    epilog=epilog(
        "loopline flow-runs rerun 4f1d2c --from train_model",
        "loopline flow-runs rerun 4f1d2c --from-scratch",
    )
)
@flow_run_argument
@with_backend
@click.option(
    "--from",
    "from_tasks",
    metavar="TASK",
    multiple=True,
    help="Slug or name of a task: it and all that follows run again. Several times: several.",
)
@click.option("--from-scratch", is_flag=True, help="All tasks run again.")
@reason_option
@watch_option
def rerun(
    backend: Backend,
    *,
    flow_run_id: str,
    from_tasks: tuple[str, ...],
    from_scratch: bool,
    reason: str,
    watch: bool,
    as_json: bool,
) -> int:
    """Run a flow run that has ended again, from a task on or from scratch."""
    from loopline.records.operations import RerunFlowRun

    if from_scratch is bool(from_tasks):
        msg = "Say where to begin: --from TASK (several times for several), or --from-scratch."
        raise click.UsageError(msg)
    run = find_flow_run(backend, flow_run_id)
    told = _newest_event(backend, run) if watch else 0
    after = backend.call(
        RerunFlowRun(
            flow_run_id=run.flow_run_id,
            from_tasks=list(from_tasks),
            reason=reason,
            actor=actor(),
        )
    )
    where = f"from {', '.join(from_tasks)}" if from_tasks else "from scratch"
    words = f"waits for a worker, which runs it again {where}."
    return _told(backend, after, words=words, watch=watch, told=told, as_json=as_json)


@click.command(epilog=epilog("loopline flow-runs pause 4f1d2c --reason 'the source is down'"))
@flow_run_argument
@with_backend
@reason_option
def pause(backend: Backend, *, flow_run_id: str, reason: str, as_json: bool) -> int:
    """Pause a flow run: what runs of it ends, and nothing more of it begins."""
    from loopline.records.flows import StateKind
    from loopline.records.operations import PauseFlowRun

    run = find_flow_run(backend, flow_run_id)
    after = backend.call(PauseFlowRun(flow_run_id=run.flow_run_id, reason=reason, actor=actor()))
    words = "pauses when the tasks that run have ended."
    if after.state is StateKind.PAUSED:
        words = "is paused now."
    return _told(backend, after, words=words, watch=False, as_json=as_json)


@click.command(
    epilog=epilog(
        "loopline flow-runs update 4f1d2c --note 'the strike week' --priority 10",
        "loopline flow-runs update 4f1d2c --label gpu",
    )
)
@flow_run_argument
@with_backend
@click.option("--name", help="What it is called.")
@click.option("--note", help="What there is to say about it.")
@click.option("--priority", type=int, help="-1000 to 1000; the greatest that is due goes first.")
@click.option("--label", "labels", multiple=True, help="What a worker must have to take it.")
@click.option("--no-labels", is_flag=True, help="Any worker may take it.")
def update(
    backend: Backend,
    *,
    flow_run_id: str,
    labels: tuple[str, ...],
    no_labels: bool,
    as_json: bool,
    **changes: str | int | None,
) -> int:
    """Change name, note, priority or labels of a flow run."""
    from loopline.records.operations import UpdateFlowRun

    given: dict[str, Any] = {key: value for key, value in changes.items() if value is not None}
    if labels or no_labels:
        given["labels"] = list(labels)
    if not given:
        msg = "Nothing to change: give --name, --note, --priority, --label or --no-labels."
        raise InvalidInputError(msg)
    run = find_flow_run(backend, flow_run_id)
    after = backend.call(UpdateFlowRun(flow_run_id=run.flow_run_id, **given))
    return _told(backend, after, words="is changed.", watch=False, as_json=as_json)
