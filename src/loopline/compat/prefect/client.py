"""``prefect.Client``: the calls that programs make, carried out here.

There is no GraphQL: what asks by it is refused with the way to ask here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from loopline.backend.recorder import get_recorder
from loopline.compat.prefect.refusals import GRAPHQL
from loopline.errors import UnsupportedError
from loopline.flows.context import run_values
from loopline.flows.secrets import Secret
from loopline.flows.states import State, make_state
from loopline.records.flow_operations import UpdateFlowRun
from loopline.records.operations import (
    CancelFlowRun,
    CreateFlowRun,
    CreateProject,
    DeleteProject,
    GetFlowRun,
    ListTaskRuns,
    SetSecret,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from loopline.flows.flow import Flow

__all__ = ["Client", "FlowRunInfoResult", "Secret", "TaskRunInfoResult"]


class TaskRunInfoResult(NamedTuple):
    """A task run."""

    id: str
    task_slug: str
    map_index: int
    state: State


class FlowRunInfoResult(NamedTuple):
    """A flow run with its task runs."""

    id: str
    name: str
    flow_id: str
    project: str
    parameters: dict[str, Any]
    state: State
    task_runs: list[TaskRunInfoResult]


class Client:
    """Calls the store or server that Loopline uses here (``LOOPLINE_URI``).

    Args:
        *args: Taken for Prefect's sake: address and key come from the environment.
        **kwargs: Likewise.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._backend = get_recorder().backend

    def create_project(self, project_name: str, project_description: str | None = None) -> str:
        """Make a project; return its name, which is its id here.

        Raises:
            ConflictError: There is one of this name.
        """
        self._backend.call(CreateProject(name=project_name, description=project_description or ""))
        return project_name

    def delete_project(self, project_name: str) -> bool:
        """Delete a project that has no flows.

        Raises:
            NotFoundError: There is none.
            ConflictError: It has flows.
        """
        self._backend.call(DeleteProject(name=project_name))
        return True

    def register(self, flow: Flow, project_name: str | None = None, **options: Any) -> str:
        """Register a flow; see ``flow.register``."""
        options.pop("compressed", None)
        return flow.register(project_name, **options)

    def create_flow_run(
        self,
        flow_id: str | None = None,
        context: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        run_config: object = None,
        labels: Iterable[str] | None = None,
        scheduled_start_time: datetime | None = None,
        idempotency_key: str | None = None,
        run_name: str | None = None,
        version_group_id: str | None = None,
    ) -> str:
        """Ask for a run of a registered flow; return its id.

        Raises:
            UnsupportedError: Something is given that cannot be done here.
            NotFoundError: There is no such flow.
        """
        for name, value in (
            ("context", context), ("run_config", run_config), ("version_group_id", version_group_id)
        ):  # fmt: skip
            if value:
                msg = f"{name} cannot be given to a single run. Give parameters or labels."
                raise UnsupportedError(msg)
        due = time.time() if scheduled_start_time is None else scheduled_start_time.timestamp()
        run = self._backend.call(
            CreateFlowRun(
                flow_version_id=flow_id or "",
                parameters=dict(parameters or {}),
                scheduled_ms=int(due * 1000),
                run_name=run_name or "",
                labels=None if labels is None else sorted(labels),
                # Not a command's key, which is forgotten after a while: the same run for ever.
                run_key=idempotency_key or "",
                parent=run_values.get().get("flow_run_id", ""),
            )
        )
        return run.flow_run_id

    def cancel_flow_run(self, flow_run_id: str) -> bool:
        """Ask a flow run to stop."""
        self._backend.call(CancelFlowRun(flow_run_id=flow_run_id))
        return True

    def set_flow_run_name(self, flow_run_id: str, name: str) -> bool:
        """Call a flow run something else."""
        self._backend.call(UpdateFlowRun(flow_run_id=flow_run_id, name=name))
        return True

    def get_flow_run_state(self, flow_run_id: str) -> State:
        """Tell where a flow run stands."""
        run = self._backend.call(GetFlowRun(flow_run_id=flow_run_id))
        return make_state(run.state, run.message)

    def get_flow_run_info(self, flow_run_id: str) -> FlowRunInfoResult:
        """Tell of a flow run and its task runs."""
        run = self._backend.call(GetFlowRun(flow_run_id=flow_run_id))
        tasks = [
            TaskRunInfoResult(
                f"{flow_run_id}/{each.task_slug}/{each.map_index}",
                each.task_slug,
                each.map_index,
                make_state(each.state, each.message),
            )
            for each in self._backend.call(ListTaskRuns(flow_run_id=flow_run_id))
        ]
        return FlowRunInfoResult(
            run.flow_run_id,
            run.name,
            run.flow_version_id,
            run.project,
            dict(run.parameters),
            make_state(run.state, run.message),
            tasks,
        )

    def set_secret(self, name: str, value: Any) -> None:
        """Keep a secret, sealed, for ``Secret(name).get()``."""
        self._backend.call(SetSecret(name=name, value=str(value)))

    def graphql(self, query: object, **_: object) -> NoReturn:
        """Refuse.

        Raises:
            UnsupportedError: Always; the message says how to ask here.
        """
        raise UnsupportedError(GRAPHQL)
