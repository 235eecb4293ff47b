"""Results that stay on a cluster: what takes them is told where they are, and gets no copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import FlowError
from loopline.flows.running.results import Result, load_reference

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

__all__ = ["Place", "RemoteResult", "put_in_places", "take_out_remote"]


class RemoteResult(Result):
    """A value that is in the memory of a cluster's worker, and perhaps in the blob store.

    Attributes:
        future: Where it is in the cluster.
        reference: As in a task run's record; empty when only the cluster has it.
    """

    __slots__ = ("__weakref__", "_open_blob", "future", "reference")

    is_remote = True

    def __init__(
        self,
        future: Any,  # noqa: ANN401 - Dask's
        reference: str,
        open_blob: Callable[[str], BinaryIO],
    ) -> None:
        super().__init__(load=self._fetch)
        self.future = future
        self.reference = reference
        self._open_blob = open_blob

    @property
    def is_here(self) -> bool:
        """Whether somebody has fetched it."""
        return self._load is None

    def let_go(self) -> None:
        """Forget where it is in the cluster, which closes; what only it has is fetched first."""
        if not self.reference and not self.is_here:
            _ = self.value
        self.future = None

    def _fetch(self) -> object:
        if self.future is not None:
            try:
                return self.future.result().value
            except Exception:
                if not self.reference:
                    raise
        if not self.reference:
            msg = "The worker that had this result is gone. Run the task again."
            raise FlowError(msg)
        return load_reference(self.reference, self._open_blob)


class Place:
    """Stands in arguments for a result that the worker gets by itself."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


def take_out_remote(value: Any, found: list[RemoteResult]) -> Any:  # noqa: ANN401 - any argument
    """Put places where remote results stand, also in containers, and gather the results."""
    if isinstance(value, RemoteResult):
        found.append(value)
        return Place(len(found) - 1)
    return _rebuilt(value, lambda each: take_out_remote(each, found))


def put_in_places(value: Any, values: list[Any]) -> Any:  # noqa: ANN401 - any argument
    """Put values where ``take_out_remote`` left places."""
    if isinstance(value, Place):
        return values[value.number]
    return _rebuilt(value, lambda each: put_in_places(each, values))


def _rebuilt(value: Any, change: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - any argument
    """Change what stands in a container of a built-in type; the rest is as it is."""
    kind = type(value)
    if kind is dict:
        return {key: change(each) for key, each in value.items()}
    if kind in {list, tuple}:
        return kind(change(each) for each in value)
    return value
