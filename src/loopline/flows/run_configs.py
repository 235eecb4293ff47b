"""How a flow's runs start in a worker's process: variables, folder, and the labels it must have."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["LocalRun", "RunConfig", "UniversalRun"]


class RunConfig:
    """How runs start, wherever they do; counts for what is registered, not for ``flow.run()``.

    Args:
        env: Environment variables of the process of a run, besides the worker's own.
        labels: What a worker must have to take it, besides those of ``flow.register(labels=...)``.
    """

    working_dir: str | None = None

    def __init__(
        self, env: Mapping[str, object] | None = None, labels: Iterable[str] | None = None
    ) -> None:
        self.env = {name: str(value) for name, value in (env or {}).items()}
        self.labels = set(labels or ())


class UniversalRun(RunConfig):
    """On whichever worker has the labels."""


class LocalRun(RunConfig):
    """As a process of a worker.

    Args:
        env: Environment variables of the process, besides the worker's own.
        working_dir: Folder in which it runs; there must be one where the worker is.
        labels: What a worker must have to take it.
    """

    def __init__(
        self,
        *,
        env: Mapping[str, object] | None = None,
        working_dir: str | None = None,
        labels: Iterable[str] | None = None,
    ) -> None:
        super().__init__(env, labels)
        self.working_dir = None if working_dir is None else str(working_dir)
