"""``prefect.storage``: taken, and of no effect where registering a flow keeps its code anyway.

``Local`` and ``Module`` name the place where the code is now, which registration finds by itself.
Storage elsewhere is refused when it is imported: a flow that relies on being fetched from a
repository at each run would silently run what was registered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.compat.prefect.refusals import refusing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopline.flows.flow import Flow

__all__ = ["Local", "Module", "Storage", "get_default_storage_class"]

__getattr__ = refusing(__name__)


class Storage:
    """Where a flow's code is.

    Args:
        result: Taken for Prefect's sake.
        secrets: Likewise: ``Secret`` finds those it is asked for.
        labels: What a worker must have to run the flow.
        add_default_labels: Taken for Prefect's sake.
        stored_as_script: Taken for Prefect's sake.
    """

    def __init__(
        self,
        result: object = None,
        secrets: Iterable[str] | None = None,
        labels: Iterable[str] | None = None,
        add_default_labels: bool | None = None,
        stored_as_script: bool = False,
    ) -> None:
        self.result = result
        self.secrets = list(secrets or ())
        self.labels = list(labels or ())
        self.stored_as_script = stored_as_script
        self.flows: dict[str, str] = {}

    def add_flow(self, flow: Flow) -> str:
        """Note a flow; registration keeps its code."""
        self.flows[flow.name] = flow.name
        return flow.name

    def build(self) -> Storage:
        """Do nothing: there is nothing to build apart from registration."""
        return self


class Local(Storage):
    """On this machine.

    Args:
        directory: Taken for Prefect's sake: code is kept in the home.
        validate: Likewise.
        path: Likewise.
        stored_as_script: Likewise.
        **kwargs: Of ``Storage``.
    """

    def __init__(
        self,
        directory: str | None = None,
        validate: bool = True,
        path: str | None = None,
        stored_as_script: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(stored_as_script=stored_as_script, **kwargs)  # type: ignore[arg-type]
        self.directory = directory
        self.path = path


class Module(Storage):
    """In a module that is installed.

    Args:
        module: Its name.
        **kwargs: Of ``Storage``.
    """

    def __init__(self, module: str, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.module = module


def get_default_storage_class() -> type[Storage]:
    """Return the storage that flows have: the store."""
    return Local
