"""``prefect.run_configs``: how a flow's runs start.

Labels and environment variables of a run config apply when the flow is registered. Containers and
the orchestrators of others are refused when they are imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.compat.prefect.refusals import refusing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["LocalRun", "RunConfig", "UniversalRun"]

__getattr__ = refusing(__name__)


class RunConfig:
    """How runs start, wherever they do.

    Args:
        env: Environment variables of the process of a run.
        labels: What a worker must have to take it.
    """

    def __init__(
        self, env: Mapping[str, str] | None = None, labels: Iterable[str] | None = None
    ) -> None:
        self.env = dict(env or {})
        self.labels = set(labels or ())


class UniversalRun(RunConfig):
    """On whichever worker has the labels."""


class LocalRun(RunConfig):
    """As a process of a worker.

    Args:
        env: Environment variables of the process.
        working_dir: Folder in which it runs.
        labels: What a worker must have to take it.
    """

    def __init__(
        self,
        *,
        env: Mapping[str, str] | None = None,
        working_dir: str | None = None,
        labels: Iterable[str] | None = None,
    ) -> None:
        super().__init__(env, labels)
        self.working_dir = working_dir
