"""Tasks: what a flow consists of, from functions with ``@task`` or classes with ``run()``.

Calling a task inside ``with Flow(...)`` does not run it: it adds a copy to the flow, whose inputs
are the arguments. ``run(...)`` runs the function itself.
"""

from __future__ import annotations

import copy
import inspect
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Generic, ParamSpec, Self, TypeVar, overload

from loopline.errors import FlowBuildError
from loopline.flows.annotations import unmapped
from loopline.flows.authoring.active import active_tags, created_tasks
from loopline.flows.authoring.options import Delay, as_delay, as_delta, delays_s, set_options
from loopline.flows.authoring.outputs import count_outputs
from loopline.flows.authoring.pointers import FunctionPointer
from loopline.flows.authoring.wiring import Wiring
from loopline.rules.triggers import TRIGGERS

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Sequence

    from loopline.flows.cache_validators import Validator
    from loopline.flows.limits import Limits
    from loopline.flows.result_types import ResultType
    from loopline.flows.running.handlers import StateHandler
    from loopline.flows.states import State
    from loopline.flows.triggers import Trigger

__all__ = ["FunctionTask", "Task", "task", "unmapped"]

P = ParamSpec("P")
R = TypeVar("R")

_NO_ARGUMENTS = inspect.Signature()

#: Arguments of a call that are about the flow, and so cannot be arguments of ``run``.
_RESERVED = frozenset({"flow", "mapped", "task_args", "upstream_tasks"})


