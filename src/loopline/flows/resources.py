"""Resource managers: something set up before a block of tasks, and cleaned up after it.

A manager is a class with ``__init__``, perhaps ``setup`` and always ``cleanup``. Its object,
what ``setup`` returns and the cleaning up are tasks of the flow: the cleaning up runs however the
tasks of the block ended, unless there was nothing to clean up.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar, overload

from loopline.errors import FlowBuildError
from loopline.flows.authoring.active import active_blocks, active_flow
from loopline.flows.signals import SKIP
from loopline.flows.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token

    from loopline.flows.authoring.active import Block
    from loopline.flows.edge import Edge
    from loopline.flows.flow import Flow
    from loopline.flows.states import State

__all__ = ["ResourceContext", "ResourceManager", "resource_cleanup_trigger", "resource_manager"]


class ResourceInitTask(Task):
    """Makes the manager's object.

    Args:
        resource_class: The manager's class, or what else makes its object.
        **options: Those of ``Task``.
    """

    may_decide: ClassVar[bool] = False

    def __init__(self, resource_class: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401
        self.resource_class = resource_class
        super().__init__(**options)

    def run(self, **kwargs: Any) -> Any:  # noqa: ANN401 - as the class says
        """Make the object."""
        return self.resource_class(**kwargs)

    def signature(self) -> inspect.Signature:
        """Return the signature of the class."""
        return inspect.signature(self.resource_class)


class ResourceSetupTask(Task):
    """Sets the resource up."""

    def run(self, mgr: Any) -> Any:  # noqa: ANN401 - the user's object
        """Return the resource."""
        return mgr.setup()


class ResourceCleanupTask(Task):
    """Cleans the resource up."""

    may_decide: ClassVar[bool] = False
    is_cleanup: ClassVar[bool] = True

    def run(self, mgr: Any, resource: Any = None) -> None:  # noqa: ANN401 - the user's objects
        """Clean up."""
        mgr.cleanup(resource)


def resource_cleanup_trigger(upstream_states: Mapping[Edge, State]) -> bool:
    """Run once all tasks before it have finished, unless the resource was never set up.

    Raises:
        SKIP: It was not.
    """
    what = {"mgr": "made", "resource": "set up"}
    for edge, state in upstream_states.items():
        if edge.key in what and (state.is_skipped() or not state.is_successful()):
            msg = f"The resource was not {what[edge.key]}, so there is nothing to clean up."
            raise SKIP(msg)
    return True


class ResourceContext:
    """The block of tasks between setting up and cleaning up; its target is the resource."""

    def __init__(
        self, init_task: Task, setup_task: Task | None, cleanup_task: Task, flow: Flow
    ) -> None:
        self.init_task = init_task
        self.setup_task = setup_task
        self.cleanup_task = cleanup_task
        self._flow = flow
        self._tasks: dict[Task, None] = {}
        self._before: Token[dict[str, Block]] | None = None

    def add_task(self, task: Task, flow: object) -> None:
        """Take note of a task added to a flow inside the block."""
        if self._flow is not flow:
            msg = "One resource block can only add to one flow. Write a block for each flow."
            raise FlowBuildError(msg)
        self._tasks[task] = None

    def __enter__(self) -> Any:  # noqa: ANN401 - a result, an argument of any type
        self._before = active_blocks.set({**active_blocks.get(), "resource": self})
        return self.setup_task

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            active_blocks.reset(self._before)
            self._before = None
        inside = self._tasks.keys()
        for task in self._tasks:
            # The first tasks of the block come after the setting up, the last before the cleaning.
            if self.setup_task is not None and inside.isdisjoint(self._flow.upstream_tasks(task)):
                self._wait(task, self.setup_task)
            if inside.isdisjoint(self._flow.downstream_tasks(task)):
                self._wait(self.cleanup_task, task)

    def _wait(self, task: Task, upstream: Task) -> None:
        if upstream not in self._flow.upstream_tasks(task):
            self._flow.add_upstream(task, upstream)


class ResourceManager:
    """Makes blocks of tasks that share a resource; what ``@resource_manager`` returns.

    Args:
        resource_class: The class with ``setup`` and ``cleanup``.
        name: Name of its tasks; the class's name by default.
        init_task_kwargs: Options of the task that makes the object.
        setup_task_kwargs: Options of the task that sets up.
        cleanup_task_kwargs: Options of the task that cleans up.
    """

    def __init__(
        self,
        resource_class: Callable[..., Any],
        name: str | None = None,
        init_task_kwargs: Mapping[str, Any] | None = None,
        setup_task_kwargs: Mapping[str, Any] | None = None,
        cleanup_task_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.resource_class = resource_class
        self.name = name or getattr(resource_class, "__name__", "resource")
        self.init_task_kwargs = {"name": self.name, **(init_task_kwargs or {})}
        self.setup_task_kwargs = {"name": f"{self.name}.setup", **(setup_task_kwargs or {})}
        self.cleanup_task_kwargs = {
            "name": f"{self.name}.cleanup",
            "trigger": resource_cleanup_trigger,
            "skip_on_upstream_skip": False,
            **(cleanup_task_kwargs or {}),
        }

    def __call__(self, *args: Any, flow: Flow | None = None, **kwargs: Any) -> ResourceContext:  # noqa: ANN401 - as the class says
        """Add the resource to a flow; use it as ``with Cluster(workers=4) as client: ...``.

        Raises:
            FlowBuildError: There is no flow here, or the class does not take these arguments.
        """
        flow = flow if flow is not None else active_flow.get()
        if flow is None:
            msg = f"{self.name}(...) was called outside a flow. Call it inside `with Flow(...):`."
            raise FlowBuildError(msg)
        init = ResourceInitTask(self.resource_class, **self.init_task_kwargs)
        init.bind(*args, flow=flow, **kwargs)
        cleanup = ResourceCleanupTask(**self.cleanup_task_kwargs)
        if not hasattr(self.resource_class, "setup"):
            cleanup.bind(init, flow=flow)
            return ResourceContext(init, None, cleanup, flow)
        setup = ResourceSetupTask(**self.setup_task_kwargs).bind(init, flow=flow)
        cleanup.bind(init, setup, flow=flow)
        return ResourceContext(init, setup, cleanup, flow)


@overload
def resource_manager(
    resource_class: Callable[..., Any],
    *,
    name: str | None = None,
    init_task_kwargs: Mapping[str, Any] | None = None,
    setup_task_kwargs: Mapping[str, Any] | None = None,
    cleanup_task_kwargs: Mapping[str, Any] | None = None,
) -> ResourceManager: ...


@overload
def resource_manager(
    *,
    name: str | None = None,
    init_task_kwargs: Mapping[str, Any] | None = None,
    setup_task_kwargs: Mapping[str, Any] | None = None,
    cleanup_task_kwargs: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., Any]], ResourceManager]: ...


def resource_manager(resource_class: Any = None, **options: Any) -> Any:
    """Make a ``ResourceManager`` of a class; the options are those of ``ResourceManager``."""
    if resource_class is None:
        return lambda resource_class: ResourceManager(resource_class, **options)
    return ResourceManager(resource_class, **options)
