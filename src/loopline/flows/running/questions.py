"""Questions to the user's own functions: may a task run, and how shall it end?"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from loopline.flows.context import context
from loopline.flows.running.attempt import explain
from loopline.flows.running.results import Result
from loopline.flows.signals import TRIGGERFAIL, Signal
from loopline.records.flows import StateKind
from loopline.rules.flow_events import TriggerAnswered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.flows.running.memory import Memory
    from loopline.flows.running.report import Report
    from loopline.flows.running.special import Special
    from loopline.flows.task import Task
    from loopline.rules.flow_events import AskHandlers, AskTrigger, Event

__all__ = ["Questions"]


class Questions:
    """Asks triggers and state handlers of one flow run, and remembers what they came to.

    Args:
        tasks: The tasks, by slug.
        values: The run context.
        memory: Knows how the tasks before ended.
        special: Knows the tasks with state handlers.
        report: Told what a function raises.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        values: Mapping[str, Any],
        memory: Memory,
        special: Special,
        report: Report,
    ) -> None:
        self._tasks = tasks
        self._values = values
        self._memory = memory
        self._special = special
        self._report = report

    def ask_trigger(self, command: AskTrigger) -> Event:
        """Ask the user's own trigger."""
        slug, map_index = command.slug, command.map_index
        trigger: Any = self._tasks[slug].trigger
        try:
            with context({**self._values, "resume": command.is_resumed}):
                if trigger(self._memory.upstream_states(slug, map_index)):
                    return TriggerAnswered(slug, map_index)
            message = f"The trigger {_name_of(trigger)} did not let it run."
            result: object = TRIGGERFAIL(message)
            state = StateKind.TRIGGER_FAILED
        except Signal as signal:
            made = signal.state
            state = made.kind
            if not (state.is_finished or state is StateKind.PAUSED):
                state = StateKind.TRIGGER_FAILED
            message = signal.message
            result = made.stored if made.is_successful() else signal
        except Exception as error:  # noqa: BLE001 - the user's code; it is reported
            self._report.line(slug, logging.ERROR, explain(error))
            message = f"The trigger {_name_of(trigger)} raised {error!r}."
            state, result = StateKind.TRIGGER_FAILED, error
        self._memory.remember(slug, map_index, Result(result))
        return TriggerAnswered(slug, map_index, state, message)

    def ask_handlers(self, command: AskHandlers) -> Event:
        """Ask a task's state handlers about a state that it would end in without having run."""
        slug, map_index = command.slug, command.map_index
        if command.state is StateKind.TRIGGER_FAILED:
            self._memory.remember_if_new(slug, map_index, TRIGGERFAIL(command.message))
        event, result = self._special.answer(command, self._memory.result(slug, map_index))
        self._memory.remember(slug, map_index, result)
        return event


def _name_of(trigger: object) -> str:
    return getattr(trigger, "__name__", type(trigger).__name__)
