"""Runs in MLflow's protocol: making, reading, searching, ending and removing them."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.base import Lifecycle
from loopline.records.tracking import RunStatus
from loopline.rules.made_up_names import made_up_name
from loopline.server.mlflow.answers import run_answer, run_info
from loopline.server.mlflow.experiments import POST, check_experiment_id, view_of
from loopline.server.mlflow.requests import Call, KeyValue, required
from loopline.server.mlflow.rules import Rule, asks
from loopline.server.mlflow.written_runs import written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.backend.protocol import Backend
    from loopline.records.logged_models import RunModel
    from loopline.records.tracking import Run, RunInput

__all__ = ["RUNS", "run_id_of"]

#: Tags by which MLflow's clients say what other fields say, too.
NAME, PARENT, USER = "mlflow.runName", "mlflow.parentRunId", "mlflow.user"
#: The protocol's numbers of a run's status.
_NUMBERED = {
    "1": RunStatus.RUNNING,
    "2": RunStatus.SCHEDULED,
    "3": RunStatus.FINISHED,
    "4": RunStatus.FAILED,
    "5": RunStatus.KILLED,
}


class CreateRun(Call, frozen=True, kw_only=True):
    """A run that starts."""

    experiment_id: str = ""
    user_id: str = ""
    run_name: str = ""
    start_time: int = 0
    tags: list[KeyValue] = []


class RunId(Call, frozen=True, kw_only=True):
    """A run by its id, which old clients call ``run_uuid``."""

    run_id: str = ""
    run_uuid: str = ""


class UpdateRun(RunId, frozen=True, kw_only=True):
    """A run's new status, end or name."""

    status: str | int = ""
    end_time: int | None = None
    run_name: str = ""


class SearchRuns(Call, frozen=True, kw_only=True):
    """A search for runs."""

    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: str | int = "ACTIVE_ONLY"
    max_results: int = 1000
    order_by: list[str] = []
    page_token: str = ""


def run_id_of(call: RunId) -> str:
    """Get the id, under either name.

    Raises:
        InvalidInputError: There is none.
    """
    return required("run_id", call.run_id or call.run_uuid)


def _create(backend: Backend, call: CreateRun) -> dict[str, Any]:
    tags = {tag.key: tag.value for tag in call.tags}
    name = call.run_name or tags.get(NAME, "")
    if NAME in tags and tags[NAME] != name:
        msg = (
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different "
            f"values (run_name='{name}', mlflow.runName='{tags[NAME]}'). Send one of them."
        )
        raise InvalidInputError(msg)
    experiment_id = check_experiment_id(call.experiment_id or "0")
    experiment = backend.call(ops.GetExperiment(experiment_id=experiment_id))
    if experiment.lifecycle is not Lifecycle.ACTIVE:
        msg = (
            f"The experiment {experiment.experiment_id} must be in the 'active' state. "
            "Current state is deleted."
        )
        raise InvalidInputError(msg)
    run_id = uuid.uuid4().hex
    name = name or made_up_name(run_id)
    started = f.RunStarted(
        run_id=run_id,
        experiment_id=experiment.experiment_id,
        name=name,
        # MLflow takes 0 for 1970, and such runs are the oldest of all: a start is now.
        start_ms=call.start_time or time.time_ns() // 1_000_000,
        user=call.user_id or tags.get(USER, ""),
        parent_run_id=tags.get(PARENT),
        tags={**tags, NAME: name},
    )
    backend.call(ops.RecordFacts(facts=[started]))
    return {"run": run_answer(backend.call(ops.GetRun(run_id=run_id)))}


def _get(backend: Backend, call: RunId) -> dict[str, Any]:
    run_id = run_id_of(call)
    run = backend.call(ops.GetRun(run_id=run_id))
    return {"run": run_answer(run, *_uses(backend, [run]).get(run_id, ()))}


def _uses(
    backend: Backend, runs: Sequence[Run]
) -> dict[str, tuple[Sequence[RunInput], Sequence[RunModel]]]:
    """Ask what some runs read and made."""
    asked = ops.ListRunUses(run_ids=[run.run_id for run in runs])
    return {each.run_id: (each.inputs, each.models) for each in backend.call(asked)}


def _update(backend: Backend, call: UpdateRun) -> dict[str, Any]:
    run = backend.call(ops.GetRun(run_id=run_id_of(call)))
    facts = _changes(run, call)
    if not facts:
        return {"run_info": run_info(run)}
    if run.lifecycle is not Lifecycle.ACTIVE:
        msg = f"The run {run.run_id} must be in the 'active' state. Current state is deleted."
        raise InvalidInputError(msg)
    backend.call(ops.RecordFacts(facts=facts))
    return {"run_info": run_info(backend.call(ops.GetRun(run_id=run.run_id)))}


def _changes(run: Run, call: UpdateRun) -> list[f.Fact]:
    run_id, now_ms = run.run_id, time.time_ns() // 1_000_000
    facts: list[f.Fact] = []
    status = _status(call.status) if call.status else run.status
    if status.is_terminal and (call.status or call.end_time):
        end_ms = call.end_time or now_ms
        facts.append(f.RunEnded(run_id=run_id, status=status, end_ms=end_ms))
    elif call.status:
        facts.append(f.RunStarted(run_id=run_id, start_ms=now_ms, resumed=True, status=status))
    if call.run_name:
        facts.append(f.TagsSet(run_id=run_id, tags={NAME: call.run_name}))
    return facts


def _status(given: str | int) -> RunStatus:
    text = str(given)
    try:
        return _NUMBERED.get(text) or RunStatus(text.upper())
    except ValueError:
        known = ", ".join(RunStatus)
        msg = f"Invalid value {text[:80]} for parameter 'status' supplied: use one of {known}."
        raise InvalidInputError(msg) from None


def _delete(backend: Backend, call: RunId) -> dict[str, Any]:
    backend.call(ops.DeleteRun(run_id=run_id_of(call)))
    return {}


def _restore(backend: Backend, call: RunId) -> dict[str, Any]:
    backend.call(ops.RestoreRun(run_id=run_id_of(call)))
    return {}


def _search(backend: Backend, call: SearchRuns) -> dict[str, Any]:
    if not call.experiment_ids:  # MLflow finds nothing nowhere; ours would look everywhere.
        return {}
    page = backend.call(
        ops.SearchRuns(
            experiment_ids=[check_experiment_id(each) for each in call.experiment_ids],
            filter=call.filter,
            order_by=call.order_by,
            max_results=call.max_results,
            page_token=call.page_token,
            lifecycle=view_of(call.run_view_type),
            with_uses=True,
        )
    )
    uses = {each.run_id: (each.inputs, each.models) for each in page.uses}
    return {
        "runs": written(page.runs, uses),
        "next_page_token": page.next_page_token,
    }


RUNS: list[Rule] = [
    asks("runs/create", CreateRun, _create, methods=POST),
    asks("runs/get", RunId, _get),
    asks("runs/update", UpdateRun, _update, methods=POST),
    asks("runs/delete", RunId, _delete, methods=POST),
    asks("runs/restore", RunId, _restore, methods=POST),
    asks("runs/search", SearchRuns, _search, methods=POST, permission="view"),
]
