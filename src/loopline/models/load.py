"""Loading a model whatever its flavor: the object that was logged comes back."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from loopline.errors import UnsupportedError
from loopline.models.fetch import fetch_folder
from loopline.models.mlmodel import read_mlmodel

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from loopline.models.mlmodel import MLModel

__all__ = ["FLAVORS", "find_flavor", "load_model"]

#: Module of each flavor that can be loaded, the most telling first.
FLAVORS = {
    "sklearn": "loopline.models.sklearn",
    "keras": "loopline.models.keras",
    "xgboost": "loopline.models.xgboost",
    "lightgbm": "loopline.models.lightgbm",
    "catboost": "loopline.models.catboost",
    "pytorch": "loopline.models.pytorch",
    "onnx": "loopline.models.onnx",
}

#: Module of each loader that ``python_function`` names where there is no flavor beside it.
LOADERS = {"mlflow.pyfunc.model": "loopline.models.python_model"}


def load_model(model_uri: str | Path, *, allow_pickle: bool = False) -> Any:  # noqa: ANN401 - any model
    """Load a model as the object that was logged: an estimator, a Keras model, ...

    Args:
        model_uri: ``models:/name/3``, ``models:/name/Production``, ``models:/name@alias``,
            ``models:/m-<id>`` (a logged model), ``runs:/<run id>/model``, or the path of a folder.
        allow_pickle: Allow code from the file to run, where its format needs that.

    Raises:
        NotFoundError: There is no such model.
        IntegrityError: A file of it is not the one that was logged.
        UnsafeModelError: Loading would run code from the file, and nobody allowed that.
        UnsupportedError: Loopline cannot load any of its flavors.
    """
    folder = fetch_folder(model_uri)
    model = read_mlmodel(folder)
    return find_flavor(model).load_folder(folder, model, allow_pickle=allow_pickle)


def find_flavor(model: MLModel) -> ModuleType:
    """Find the module that loads a model.

    Raises:
        UnsupportedError: There is none; the message names the flavors of both sides.
    """
    for flavor, module in FLAVORS.items():
        if flavor in model.flavors:
            return importlib.import_module(module)
    loader = model.flavors.get("python_function", {}).get("loader_module")
    if loader in LOADERS:
        return importlib.import_module(LOADERS[loader])
    msg = (
        f"The model's flavors are {', '.join(sorted(model.flavors))}, and Loopline loads "
        f"{', '.join(FLAVORS)}. Load it with the library that wrote it."
    )
    raise UnsupportedError(msg)
