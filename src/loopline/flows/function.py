"""``@flow``: a plain function becomes a flow, with its arguments as parameters.

The function is called once, when it is decorated, with a parameter in the place of each argument;
what it calls are tasks, which add themselves. So the graph is known, and checked and drawn, before
anything runs; what the function decides by itself is decided then.
"""

from __future__ import annotations

import inspect
import typing
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from loopline.errors import FlowBuildError, FlowRunFailedError
from loopline.flows.authoring.active import active_flow
from loopline.flows.authoring.inputs import fill
from loopline.flows.flow import Flow
from loopline.flows.parameter import DateTimeParameter, Parameter, no_default

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from loopline.flows.executors.base import Executor
    from loopline.flows.result_types import ResultType
    from loopline.flows.running.handlers import StateHandler
    from loopline.flows.schedules import Schedule
    from loopline.flows.states import State
    from loopline.records.automations import FlowTrigger

__all__ = ["FlowFunction", "flow"]

P = ParamSpec("P")
R = TypeVar("R")


class FlowFunction(Flow, Generic[P, R]):
    """A flow that is a function with ``@flow``: everything a flow can do, and it can be called.

    A call outside a flow runs it here and now, whatever its schedule, and returns what the
    function returns, with results in the places of tasks. A call inside a flow, or in another
    function with ``@flow``, adds its tasks there.

    Attributes:
        fn: The function.
        returns: What it returned when it was traced, with tasks in the places of results.
    """

    def __init__(self, fn: Callable[P, R], name: str | None = None, **options: Any) -> None:  # noqa: ANN401 - Flow's
        super().__init__(name or fn.__name__, **options)
        self.fn: Callable[P, R] = fn
        self.__doc__ = fn.__doc__
        self.__name__ = fn.__name__
        self.__module__ = fn.__module__
        self.__qualname__ = fn.__qualname__
        self.__wrapped__ = fn
        self.returns: Any = self._trace()

    def _trace(self) -> Any:  # noqa: ANN401 - whatever the function returns
        if inspect.iscoroutinefunction(self.fn) or inspect.isgeneratorfunction(self.fn):
            msg = (
                f"@flow cannot trace {self.name!r}: it is async or a generator. Make it a plain "
                "function; its tasks run side by side where the executor lets them."
            )
            raise FlowBuildError(msg)
        with self:
            args, kwargs = [], {}
            for each in inspect.signature(self.fn).parameters.values():
                parameter = self.add_task(self._parameter(each))
                if each.kind is each.KEYWORD_ONLY:
                    kwargs[each.name] = parameter
                else:
                    args.append(parameter)
            try:
                return self.fn(*args, **kwargs)  # type: ignore[arg-type] # parameters for values
            except NameError as error:
                error.add_note(
                    f"The flow {self.name!r} is built where @flow stands, so what it calls must "
                    "be defined above it."
                )
                raise

    def _parameter(self, argument: inspect.Parameter) -> Parameter:
        """Make the parameter that stands for an argument."""
        if argument.kind in {argument.VAR_POSITIONAL, argument.VAR_KEYWORD}:
            msg = (
                f"The flow {self.name!r} takes {argument}, and parameters need names. Name each "
                "argument; for many values, take a list."
            )
            raise FlowBuildError(msg)
        if argument.name in {"self", "cls"}:
            msg = f"@flow cannot be on the method {self.fn.__qualname__}. Put it on a function."
            raise FlowBuildError(msg)
        default = no_default if argument.default is argument.empty else argument.default
        hint = _hints(self.fn).get(argument.name)
        if hint is datetime:
            return DateTimeParameter(argument.name, default, required=default is no_default)
        return Parameter(argument.name, default, type=hint)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the flow and return the function's value; inside a flow, add its tasks to that.

        Raises:
            FlowRunFailedError: The run did not succeed; ``error.state`` has the states.
            InvalidInputError: A value does not fit its annotation.
        """
        try:
            given = inspect.signature(self.fn).bind(*args, **kwargs).arguments
        except TypeError as error:
            msg = f"The flow {self.name!r}: {error}. It is {self.name}{inspect.signature(self.fn)}."
            raise TypeError(msg) from None
        if active_flow.get() is not None:
            return self.fn(*args, **kwargs)
        state = self.run(parameters=given, run_on_schedule=False)
        if not state.is_successful():
            msg = (
                f"The flow {self.name!r} did not succeed: {state!r}. See error.state.result[task]."
            )
            raise FlowRunFailedError(msg, state) from next(_causes(state), None)
        value: R = fill(self.returns, lambda task: state.result[task].result)
        return value

    def __getstate__(self) -> dict[str, Any]:
        """Travel without the function: its graph is all that runs."""
        state = vars(self).copy()
        state.pop("__wrapped__", None)
        state["fn"] = _travelled
        return state


def _travelled(*_: object, **__: object) -> Any:  # noqa: ANN401 - never returns
    msg = "The function of a flow that was stored is not there; flow.run() runs the flow."
    raise FlowBuildError(msg)


def _hints(fn: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(fn, include_extras=True)
    except (NameError, TypeError, AttributeError):  # Such as names for type checkers only.
        return {}


def _causes(state: State) -> Iterator[BaseException]:
    """Find the exceptions of the tasks that failed by themselves."""
    for own in state.result.values():
        for each in getattr(own, "map_states", ()) or [own]:
            if type(each).__name__ in {"Failed", "TimedOut"} and isinstance(
                each.result, BaseException
            ):
                yield each.result


@overload
def flow(fn: Callable[P, R], /) -> FlowFunction[P, R]: ...


@overload
def flow(
    *,
    name: str | None = None,
    schedule: Schedule | None = None,
    executor: Executor | None = None,
    run_config: object = None,
    storage: object = None,
    state_handlers: Iterable[StateHandler] | None = None,
    on_failure: Callable[[Any, State], object] | None = None,
    result: ResultType | None = None,
    triggers: Iterable[FlowTrigger] = (),
) -> Callable[[Callable[P, R]], FlowFunction[P, R]]: ...


def flow(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a flow of a function: ``@flow``, or ``@flow(schedule=...)``.

    The options are those of ``Flow``; the name is the function's by default. The function calls
    tasks and takes their results as arguments of other tasks. It cannot use a result in ``if`` or
    ``for``: ``case`` and ``.map`` are for that.

    Raises:
        FlowBuildError: The function cannot be traced.
    """
    if fn is None:
        return lambda fn: FlowFunction(fn, **options)
    return FlowFunction(fn, **options)
