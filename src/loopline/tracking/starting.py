"""Starting runs, and which experiment they belong to."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

from loopline.backend.context import current_task
from loopline.backend.recorder import get_recorder
from loopline.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.facts import RunStarted
from loopline.records.tracking import Run, RunStatus
from loopline.rules.names import check_experiment_name, check_id
from loopline.tracking.active import active_run, enter, own_run
from loopline.tracking.capture import capture_into
from loopline.tracking.experiments import ExperimentHandle
from loopline.tracking.run import ActiveRun
from loopline.tracking.system_metrics import sample_into
from loopline.tracking.values import tag_texts
from loopline.tracking.words import random_name, user_name
from loopline.tracking.writer import now_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.backend.recorder import Recorder

__all__ = ["experiment_name", "set_experiment", "start_run"]

_experiment: list[str] = []
#: Environment variables that name the run to go on with, for the first run of a process.
RUN_ID = ("LOOPLINE_RUN_ID", "MLFLOW_RUN_ID")


def set_experiment(
    experiment_name: str | None = None, experiment_id: str | None = None
) -> ExperimentHandle:
    """Say which experiment the next runs belong to; a new one is made with its first run.

    Raises:
        InvalidInputError: Not exactly one of name and id was given, or the name cannot be.
        NotFoundError: No experiment has this id.
    """
    if (experiment_name is None) == (experiment_id is None):
        msg = "Give set_experiment either experiment_name or experiment_id."
        raise InvalidInputError(msg)
    if experiment_name is None:
        found = get_recorder().call(ops.GetExperiment(experiment_id=str(experiment_id)))
        experiment_name = found.name
    check_experiment_name(experiment_name)
    _experiment[:] = [experiment_name]
    return ExperimentHandle(experiment_name)


def experiment_name() -> str:
    """Tell the experiment that is set: in code, or by ``MLFLOW_EXPERIMENT_NAME``, or Default."""
    if _experiment:
        return _experiment[0]
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"


def start_run(  # noqa: PLR0913 - MLflow's arguments in MLflow's order
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,  # noqa: FBT001, FBT002 - as MLflow has it
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    log_system_metrics: bool | None = None,  # noqa: FBT001 - as MLflow has it
    *,
    resume: bool | None = None,
) -> ActiveRun:
    """Start a run and make it the active one; best used in a ``with`` statement.

    A new run asks the store nothing, so it starts at once, and even while the store is away.

    Args:
        run_id: Go on with this run; one that is not known begins under this id. Without it, the
            first run of a process goes on with the one that ``LOOPLINE_RUN_ID`` (or
            ``MLFLOW_RUN_ID``) names.
        experiment_id: Where a new run belongs; the experiment set, or ``Default``, when None.
        run_name: Its name; one is made up when None.
        nested: Allow it inside an active run, as a child of that.
        parent_run_id: The run it is a child of; the active one when nested.
        tags: Tags to set on it.
        description: A note, in Markdown.
        log_system_metrics: Whether to sample CPU, memory and the like; the setting when None.
        resume: True: go on where it stopped. With ``run_id`` that run must exist; with
            ``run_name`` it is the newest of this name in the experiment that did not finish, or
            a new one. False: ``run_id`` must be new. Either asks the store.

    Raises:
        InvalidInputError: A run is active here and ``nested`` is false.
        NotFoundError: There is no such experiment; or with ``resume=True``, no such run.
        AlreadyExistsError: With ``resume=False``, there is such a run.
    """
    active = own_run()
    if active is not None and not nested:
        msg = (
            f"Run {active.run_id} is active already. End it with loopline.end_run(), or start "
            "this one inside it with nested=True."
        )
        raise InvalidInputError(msg)
    if run_id is None and active is None:
        run_id = _run_id_of_the_environment()
    if run_id is not None:
        check_id("run id", run_id)
    recorder = get_recorder()
    # An id is looked up, a name is not: a wrong id would leave the run without a home.
    experiment = experiment_name()
    if experiment_id:
        found = recorder.call(ops.GetExperiment(experiment_id=str(experiment_id)))
        experiment = found.name
    known = None
    if resume is not None:
        known = _known_run(recorder, run_id, run_name, experiment, resume=resume)
        run_id = known.run_id if known is not None else run_id
    name = run_name or (random_name() if run_id is None else "")
    texts = tag_texts(tags or {})
    if description:
        texts |= tag_texts({"mlflow.note.content": description})
    if name:
        texts |= {**tag_texts({"mlflow.runName": name}), **texts}
        name = texts["mlflow.runName"]
    parent = active_run() if nested else None
    parent_run_id = parent_run_id or (parent.run_id if parent is not None else None)
    if parent_run_id:
        check_id("run id", parent_run_id)
        texts["mlflow.parentRunId"] = parent_run_id
    user = texts.setdefault("mlflow.user", user_name())
    task = current_task.get()
    run = ActiveRun(
        recorder,
        run_id or uuid.uuid4().hex,
        name=name or (known.name if known is not None else ""),
        experiment_name=known.experiment_name if known is not None else experiment,
        start_ms=now_ms(),
        user=user,
        is_new=run_id is None,
        params=known.params if known is not None else None,
    )
    recorder.record(
        RunStarted(
            run_id=run.run_id,
            experiment=experiment,
            name=name,
            start_ms=run.start_ms,
            user=user,
            parent_run_id=parent_run_id,
            flow_run_id=task.flow_run_id if task else None,
            task_slug=task.task_slug if task else None,
            tags=texts,
            resumed=run_id is not None,
        )
    )
    enter(run)
    if run_id is None:
        capture_into(run, recorder, given=texts)
    sample_into(run, recorder, log_system_metrics=log_system_metrics, is_resumed=run_id is not None)
    return run


def _run_id_of_the_environment() -> str | None:
    """Take the run id that who started this process gave it; it holds for the first run."""
    for name in RUN_ID:
        run_id = os.environ.pop(name, None)
        if run_id:
            return run_id
    return None


def _known_run(
    recorder: Recorder, run_id: str | None, run_name: str | None, experiment: str, *, resume: bool
) -> Run | None:
    """Find the run to go on with; None when a new one is to begin."""
    if run_id is None:
        if not resume:
            return None
        if not run_name:
            msg = "To resume a run, name it: give run_id, or the run_name it was started with."
            raise InvalidInputError(msg)
        return _unfinished(recorder, run_name, experiment)
    try:
        known = recorder.call(ops.GetRun(run_id=run_id))
    except NotFoundError:
        if resume:
            raise
        return None
    if not resume:
        msg = (
            f"There is a run {run_id} already, and resume=False. Leave resume out to go on with "
            "it, or leave run_id out to start a new one."
        )
        raise AlreadyExistsError(msg)
    return known


def _unfinished(recorder: Recorder, run_name: str, experiment: str) -> Run | None:
    """Find the newest run of a name that did not finish, in an experiment that may be new."""
    quoted = run_name.replace("\\", "\\\\").replace("'", "\\'")
    page = recorder.call(
        ops.SearchRuns(
            experiment_names=[experiment],
            filter=f"attributes.run_name = '{quoted}'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
    )
    if page.runs and page.runs[0].status is not RunStatus.FINISHED:
        return page.runs[0]
    return None
