"""Events that flows are run by, beside schedules and people.

from loopline.flows.events import on_model_version

with Flow("score", triggers=[on_model_version("taxifare", version="version")]) as flow:
score(Parameter("version"))
flow.register("wagoncab project")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.records.automations import EventKind, FlowTrigger, When

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["on_flow_run", "on_model_version", "on_stage"]


def on_model_version(
    model: str, *, version: str = "", parameters: dict[str, Any] | None = None
) -> FlowTrigger:
    """Run the flow when a version of a registered model is made.

    Args:
        model: Its name.
        version: Name of the parameter that gets the version's number.
        parameters: Others; ``"{model}"``, ``"{version}"`` and the like stand for the event's own.
    """
    when = When(event=EventKind.MODEL_VERSION, model=model)
    return FlowTrigger(when=when, parameters=_with_version(version, parameters))


def on_stage(
    model: str, stage: str, *, version: str = "", parameters: dict[str, Any] | None = None
) -> FlowTrigger:
    """Run the flow when a version of a registered model is moved to a stage.

    Args:
        model: Its name.
        stage: Such as ``"Production"``.
        version: Name of the parameter that gets the version's number.
        parameters: Others, as of ``on_model_version``.
    """
    when = When(event=EventKind.STAGE, model=model, stage=stage)
    return FlowTrigger(when=when, parameters=_with_version(version, parameters))


def on_flow_run(
    flow: str,
    states: Iterable[str] = ("Success",),
    *,
    parameters: dict[str, Any] | None = None,
) -> FlowTrigger:
    """Run the flow when a run of another flow of its project enters a state.

    Args:
        flow: Name of the other flow.
        states: Such as ``["Failed", "TimedOut"]``.
        parameters: ``"{flow_run_id}"``, ``"{state}"`` and the like stand for the event's own.
    """
    when = When(event=EventKind.FLOW_RUN, flow=flow, states=list(states))
    return FlowTrigger(when=when, parameters=parameters or {})


def _with_version(name: str, parameters: dict[str, Any] | None) -> dict[str, Any]:
    return {**(parameters or {}), **({name: "{version}"} if name else {})}
