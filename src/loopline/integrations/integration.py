"""One library's automatic logging: off, waiting for the library, or on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from loopline.integrations.imports import forget, when_imported
from loopline.integrations.options import Options
from loopline.integrations.patches import Patches

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["Integration"]

O = TypeVar("O", bound=Options)  # noqa: E741 - an options type


class Integration(Generic[O]):
    """Turns the logging of one library on and off, whether or not it is imported yet.

    Attributes:
        name: The library's, as in ``loopline.<name>.autolog``.
        options: What was chosen; None while it is off.
        by_default: Whether ``loopline.autolog()`` turned it on, and not its own ``autolog``.
    """

    def __init__(
        self,
        name: str,
        modules: tuple[str, ...],
        install: Callable[[ModuleType, Patches], None],
    ) -> None:
        """Describe a library; nothing is touched before ``turn_on``.

        Args:
            name: The library's name.
            modules: Modules whose import completes what is hooked into.
            install: Puts the hooks into one of these modules.
        """
        self.name = name
        self.options: O | None = None
        self.by_default = False
        self._modules = modules
        self._put = install
        self._patches = Patches()
        self._lock = threading.RLock()

    @property
    def is_on(self) -> bool:
        """Whether fits are logged, or will be once the library is imported."""
        return self.options is not None

    def turn_on(self, options: O) -> None:
        """Log from now on; when it is on already, with these options."""
        with self._lock:
            was_on, self.options = self.is_on, options
            self.by_default = False
            if not was_on:
                for module in self._modules:
                    when_imported(module, self._install)

    def turn_off(self) -> None:
        """Put the library's own functions back and stop waiting for it."""
        with self._lock:
            self.options = None
            forget(self._install)
            self._patches.undo()

    def _install(self, module: ModuleType) -> None:
        with self._lock:
            if self.is_on:  # It may have been turned off while the import was under way.
                self._put(module, self._patches)
