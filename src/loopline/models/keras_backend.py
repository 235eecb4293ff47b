"""Keras imported on a backend that is there."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

from loopline.errors import MissingExtraError

__all__ = ["choose_backend", "import_keras"]

#: Without a choice Keras takes TensorFlow; JAX is the lightest to install.
_PREFERENCE = ("tensorflow", "jax", "torch")


def import_keras() -> Any:  # noqa: ANN401 - a module without types
    """Import Keras; when nobody chose a backend, on one that is installed.

    Raises:
        MissingExtraError: Keras is not installed, or no backend of it.
    """
    if "keras" not in sys.modules and importlib.util.find_spec("keras") is not None:
        backend = choose_backend()
        if backend is not None:
            os.environ["KERAS_BACKEND"] = backend
    try:
        import keras
    except ImportError as error:
        raise MissingExtraError(
            error.name or "keras", extra="keras", purpose="A Keras model"
        ) from error
    return keras


def choose_backend() -> str | None:
    """Choose a backend for a Keras that is not imported yet.

    Returns:
        Its name, or None where ``KERAS_BACKEND`` or Keras's own file names one that is
        installed, or where none is.
    """
    if os.environ.get("KERAS_BACKEND"):
        return None
    configured = _configured()
    if configured and importlib.util.find_spec(configured) is not None:
        return None
    return next((name for name in _PREFERENCE if importlib.util.find_spec(name)), None)


def _configured() -> str | None:
    """Read the backend from Keras's own file; Keras writes TensorFlow there unasked."""
    home = os.environ.get("KERAS_HOME")
    folder = Path(home) if home else Path.home() / ".keras"
    try:
        backend = json.loads((folder / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        return None
    return backend if isinstance(backend, str) else None
