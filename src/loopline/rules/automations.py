"""Automations as rules: what can be one, what an event fits, and what is filled in from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.automations import Action, EventKind
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from loopline.records.automations import Then, When

__all__ = ["Happening", "check_automation", "fill_in", "fits", "sets_itself_off"]

_OF_FLOWS = frozenset({EventKind.FLOW_RUN, EventKind.TASK, EventKind.LATE})
_OF_STATES = frozenset({EventKind.FLOW_RUN, EventKind.TASK})
_NEEDS_FLOW_RUN = frozenset({Action.CANCEL})
_FIELD = re.compile(r"\{([a-z_]+)\}")
MOST_LATE_S = 365 * 86_400.0


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened.

    Attributes:
        key: Tells it from all others.
        depth: How many automations led to it.
    """

    event: EventKind
    key: str
    subject: str
    at_ms: int
    depth: int = 0
    project: str = ""
    flow: str = ""
    flow_run_id: str = ""
    state: str = ""
    task: str = ""
    message: str = ""
    model: str = ""
    version: int = 0
    stage: str = ""
    feed: str = ""
    rows: int = 0


def check_automation(project: str, when: When, then: Then) -> None:
    """Check that an automation can do what it says.

    Raises:
        InvalidInputError: It cannot.
    """
    known = {state.value for state in StateKind}
    for state in when.states:
        if state not in known:
            raise InvalidInputError(
                str(NotFoundError.among("state", state, sorted(known), hint="Such as Failed."))
            )
    if not 0 <= when.late_s <= MOST_LATE_S:
        msg = "late_s lies between 0 and a year."
        raise InvalidInputError(msg)
    of_flows = when.event in _OF_FLOWS
    if then.action in _NEEDS_FLOW_RUN and not of_flows:
        msg = "Only what happens to a flow run or task says which flow run to cancel."
        raise InvalidInputError(msg)
    if then.action in {Action.RUN, Action.PAUSE_SCHEDULE} and not (then.flow or of_flows):
        msg = "Say which flow: what happens to a model or a feed has none of its own."
        raise InvalidInputError(msg)
    if then.action is Action.RUN and when.event in _OF_STATES and not when.states:
        # Each state of a run would start another, whose states start more: thousands in a minute.
        msg = "Say which state starts a run, such as Failed: every run enters several."
        raise InvalidInputError(msg)
    if then.action is Action.WEBHOOK and not then.webhook:
        msg = "Say which webhook to tell; `loopline webhooks list` shows them."
        raise InvalidInputError(msg)
    if project:
        for where in (when.project, then.project):
            if where not in {"", project}:
                msg = f"An automation of project {project!r} is about that project alone."
                raise InvalidInputError(msg)
        if then.action is Action.WEBHOOK:
            msg = "Webhooks are about everything: make the automation without a project."
            raise InvalidInputError(msg)


def fits(project: str, when: When, happening: Happening) -> bool:
    """Tell whether an event is one that an automation waits for."""
    if when.event is not happening.event:
        return False
    if when.event is EventKind.NEW_DATA:
        return when.feed in {"", happening.feed}
    if when.event not in _OF_FLOWS:
        return when.model in {"", happening.model} and when.stage in {"", happening.stage}
    name = happening.task.rpartition("-")[0]
    return (
        (not when.states or happening.state in when.states)
        and (when.project or project) in {"", happening.project}
        and when.flow in {"", happening.flow}
        and when.task in {"", happening.task, name}
    )


def sets_itself_off(project: str, when: When, then: Then) -> bool:
    """Tell whether the run that an automation starts may be what it waits for."""
    if then.action is not Action.RUN or when.event not in _OF_STATES:
        return False
    elsewhere = {when.project or project, then.project or project}
    return (not when.flow or then.flow in {"", when.flow}) and (
        len(elsewhere) == 1 or "" in elsewhere
    )


def fill_in(value: Any, happening: Happening) -> Any:  # noqa: ANN401 - plain data
    """Put what is known of an event where a value names it; other text stays as it is."""
    if isinstance(value, str):
        whole = _FIELD.fullmatch(value)
        if whole and whole[1] in _FIELDS:
            return getattr(happening, whole[1])
        return _FIELD.sub(
            lambda found: str(getattr(happening, found[1])) if found[1] in _FIELDS else found[0],
            value,
        )
    if isinstance(value, list):
        return [fill_in(item, happening) for item in value]
    if isinstance(value, dict):
        return {key: fill_in(item, happening) for key, item in value.items()}
    return value


_FIELDS = frozenset(Happening.__struct_fields__) - {"event", "key", "subject", "depth"}
