"""Automations: what is done by itself when something happens, and the operations on them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from loopline.records.base import Record
from loopline.records.operation import Operation

__all__ = [
    "Action",
    "Automation",
    "CreateAutomation",
    "DeleteAutomation",
    "EventKind",
    "Firing",
    "FiringStatus",
    "FlowTrigger",
    "ListAutomations",
    "ListFirings",
    "SetAutomationActive",
    "Then",
    "When",
]


class EventKind(StrEnum):
    """What may happen."""

    FLOW_RUN = "flow_run"
    TASK = "task"
    LATE = "late"
    MODEL_VERSION = "model_version"
    STAGE = "stage"
    NEW_DATA = "feed.new_data"


class Action(StrEnum):
    """What may be done."""

    RUN = "run"
    CANCEL = "cancel"
    PAUSE_SCHEDULE = "pause_schedule"
    WEBHOOK = "webhook"
    LOG = "log"


class FiringStatus(StrEnum):
    """How it went: done, failed with a reason, or held back because it went round too often."""

    DONE = "done"
    FAILED = "failed"
    HELD_BACK = "held back"


class When(Record, frozen=True, kw_only=True):
    """What an automation waits for; an empty field stands for any.

    Attributes:
        event: A flow run or task enters a state, a flow run is late, a model version is made,
            a version is moved to a stage, or a feed has new rows.
        states: Of a flow run or task, such as ``["Failed"]``.
        flow: Name of the flow.
        task: Slug or name of the task.
        late_s: A flow run is late when nobody has taken it for so many seconds since it was due.
        model: Name of the model.
        stage: The stage a version is moved to.
        feed: Name of the feed.
    """

    event: EventKind
    states: list[str] = []
    project: str = ""
    flow: str = ""
    task: str = ""
    late_s: float = 60.0
    model: str = ""
    stage: str = ""
    feed: str = ""


class Then(Record, frozen=True, kw_only=True):
    """What an automation does.

    Attributes:
        action: Run a flow, cancel the flow run of the event, pause a flow's schedule, tell a
            webhook, or write into the flow run's log.
        project: Of the flow; empty: of the event's.
        flow: Which flow to run or to pause; empty: the event's.
        parameters: Of the run. ``"{version}"`` stands for the event's own value; there are
            ``flow_run_id``, ``flow``, ``project``, ``state``, ``task``, ``message``, ``model``,
            ``version``, ``stage``, ``feed`` and ``rows``.
        webhook: Name or id of the webhook.
        message: For the log, with the same names.
    """

    action: Action
    project: str = ""
    flow: str = ""
    parameters: dict[str, Any] = {}
    webhook: str = ""
    message: str = ""


class FlowTrigger(Record, frozen=True, kw_only=True):
    """What a registered flow is run by; ``parameters`` as of ``Then``."""

    when: When
    parameters: dict[str, Any] = {}


class Automation(Record, frozen=True, kw_only=True):
    """What is done by itself when something happens.

    Attributes:
        project: It is about this project alone; empty: about everything.
        of_flow: The flow that was registered with it; empty: somebody made it by hand.
        fired: How often it did something.
        held_back: How often it did not, as automations went round in a circle or it did too much.
    """

    automation_id: str
    name: str
    project: str = ""
    of_flow: str = ""
    when: When
    then: Then
    is_active: bool = True
    created_ms: int = 0
    fired: int = 0
    held_back: int = 0


class Firing(Record, frozen=True, kw_only=True):
    """One time that an automation had something to do.

    Attributes:
        subject: To what it happened, such as ``"flow-run/4f1d…"`` or ``"version/taxifare/3"``.
        flow_run_id: The run that it made.
    """

    automation_id: str
    at_ms: int
    status: FiringStatus
    subject: str
    detail: str = ""
    flow_run_id: str = ""


class CreateAutomation(Operation[Automation], frozen=True, kw_only=True):
    """Do something by itself from now on.

    Attributes:
        project: With one it hears of flows of that project alone, and acts on them alone.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    project: str = ""
    when: When
    then: Then


class SetAutomationActive(Operation[Automation], frozen=True, kw_only=True):
    """Switch an automation on or off; what happens while it is off is not made up for."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    automation_id: str
    active: bool


class DeleteAutomation(Operation[Automation], frozen=True, kw_only=True):
    """Do it no more, and forget what it did."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    automation_id: str


class ListAutomations(Operation[list[Automation]], frozen=True, kw_only=True):
    """List automations by name."""


class ListFirings(Operation[list[Firing]], frozen=True, kw_only=True):
    """List what an automation did, newest first."""

    automation_id: str
    limit: int = 100
