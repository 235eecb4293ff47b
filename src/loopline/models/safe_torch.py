"""PyTorch modules as state and names of classes, read by PyTorch's own restricted reader.

A module is a tree of objects with tensors. ``torch.load(weights_only=True)`` rebuilds objects of
named classes only, and calls nothing else; here these are the layers of ``torch.nn``, modules
that this process has imported by itself, and what the caller vouches for.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from loopline.errors import IntegrityError, UnsafeModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["read_state", "write_state"]

#: Functions that layers of ``torch.nn`` keep as their activation.
_ACTIVATIONS = frozenset(
    f"torch.nn.functional.{name}" for name in ("elu", "leaky_relu", "mish", "relu", "selu", "silu")
) | {"torch._C._nn.gelu"}


def write_state(model: object, path: Path, *, trusted: Sequence[type] = ()) -> None:
    """Write a module, having made sure that it can be read back safely.

    Raises:
        UnsafeModelError: It holds what would not be rebuilt safely, or classes of a script.
    """
    import torch

    try:
        torch.save(model, path)
        asked = _asked(path)
    except Exception as error:  # What pickle and PyTorch make of an object is their business.
        msg = f"{type(model).__name__} has no safe form: {error} {_ADVICE}"
        raise UnsafeModelError(msg) from error
    of_scripts = [name for name in asked if name.startswith("__main__.")]
    if of_scripts:
        msg = (
            f"{', '.join(of_scripts)} is a class of a script or notebook, which nobody who loads "
            f"the model can import. {_ADVICE}"
        )
        raise UnsafeModelError(msg)
    _, unknown = _known(asked, trusted)
    if unknown:
        msg = (
            f"{type(model).__name__} holds what cannot be rebuilt safely: {', '.join(unknown)}. "
            f"{_ADVICE}"
        )
        raise UnsafeModelError(msg)


_ADVICE = (
    "Put its classes into a module that is imported, vouch for others of your own with "
    "trusted_types=[...], or save it with serialization_format='cloudpickle' (loading it then "
    "needs allow_pickle=True)."
)


def read_state(path: Path, *, trusted: Sequence[type] = (), map_location: Any = "cpu") -> Any:  # noqa: ANN401
    """Read a module; only classes that are known beforehand are rebuilt.

    Args:
        path: The file.
        trusted: Further classes that the caller vouches for.
        map_location: Where tensors go.

    Raises:
        UnsafeModelError: It holds others.
        IntegrityError: It is no such file, or no module.
    """
    import torch

    try:
        asked = _asked(path)
    except Exception as error:
        msg = (
            f"{path.name} is not in the form that can be read without running code from it "
            f"({error}). If you know where it comes from, load it with allow_pickle=True."
        )
        raise UnsafeModelError(msg) from error
    known, unknown = _known(asked, trusted)
    if unknown:
        modules = ", ".join(sorted({name.rpartition(".")[0] for name in unknown}))
        msg = (
            f"{path.name} holds objects that this process does not know: {', '.join(unknown)}. If "
            f"they are your own, import {modules} first, or name the classes with "
            "trusted_types=[...]; if you know where the model comes from, allow_pickle=True runs "
            "the code that was kept with it."
        )
        raise UnsafeModelError(msg)
    try:
        with torch.serialization.safe_globals(known):
            model = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:
        msg = f"{path.name} cannot be read: {error} Fetch the model again from where it was logged."
        raise IntegrityError(msg) from error
    if not isinstance(model, torch.nn.Module):
        msg = f"{path.name} holds a {type(model).__name__} and no module. Do not use it."
        raise IntegrityError(msg)
    return model


def _asked(path: Path) -> list[str]:
    """List the classes and functions that a file names, beyond those PyTorch always takes."""
    import torch

    found = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return sorted(str(name) for name in found)


def _known(asked: Iterable[str], trusted: Sequence[type]) -> tuple[list[Any], list[str]]:
    """Find what names stand for; those that nobody knows or vouches for are told apart."""
    vouched = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in trusted}
    known: list[Any] = []
    unknown: list[str] = []
    for name in asked:
        found = vouched.get(name) or _find(name)
        if found is None:
            unknown.append(name)
        else:
            known.append(found)
    return known, unknown


def _find(name: str) -> Any:  # noqa: ANN401 - a class, or one of few functions
    """Find a module's class among what is imported already; nothing is imported for a file."""
    import torch

    module, _, attribute = name.rpartition(".")
    found = vars(sys.modules[module]).get(attribute) if module in sys.modules else None
    if name in _ACTIVATIONS:
        return found
    if not isinstance(found, type) or found.__module__ != module:
        return None
    return found if issubclass(found, torch.nn.Module) else None
