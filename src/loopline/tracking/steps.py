"""Steps: what scikit-learn pipelines and Keras models do to their inputs, as records.

Objects are told by what they can do, not by their library: whatever has scikit-learn's
``get_params`` and ``transform`` is a transformer. Nothing is imported for it.
"""

from __future__ import annotations

import inspect
import re
import types
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from loopline.records.preprocessing import PreprocessingStep
from loopline.tracking.local_modules import is_local
from loopline.tracking.sources import source_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_functions", "find_steps"]

#: Parameters that change how fast, not what.
_SPEED = frozenset(("memory", "n_jobs", "verbose", "verbose_feature_names_out"))
#: Of a layer: what Keras numbers by itself, what is about weights, or was learned from data.
_LAYER_WORDS = frozenset(("name", "trainable", "dtype", "batch_input_shape", "vocabulary_size"))
#: Parameters that hold other estimators, each a step of its own.
_HOLDING = frozenset(("steps", "transformers", "transformer_list", "estimators"))
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
#: An array with more elements is told by its hash.
MAX_ELEMENTS = 100
_DEEPEST = 10


def find_steps(thing: Any) -> list[PreprocessingStep]:  # noqa: ANN401 - any model
    """Find the preprocessing in a pipeline, transformer, model or layer; outer steps first."""
    if _is_keras(thing):
        return list(_layers(thing))
    if _is_estimator(thing):
        return list(_estimators(thing, "", is_step=False))
    return []


def find_functions(thing: Any) -> list[types.FunctionType]:  # noqa: ANN401 - any model
    """Find the user's own functions among the parameters of a pipeline or transformer."""
    if _is_keras(thing) or not _is_estimator(thing):
        return []
    params = thing.get_params(deep=True).values()
    functions = (inspect.unwrap(value) for value in params if callable(value))
    found = [
        function
        for function in functions
        if isinstance(function, types.FunctionType) and _is_own(function.__module__)
    ]
    return list(dict.fromkeys(found))


# --- scikit-learn ---


def _is_estimator(thing: Any) -> bool:  # noqa: ANN401
    return hasattr(thing, "get_params") and hasattr(thing, "fit") and not isinstance(thing, type)


def _estimators(thing: Any, path: str, *, is_step: bool) -> Iterator[PreprocessingStep]:  # noqa: ANN401
    """Yield an estimator, if it is a step, and those inside it.

    Args:
        thing: The estimator.
        path: Where it stands.
        is_step: It stands where only a step can, whatever else it can do (KMeans predicts, too).
    """
    thing = getattr(thing, "best_estimator_", thing)  # What a search has found.
    params = thing.get_params(deep=False)
    transforms = any(hasattr(type(thing), name) for name in ("transform", "fit_resample"))
    is_order_only = "steps" in params  # A pipeline does nothing of its own.
    if is_step or (transforms and not hasattr(type(thing), "predict") and not is_order_only):
        yield PreprocessingStep(
            kind=type(thing).__qualname__,
            path=path or type(thing).__name__,
            params=_texts(params),
            digest=_class_digest(type(thing)),
        )
    for name, value in params.items():
        yield from _inside(name, value, path)


def _inside(name: str, value: Any, path: str) -> Iterator[PreprocessingStep]:  # noqa: ANN401
    if _is_estimator(value):
        yield from _estimators(value, _join(path, name), is_step=False)
    if name not in _HOLDING or not isinstance(value, list | tuple):
        return
    is_pipeline = name == "steps"
    for index, entry in enumerate(value):
        if not isinstance(entry, list | tuple) or len(entry) < 2:  # noqa: PLR2004 - (name, what)
            continue
        place = _join(path, str(entry[0]))
        is_last = index == len(value) - 1
        if _is_estimator(entry[1]):
            is_step = name.startswith("transformer") or (is_pipeline and not is_last)
            is_step = is_step and "steps" not in entry[1].get_params(deep=False)
            found = list(_estimators(entry[1], place, is_step=is_step))
            if len(entry) > 2:  # noqa: PLR2004 - a column transformer's columns
                columns = {"columns": _text(entry[2])}
                found = [replace(step, params={**step.params, **columns}) for step in found]
            yield from found
        elif isinstance(entry[1], str) and len(entry) > 2:  # noqa: PLR2004
            yield PreprocessingStep(kind=entry[1], path=place, params={"columns": _text(entry[2])})


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _texts(params: dict[str, Any]) -> dict[str, str]:
    return {
        name: _text(value)
        for name, value in params.items()
        if name not in _SPEED and name not in _HOLDING
    }


# --- Keras ---


def _is_keras(thing: Any) -> bool:  # noqa: ANN401
    return any(base.__module__.partition(".")[0] in {"keras", "tf_keras"} for base in _bases(thing))


def _bases(thing: Any) -> tuple[type, ...]:  # noqa: ANN401
    return type(thing).__mro__


def _layers(thing: Any, path: str = "") -> Iterator[PreprocessingStep]:  # noqa: ANN401
    """Yield the preprocessing layers of a model, those of models inside it, or the one itself."""
    if any(".preprocessing." in f"{base.__module__}." for base in _bases(thing)):
        config = thing.get_config()
        params = {name: value for name, value in config.items() if name not in _LAYER_WORDS}
        yield PreprocessingStep(
            kind=type(thing).__qualname__,
            path=path or str(thing.name),
            params=_texts(params),
            digest=_class_digest(type(thing)),
        )
        return
    inner = [*getattr(thing, "layers", ()), *filter(None, [getattr(thing, "layer", None)])]
    for layer in inner:
        yield from _layers(layer, _join(path, str(layer.name)))


# --- values as text ---


def _class_digest(kind: type) -> str:
    """Hash the source of a class that the user wrote; a library's is told by its version."""
    return source_digest(kind) if _is_own(kind.__module__) else ""


def _is_own(module: str) -> bool:
    return module == "__main__" or is_local(module)


def _text(value: Any, depth: int = 0) -> str:  # noqa: ANN401, PLR0911 - one a kind
    """Write a parameter so that equal ones read alike in every process."""
    if depth > _DEEPEST:
        return type(value).__qualname__
    if value is None or isinstance(value, str | bool | int | float):
        return str(value)
    if isinstance(value, dict):
        pairs = (f"{_text(key)}: {_text(item, depth + 1)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(_text(item, depth + 1) for item in value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_text(item, depth + 1) for item in value) + "]"
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, types.FunctionType):
        return f"{value.__qualname__} {source_digest(value)}"
    if _is_estimator(value):
        return f"{type(value).__qualname__}({_text(_texts(value.get_params(deep=False)), depth)})"
    if hasattr(value, "tobytes") and hasattr(value, "dtype") and hasattr(value, "shape"):
        return _array_text(value)
    shows_itself = any("__repr__" in vars(base) for base in type(value).__mro__[:-1])
    if not shows_itself and hasattr(value, "__dict__"):
        return f"{type(value).__qualname__}({_text(dict(sorted(vars(value).items())), depth + 1)})"
    return _ADDRESS.sub("", repr(value))


def _array_text(value: Any) -> str:  # noqa: ANN401 - an array of any library
    if getattr(value, "size", MAX_ELEMENTS + 1) <= MAX_ELEMENTS:
        return str(value.tolist())
    shape = tuple(value.shape)
    return f"{value.dtype} {shape} sha256:{sha256(value.tobytes()).hexdigest()}"