class Task(Wiring):
    """One step of a flow.

    Subclasses have a ``run`` method, and call ``super().__init__(...)`` with these arguments.

    Args:
        name: What people read; the class's name by default.
        slug: The task's identity in a flow; by default its name and a number, ``"train-1"``.
        tags: Words to find it by.
        max_retries: How often a failed or late attempt is repeated.
        retry_delay: How long to wait before each repetition; a number is in seconds. A list has
            one for each, a function gets the repetition's number, counted from 1.
        retry_on: Exceptions that are worth repeating; by default all are.
        timeout: How long an attempt may take; a number is in seconds.
        trigger: Whether to run, from how the tasks before it ended; ``all_successful`` by default.
        skip_on_upstream_skip: Skipped, too, when a task before it was skipped.
        cache_for: How long a result may be used again instead of running, by any later run; a
            number is in seconds.
        cache_validator: Which earlier results may be; by default all that are not too old. See
            ``loopline.flows.cache_validators``.
        cache_key: Whose results: tasks with the same key share them; by default the flow's and the
            task's name.
        checkpoint: False: its result is not kept. A run that another worker takes over runs the
            task again where the result is needed.
        result: Where its result is kept instead of in the home; see
            ``loopline.flows.result_types``.
        target: Location of the result: what is there already is used instead of running.
        state_handlers: Functions that hear of each change of state (task, old, new), and may
            return another new one.
        on_failure: Called with the task and the state whenever an attempt fails.
        retry_jitter: Random share, from 0 to 1, by which each delay is lengthened, so that many
            tasks do not try again all at once.
        log_stdout: What it prints goes to the run's log as well.
        task_run_name: What each run of it is called: a template such as ``"train {month}"``, with
            the task's arguments, the run context and the flow's parameters to choose from, or a
            function that gets these by name.
        nout: How many values it returns, so that ``a, b = my_task()`` works; by default as many
            as an annotation such as ``-> tuple[float, int]`` says.
        limits: Memory and time that it may take. It runs in a process of its own, wherever the
            flow runs, and is ended there when it takes more.

    Raises:
        FlowBuildError: The arguments do not fit together.
    """

    #: Whether the run may be judged by it, and whether it only tidies up after other tasks.
    may_decide: ClassVar[bool] = True
    is_cleanup: ClassVar[bool] = False

    # Set by ``set_options``.
    cache_for: timedelta | None
    cache_validator: Validator | None
    cache_key: str | None
    checkpoint: bool | None
    result: ResultType | None
    target: str | Callable[..., str] | None
    state_handlers: list[StateHandler]
    retry_jitter: float

    def __init__(  # noqa: PLR0913 - the options Prefect 1 has
        self,
        name: str | None = None,
        slug: str | None = None,
        tags: Iterable[str] | None = None,
        max_retries: int | None = None,
        retry_delay: Delay | None = None,
        retry_on: type[Exception] | Sequence[type[Exception]] | None = None,
        timeout: timedelta | float | None = None,
        trigger: Trigger | str | None = None,
        *,
        skip_on_upstream_skip: bool = True,
        cache_for: timedelta | float | None = None,
        cache_validator: Validator | None = None,
        cache_key: str | None = None,
        checkpoint: bool | None = None,
        result: ResultType | None = None,
        target: str | Callable[..., str] | None = None,
        state_handlers: Iterable[StateHandler] | None = None,
        on_failure: Callable[[Any, State], object] | None = None,
        retry_jitter: float = 0.0,
        log_stdout: bool = False,
        task_run_name: str | Callable[..., str] | None = None,
        nout: int | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.name = name or type(self).__name__
        self.slug = slug
        if isinstance(tags, str):
            msg = f"The tags of task {self.name!r} must be a list: write tags=[{tags!r}]."
            raise FlowBuildError(msg)
        self.tags = set(tags or ()) | active_tags.get()
        self.retry_delay = as_delay(retry_delay)
        if max_retries is None and isinstance(self.retry_delay, list):
            max_retries = len(self.retry_delay)
        self.max_retries = max_retries or 0
        self.retry_on: tuple[type[Exception], ...] = ()
        if retry_on is not None:
            self.retry_on = (retry_on,) if isinstance(retry_on, type) else tuple(retry_on)
        self.timeout = as_delta(timeout, "timeout")
        self.trigger: Trigger | str = trigger or "all_successful"
        self.skip_on_upstream_skip = skip_on_upstream_skip
        self.log_stdout = log_stdout
        self.task_run_name = task_run_name
        self.nout = count_outputs(self) if nout is None else nout
        self.limits = limits
        set_options(
            self, cache_for=cache_for, cache_validator=cache_validator, cache_key=cache_key,
            checkpoint=checkpoint, result=result, target=target, state_handlers=state_handlers,
            on_failure=on_failure, retry_jitter=retry_jitter,
        )  # fmt: skip
        self._check()
        created = created_tasks.get()
        if created is not None:
            created[self] = None

    def _check(self) -> None:
        """Refuse options that do not fit together, and a ``run`` that cannot be a task's."""
        if self.max_retries < 0:
            msg = f"max_retries of task {self.name!r} is {self.max_retries}; give 0 or more."
            raise FlowBuildError(msg)
        if self.retry_delay is not None and not self.max_retries:
            msg = f"Task {self.name!r} has a retry_delay but no retries. Set max_retries, too."
            raise FlowBuildError(msg)
        if isinstance(self.trigger, str) and self.trigger not in TRIGGERS:
            names = ", ".join(TRIGGERS)
            msg = f"There is no trigger {self.trigger!r}. Use one of {names}, or your own function."
            raise FlowBuildError(msg)
        if self.timeout is not None and self.timeout <= timedelta(0):
            msg = f"The timeout of task {self.name!r} must be longer than nothing."
            raise FlowBuildError(msg)
        for parameter in self.signature().parameters.values():
            if parameter.kind in {parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY}:
                msg = (
                    f"Task {self.name!r} takes {parameter}, which cannot be given by name. "
                    "Make it an ordinary argument; for many values, take a list."
                )
                raise FlowBuildError(msg)
            if parameter.name in _RESERVED and parameter.kind is not parameter.VAR_KEYWORD:
                msg = (
                    f"Task {self.name!r} has an argument {parameter.name!r}, a word that calls of "
                    "tasks need for themselves. Rename the argument."
                )
                raise FlowBuildError(msg)

    def run(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the subclass says
        """Do the work; subclasses override this, with the arguments they need."""

    def signature(self) -> inspect.Signature:
        """Return the signature of ``run``."""
        if type(self).run is Task.run:  # A task that only has its place: it takes nothing.
            return _NO_ARGUMENTS
        whole = _signature_of(type(self).run)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    @property
    def retry_delays_s(self) -> list[float]:
        """Seconds to wait before each retry, one for each."""
        return delays_s(self.retry_delay, self.max_retries)

    @property
    def logger(self) -> logging.Logger:
        """The logger of the current run."""
        from loopline.flows.running.logs import task_logger

        return task_logger(self.name)

    def inputs(self) -> dict[str, dict[str, Any]]:
        """Describe the arguments of ``run``: the type, default and whether it is required."""
        return {
            each.name: {
                "type": Any if each.annotation is each.empty else each.annotation,
                "default": None if each.default is each.empty else each.default,
                "required": each.default is each.empty,
            }
            for each in self.signature().parameters.values()
        }

    def outputs(self) -> Any:  # noqa: ANN401 - a type
        """Return the annotation of what ``run`` returns, or Any."""
        found = self.signature().return_annotation
        return Any if found is inspect.Signature.empty else found

    def serialize(self) -> dict[str, Any]:
        """Describe the task as data that JSON can hold."""
        from loopline.flows.authoring.description import describe_task

        return describe_task(self)

    def copy(self, **changes: Any) -> Self:  # noqa: ANN401 - values of any attributes
        """Return another task like this one, with some attributes changed.

        Raises:
            FlowBuildError: There is no such attribute.
        """
        created = created_tasks.get()
        if created is not None:
            created.pop(self, None)  # A template has done its part.
        made = copy.copy(self)
        for name, value in changes.items():
            if name not in vars(self):
                msg = f"Tasks have no {name!r}. task_args may change {', '.join(vars(self))}."
                raise FlowBuildError(msg)
            if name in {"cache_for", "timeout"}:
                value = as_delta(value, name)  # noqa: PLW2901 - as the constructor does
            elif name == "retry_delay":
                value = as_delay(value)  # noqa: PLW2901 - likewise
            setattr(made, name, value)
        # Tags given here come in addition, as tags of a ``with`` block do.
        made.tags = self.tags | set(made.tags) | active_tags.get()
        if changes:
            made._check()  # noqa: SLF001 - same class
        return made

    def __repr__(self) -> str:
        return f"<{'Task' if type(self) is FunctionTask else type(self).__name__}: {self.name}>"


#: What others call an option of ours.
_CALLED_ELSE = {
    "retries": "max_retries",
    "retry": "max_retries",
    "retry_delay_seconds": "retry_delay",
    "timeout_seconds": "timeout",
    "cache_expiration": "cache_for",
}


def _refuse_unknown(name: str, options: dict[str, Any]) -> None:
    """Name the option that tasks have, where one that they have not was given."""
    from difflib import get_close_matches

    known = sorted(inspect.signature(Task.__init__).parameters.keys() - {"self"})
    for option in options:
        if option not in known:
            near = [_CALLED_ELSE[option]] if option in _CALLED_ELSE else []
            near = near or get_close_matches(option, known, n=1)
            meant = f"Did you mean {near[0]!r}? " if near else ""
            msg = (
                f"Task {name!r}: @task has no option {option!r}. {meant}It has {', '.join(known)}."
            )
            raise TypeError(msg) from None


class FunctionTask(Task, Generic[P, R]):
    """A task that is a function with ``@task``.

    Attributes:
        fn: The function.
    """

    def __init__(self, fn: Callable[P, R], name: str | None = None, **options: Any) -> None:  # noqa: ANN401
        self.fn = fn
        name = str(name or getattr(fn, "__name__", type(fn).__name__))
        try:
            super().__init__(name=name, **options)
        except TypeError:
            _refuse_unknown(name, options)
            raise
        self.__doc__ = fn.__doc__
        self.__wrapped__ = fn
        self.__name__ = getattr(fn, "__name__", self.name)
        self.__module__ = getattr(fn, "__module__", __name__)
        self.__qualname__ = getattr(fn, "__qualname__", self.name)

    def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, in no flow."""
        return self.fn(*args, **kwargs)

    def signature(self) -> inspect.Signature:
        """Return the signature of the function."""
        return _signature_of(self.fn)

    # The first form is what editors show. The second lets parameters, tasks and structures of
    # them stand for arguments of any type, and takes what is about the flow; building the flow
    # checks the arguments' names. Results are Any: tasks here, values of any type there.
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...  # noqa: ANN401

    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...  # noqa: ANN401

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Add a copy of the task to the flow of the ``with`` block; see ``Task.__call__``."""
        return super().__call__(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        """Send the function by name where it can be imported, so that module state is shared."""
        state = vars(self).copy()
        pointer = FunctionPointer.to(self.fn)
        if pointer is not None:
            state["fn"] = pointer
            del state["__wrapped__"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if isinstance(state["fn"], FunctionPointer):
            state["fn"] = state["__wrapped__"] = state["fn"].follow()
        vars(self).update(state)


@overload
def task(fn: Callable[P, R], /) -> FunctionTask[P, R]: ...


@overload
def task(
    *,
    name: str | None = None,
    slug: str | None = None,
    tags: Iterable[str] | None = None,
    max_retries: int | None = None,
    retry_delay: Delay | None = None,
    retry_on: type[Exception] | Sequence[type[Exception]] | None = None,
    timeout: timedelta | float | None = None,
    trigger: Trigger | str | None = None,
    skip_on_upstream_skip: bool = True,
    cache_for: timedelta | float | None = None,
    cache_validator: Validator | None = None,
    cache_key: str | None = None,
    checkpoint: bool | None = None,
    result: ResultType | None = None,
    target: str | Callable[..., str] | None = None,
    state_handlers: Iterable[StateHandler] | None = None,
    on_failure: Callable[[Any, State], object] | None = None,
    retry_jitter: float = 0.0,
    log_stdout: bool = False,
    task_run_name: str | Callable[..., str] | None = None,
    nout: int | None = None,
    limits: Limits | None = None,
) -> Callable[[Callable[P, R]], FunctionTask[P, R]]: ...


def task(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a function: ``@task``, or ``@task(max_retries=3, retry_delay=60)``.

    The options are those of ``Task``.
    """
    if fn is None:
        return lambda fn: FunctionTask(fn, **options)
    return FunctionTask(fn, **options)


@lru_cache(maxsize=1024)
def _signature_of(fn: Callable[..., Any]) -> inspect.Signature:
    """Read a signature once: a flow asks for it several times for each task."""
    try:
        return inspect.signature(fn)
    except ValueError as error:
        msg = f"{error}, so its arguments are not known. Call it in a function that is a task."
        raise FlowBuildError(msg) from error
