"""``import prefect`` means ``loopline.compat.prefect``: for scripts that cannot be changed.

``python -m loopline.compat.prefect script.py`` uses it also where Prefect is installed; the
processes of flow runs only where it is not: a registered flow may import the name inside its tasks.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

__all__ = ["install"]

THEIRS = "prefect"
OURS = "loopline.compat.prefect"


class _Alias(MetaPathFinder, Loader):
    """Finds ``prefect`` and what is below it, as the very modules of the other name."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - as the protocol has it
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname != THEIRS and not fullname.startswith(f"{THEIRS}."):
            return None
        ours = importlib.import_module(f"{OURS}{fullname.removeprefix(THEIRS)}")
        return ModuleSpec(fullname, self, is_package=hasattr(ours, "__path__"))

    def create_module(self, spec: ModuleSpec) -> None:
        """Let an empty module be made; it is replaced at once."""

    def exec_module(self, module: ModuleType) -> None:  # noqa: ARG002 - as the protocol has it
        # The modules themselves, not second ones like them: their classes must be the same ones.
        # All that are loaded, for loading one sets a name in its package, where another thing may
        # be by now (the class ``case`` of ``prefect.tasks.control_flow``).
        for name, ours in list(sys.modules.items()):
            if name == OURS or name.startswith(f"{OURS}."):
                sys.modules[f"{THEIRS}{name.removeprefix(OURS)}"] = ours


_alias = _Alias()


def install(*, over: bool) -> None:
    """Let ``import prefect`` find this package.

    Args:
        over: Even where a Prefect is installed; else only where none is.
    """
    if _alias in sys.meta_path or (not over and importlib.util.find_spec(THEIRS) is not None):
        return
    # Before all others: they would find modules below it by its path, a second time.
    sys.meta_path.insert(0, _alias)
    for name in [name for name in sys.modules if name.partition(".")[0] == THEIRS]:
        del sys.modules[name]
