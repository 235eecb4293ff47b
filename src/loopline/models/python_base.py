"""What a model of a user's own inherits from.

This module is pickled by value with each such model, so that whoever loads it, MLflow too, needs
nothing of Loopline. Hence it imports nothing but the standard library.
"""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

__all__ = ["PythonModel", "PythonModelContext", "WrappedModel", "ask"]


class PythonModelContext:
    """What a model finds beside itself.

    Attributes:
        artifacts: Path on this machine of each file or folder logged with it, by name.
        model_config: Settings given when it was loaded; none here.
    """

    def __init__(
        self, artifacts: dict[str, str], model_config: dict[str, Any] | None = None
    ) -> None:
        self.artifacts = artifacts
        self.model_config = model_config or {}


class PythonModel:
    """A model of your own: give it a ``predict``, and ``load_context`` if it has files.

    Both are called with a ``PythonModelContext``; ``predict`` may leave out ``context``, and name
    ``params`` to get those that the signature allows.
    """

    #: MLflow asks which types ``predict`` says it takes; a signature tells more.
    predict_type_hints = SimpleNamespace(input=None, output=None)

    def load_context(self, context: Any) -> None:  # noqa: ANN401 - ours or MLflow's
        """Read files once, before the first ``predict``."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ANN401
        """Answer for some data."""
        raise NotImplementedError


class WrappedModel(PythonModel):
    """A plain function, or an object that has ``predict``, as a model.

    Attributes:
        inner: That function or object.
    """

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - anything that can be asked
        self.inner = inner

    def load_context(self, context: Any) -> None:  # noqa: ANN401 - ours or MLflow's
        """Pass it on to an object that wants it."""
        if hasattr(self.inner, "load_context"):
            self.inner.load_context(context)

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ANN401
        """Ask the function or the object."""
        function = self.inner.predict if hasattr(self.inner, "predict") else self.inner
        return ask(function, context, model_input, params)


def ask(function: Any, context: Any, model_input: Any, params: Any) -> Any:  # noqa: ANN401
    """Call a ``predict`` with as much of context and params as it takes."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # Of a compiled function.
        names = ["model_input"]
    given = [context, model_input] if names[:1] == ["context"] else [model_input]
    if "params" in names:
        return function(*given, params=params)
    return function(*given)
