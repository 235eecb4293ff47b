"""Functions replaced for a time, and put back exactly as they were."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["Around", "Patches"]

#: Called instead of a function, with the function itself and the arguments of the call.
Around = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]

_MISSING = object()


class Patches:
    """What one integration has replaced, in order.

    Replacements look like the originals: name, signature, docstring, and ``__wrapped__``. They
    are pickled by name, so a process that unpickles one gets its own library's function.
    """

    def __init__(self) -> None:
        """Begin with nothing replaced."""
        self._done: list[tuple[Any, str, Any, Any]] = []

    def wrap(
        self,
        owner: Any,  # noqa: ANN401 - a class or a module
        name: str,
        around: Around,
    ) -> None:
        """Let calls of ``owner.name`` go through ``around``.

        Args:
            owner: A class or a module.
            name: A plain function of it, its own or inherited.
            around: Gets the original, positional and keyword arguments, and returns the result.
        """
        original = getattr(owner, name)

        @functools.wraps(original)
        def replacement(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the original's
            return around(original, args, kwargs)

        self.set(owner, name, replacement)

    def set(self, owner: Any, name: str, value: Any) -> None:  # noqa: ANN401 - any attribute
        """Replace an attribute, remembering whether the owner had one of its own."""
        before = vars(owner).get(name, _MISSING)
        setattr(owner, name, value)
        self._done.append((owner, name, before, value))

    def undo(self) -> None:
        """Put everything back, the newest first.

        What somebody else has replaced since is left to them: their replacement holds ours, and
        ours does nothing any more.
        """
        while self._done:
            owner, name, before, ours = self._done.pop()
            if vars(owner).get(name, _MISSING) is not ours:
                continue
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
