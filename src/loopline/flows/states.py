"""States as a user sees them: what ``flow.run()`` returns and a trigger is asked about.

The tree is Prefect 1's::

    State
    ├── Pending
    │   └── Scheduled
    │       ├── Paused      waits for somebody
    │       ├── Resume      was paused, and goes on
    │       └── Retrying
    ├── Submitted, Queued, ClientFailed     about another state
    ├── Running
    │   └── Cancelling
    └── Finished
        ├── Success
        │   ├── Cached
        │   ├── Mapped
        │   └── Skipped
        ├── Failed
        │   ├── TimedOut
        │   ├── TriggerFailed
        │   └── ValidationFailed
        ├── Cancelled
        └── Looped

Longer than 500 lines because it is one tree, whose classes are read beside each other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from loopline.flows.running.results import Result
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Cached",
    "Cancelled",
    "Cancelling",
    "ClientFailed",
    "Failed",
    "Finished",
    "Looped",
    "Mapped",
    "Paused",
    "Pending",
    "Queued",
    "Resume",
    "Retrying",
    "Running",
    "Scheduled",
    "Skipped",
    "State",
    "Submitted",
    "Success",
    "TimedOut",
    "TriggerFailed",
    "ValidationFailed",
    "make_state",
]


class State:
    """Where a flow run or a task run stands, and what came of it.

    Args:
        message: Why it is in this state, in words.
        result: The task's value, the exception of a failed one; of a flow run: task → state.
        context: What is known about it beside that, as plain data.
        cached_inputs: Inputs of the task by name, for validators of one's own.
    """

    kind: ClassVar[StateKind] = StateKind.PENDING
    #: For pictures and messages.
    color: ClassVar[str] = "#696969"
    #: Of a mapped task: the states of its children, in order.
    map_states: Sequence[State] = ()

    def __init__(
        self,
        message: str | None = None,
        result: object = None,
        context: Mapping[str, Any] | None = None,
        cached_inputs: Mapping[str, Any] | None = None,
    ) -> None:
        self.message = message or ""
        self._result = result
        if context:
            self.context = dict(context)
        if cached_inputs:
            self.cached_inputs = dict(cached_inputs)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - one of two dicts
        # Made when somebody asks: the engine makes several states for each task.
        if name in {"context", "cached_inputs"}:
            made: dict[str, Any] = {}
            vars(self)[name] = made
            return made
        msg = f"{type(self).__name__} has no {name!r}."
        raise AttributeError(msg)

    @property
    def result(self) -> Any:  # noqa: ANN401 - whatever the task returned
        """The task's value, the exception of a failed one; of a flow run: task → state.

        A result of an earlier worker is read from the blob store when first asked for.
        """
        return self._result.value if isinstance(self._result, Result) else self._result

    @result.setter
    def result(self, value: object) -> None:
        self._result = value

    @property
    def stored(self) -> object:
        """The result as it is held, perhaps not yet read."""
        return self._result

    def load_result(self, result: object = None) -> Self:
        """Read the result from where it is kept, or take the one given; return this state."""
        if result is not None:
            self._result = result
        _ = self.result
        return self

    def load_cached_results(self, results: Mapping[str, Any] | None = None) -> Self:
        """Take the inputs of the task; return this state."""
        self.cached_inputs = dict(results or {})
        return self

    # --- the tree ----------------------------------------------------------------------------

    @classmethod
    def children(cls, include_self: bool = False, names_only: bool = False) -> list[Any]:  # noqa: FBT001, FBT002 - Prefect 1's signature
        """List the kinds of state that are a more special form of this one."""
        found = [cls] if include_self else []
        for child in cls.__subclasses__():
            if not child.__name__.startswith("_"):
                found.append(child)
            found += child.children()
        return [each.__name__ for each in found] if names_only else found

    @classmethod
    def parents(cls, include_self: bool = False, names_only: bool = False) -> list[Any]:  # noqa: FBT001, FBT002 - Prefect 1's signature
        """List the kinds of state that this one is a special form of."""
        found = [
            each
            for each in cls.mro()
            if issubclass(each, State) and not each.__name__.startswith("_")
        ]
        found = found if include_self else found[1:]
        return [each.__name__ for each in found] if names_only else found

    def is_pending(self) -> bool:
        """Whether it has not started, or waits to start again."""
        return isinstance(self, Pending)

    def is_scheduled(self) -> bool:
        """Whether it waits for a time, or for somebody."""
        return isinstance(self, Scheduled)

    def is_queued(self) -> bool:
        """Whether it waits for others to leave it a place."""
        return isinstance(self, Queued)

    def is_submitted(self) -> bool:
        """Whether it waits for a free worker."""
        return isinstance(self, Submitted)

    def is_meta_state(self) -> bool:
        """Whether it tells about another state."""
        return isinstance(self, _MetaState)

    def is_running(self) -> bool:
        """Whether it is running now."""
        return isinstance(self, Running)

    def is_retrying(self) -> bool:
        """Whether it failed and will be tried again."""
        return isinstance(self, Retrying)

    def is_looped(self) -> bool:
        """Whether a round ended, and another follows."""
        return isinstance(self, Looped)

    def is_finished(self) -> bool:
        """Whether an attempt ended for good."""
        return isinstance(self, Finished)

    def is_successful(self) -> bool:
        """Whether it ended well; a skipped task did."""
        return isinstance(self, Success)

    def is_failed(self) -> bool:
        """Whether it ended badly; a cancelled task did not fail."""
        return isinstance(self, Failed)

    def is_skipped(self) -> bool:
        """Whether it was skipped."""
        return isinstance(self, Skipped)

    def is_mapped(self) -> bool:
        """Whether it stands for the children of a mapped task."""
        return isinstance(self, Mapped)

    def is_cached(self) -> bool:
        """Whether an earlier result was used again."""
        return isinstance(self, Cached)

    def is_cancelled(self) -> bool:
        """Whether somebody stopped it."""
        return isinstance(self, Cancelled)

    # --- as data -----------------------------------------------------------------------------

    def serialize(self) -> dict[str, Any]:
        """Write it as plain data, which JSON can hold; a result that JSON cannot is left out."""
        from loopline.flows.running.state_data import write_state

        return write_state(self)

    @staticmethod
    def deserialize(json_blob: Mapping[str, Any] | str) -> State:
        """Read what ``serialize`` wrote, as data or as JSON text; nothing in it is executed.

        Raises:
            InvalidInputError: It is no state.
        """
        from loopline.flows.running.state_data import read_state

        return read_state(json_blob)

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name}: {self.message!r}>" if self.message else f"<{name}>"

    def __eq__(self, other: object) -> bool:
        """Same kind of state with the same result; messages do not count."""
        if not isinstance(other, State):
            return NotImplemented
        return type(self) is type(other) and bool(self.result == other.result)

    def __hash__(self) -> int:
        return id(self)


class Pending(State):
    """Not started."""

    color = "#7ebdff"

    def __init__(
        self,
        message: str | None = None,
        result: object = None,
        cached_inputs: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, result, context, cached_inputs)


class Scheduled(Pending):
    """Waits for a time.

    Attributes:
        start_time: When it starts; None: for somebody.
    """

    kind = StateKind.SCHEDULED
    color = "#ffab00"

    def __init__(
        self,
        message: str | None = None,
        result: object = None,
        start_time: datetime | None = None,
        cached_inputs: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, result, cached_inputs, context)
        self.start_time: datetime | None = start_time or datetime.now(UTC)


class Paused(Scheduled):
    """Waits for somebody to resume it, or until ``start_time``."""

    kind = StateKind.PAUSED
    color = "#99a8e8"

    def __init__(
        self,
        message: str | None = None,
        result: object = None,
        start_time: datetime | None = None,
        cached_inputs: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, result, start_time, cached_inputs, context)
        self.start_time = start_time


class Resume(Scheduled):
    """Was paused, and may go on."""

    kind = StateKind.RESUME
    color = "#f58c0c"


class Retrying(Scheduled):
    """Failed, and will be tried again.

    Attributes:
        run_count: How often it ran.
    """

    kind = StateKind.RETRYING
    color = "#f66a0a"

    def __init__(
        self,
        message: str | None = None,
        result: object = None,
        start_time: datetime | None = None,
        cached_inputs: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        run_count: int | None = None,
    ) -> None:
        super().__init__(message, result, start_time, cached_inputs, context)
        self.run_count = run_count or 1


class _MetaState(State):
    """Tells about another state.

    Attributes:
        state: That state.
    """

    def __init__(
        self,
        message: str | None = None,
        result: object = None,
        state: State | None = None,
        context: Mapping[str, Any] | None = None,
        cached_inputs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, result, context, cached_inputs)
        # One that is about a state is not itself told about.
        self.state: State | None = state.state if isinstance(state, _MetaState) else state


class Submitted(_MetaState):
    """Waits for a free worker."""

    kind = StateKind.SUBMITTED
    color = "#ffdf5d"


class Queued(_MetaState):
    """Waits for others to leave it a place."""

    kind = StateKind.QUEUED
    color = "#ffea7f"

    def __init__(
        self,
        message: str | None = None,
        result: object = None,
        state: State | None = None,
        start_time: datetime | None = None,
        context: Mapping[str, Any] | None = None,
        cached_inputs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, result, state, context, cached_inputs)
        self.start_time = start_time or datetime.now(UTC)

    def is_scheduled(self) -> bool:
        """Whether it waits for a time: it does."""
        return True


class ClientFailed(_MetaState):
    """Its state could not be told to the backend."""

    kind = StateKind.CLIENT_FAILED
    color = "#eb0000"


class Running(State):
    """Is running."""

    kind = StateKind.RUNNING
    color = "#3d67ff"


class Cancelling(Running):
    """Is running, and shall stop."""

    kind = StateKind.CANCELLING
    color = "#E8E8E8"


class Finished(State):
    """Ended."""

    kind = StateKind.FINISHED
    color = "#003ccb"


class Looped(Finished):
    """A round ended, and another follows.

    Attributes:
        loop_count: Which round it was, counted from 1.
    """

    kind = StateKind.LOOPED

    def __init__(
        self,
        message: str | None = None,
        result: object = None,
        loop_count: int | None = None,
        context: Mapping[str, Any] | None = None,
        cached_inputs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, result, context, cached_inputs)
        if loop_count is None:
            from loopline.flows.context import run_values

            loop_count = run_values.get().get("task_loop_count", 1)
        self.loop_count = loop_count


class Success(Finished):
    """Ended well."""

    kind = StateKind.SUCCESS
    color = "#28a745"


class Cached(Success):
    """An earlier result was used again.

    Attributes:
        cached_parameters: The flow run's parameters when the result was made.
        cached_result_expiration: Until when the result may be used; None: for good.
        hashed_inputs: A digest of each input of the task then.
        code: A digest of the task's code then.
    """

    kind = StateKind.CACHED
    color = "#34d058"

    def __init__(
        self,
        message: str | None = None,
        result: object = None,
        cached_inputs: Mapping[str, Any] | None = None,
        cached_parameters: Mapping[str, Any] | None = None,
        cached_result_expiration: datetime | None = None,
        context: Mapping[str, Any] | None = None,
        hashed_inputs: Mapping[str, str] | None = None,
        code: str = "",
    ) -> None:
        super().__init__(message, result, context, cached_inputs)
        self.cached_parameters = None if cached_parameters is None else dict(cached_parameters)
        self.cached_result_expiration = cached_result_expiration
        self.hashed_inputs = dict(hashed_inputs or {})
        self.code = code


class Mapped(Success):
    """Stands for the children of a mapped task."""

    kind = StateKind.MAPPED
    color = "#003ccb"

    def __init__(
        self,
        message: str | None = None,
        result: object = None,
        map_states: Sequence[State] | None = None,
        context: Mapping[str, Any] | None = None,
        cached_inputs: Mapping[str, Any] | None = None,
        n_map_states: int | None = None,
    ) -> None:
        super().__init__(message, result, context, cached_inputs)
        self.map_states: list[State] = list(map_states or ())
        self._count = n_map_states

    @property
    def n_map_states(self) -> int:
        """How many children there are."""
        return len(self.map_states) if self._count is None else self._count

    @property
    def result(self) -> Any:  # noqa: ANN401 - whatever the task returned
        """What the children came to, in order."""
        if self._result is None or isinstance(self._result, Result):
            return [state.result for state in self.map_states]
        return self._result

    @result.setter
    def result(self, value: object) -> None:
        self._result = value


class Skipped(Success):
    """Was not needed."""

    kind = StateKind.SKIPPED
    color = "#62757f"


class Cancelled(Finished):
    """Was stopped."""

    kind = StateKind.CANCELLED
    color = "#bdbdbd"


class Failed(Finished):
    """Ended badly."""

    kind = StateKind.FAILED
    color = "#eb0000"

    def __init__(
        self,
        message: str | None = None,
        result: object = None,
        cached_inputs: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, result, context, cached_inputs)


class TimedOut(Failed):
    """Ran longer than its timeout."""

    kind = StateKind.TIMED_OUT
    color = "#ff4e33"


class TriggerFailed(Failed):
    """Was not run, because of how the tasks before it ended."""

    kind = StateKind.TRIGGER_FAILED
    color = "#ff5131"


class ValidationFailed(Failed):
    """What it made was found wanting."""

    kind = StateKind.VALIDATION_FAILED
    color = "#ff5131"


CLASSES: dict[StateKind, type[State]] = {
    cls.kind: cls for cls in State.children() if "kind" in vars(cls) or cls is Pending
}


def make_state(kind: StateKind, message: str = "", result: object = None) -> State:
    """Make the state of a kind."""
    return CLASSES[kind](message, result)
