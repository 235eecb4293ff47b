"""Waiting for a library: an action that runs when somebody else imports it, and not before.

One finder stands first in ``sys.meta_path`` while there is something to wait for. It finds
nothing itself: it asks the others, and has the module's loader run the actions once the module
is complete. Afterwards nothing of it is left on the module.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import TYPE_CHECKING, Any

from loopline.integrations.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["forget", "when_imported"]

_waiting: dict[str, list[Callable[[ModuleType], None]]] = {}
_lock = threading.RLock()
#: Modules each thread is looking for at this moment, so that asking the others is not endless.
_searching = threading.local()


def when_imported(name: str, action: Callable[[ModuleType], None]) -> None:
    """Run an action with a module: now when it is imported already, else when it will be.

    An action that raises is a warning; the import goes on.
    """
    with _lock:
        _waiting.setdefault(name, []).append(action)
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
    # Asked after the finder stands: an import in another thread is either here or seen by it.
    if name in sys.modules:
        # Waits where another thread is in the middle of it.
        _arrived(name, importlib.import_module(name))


def forget(action: Callable[[ModuleType], None]) -> None:
    """Wait no longer with an action."""
    with _lock:
        for name, actions in list(_waiting.items()):
            actions[:] = [one for one in actions if one != action]
            if not actions:
                del _waiting[name]
        _step_aside()


def _step_aside() -> None:
    """Leave ``sys.meta_path`` when there is nothing to wait for."""
    if not _waiting and _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)


def _arrived(name: str, module: ModuleType) -> None:
    with _lock:
        actions = _waiting.pop(name, [])
        _step_aside()
    for action in actions:
        with guarded(f"hook into {name}"):
            action(module)


class _Finder:
    """Wraps the loaders of modules that are waited for."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module as all the others do, and take note of its loading."""
        names: set[str] = _searching.__dict__.setdefault("names", set())
        if fullname not in _waiting or fullname in names:
            return None
        names.add(fullname)
        try:
            spec = _ask_the_others(fullname, path, target)
        finally:
            names.discard(fullname)
        # A loader of the old kind (`load_module`) is left alone: nothing of it can be followed.
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
        return spec


def _ask_the_others(
    fullname: str, path: Sequence[str] | None, target: ModuleType | None
) -> ModuleSpec | None:
    for finder in list(sys.meta_path):
        if finder is not _FINDER and hasattr(finder, "find_spec"):
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                return spec
    return None


class _Loader:
    """Loads a module with its own loader, puts that back, and runs the actions."""

    def __init__(self, loader: Any) -> None:  # noqa: ANN401 - any loader
        self._loader = loader

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the loader has
        if name == "_loader":  # Not there yet, as when it is copied.
            raise AttributeError(name)
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Make the module as its own loader does."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code, then what waited for it."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        _arrived(module.__name__, module)


_FINDER: Any = _Finder()
