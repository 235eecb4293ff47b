"""Keras 3 models on any backend: the ``.keras`` file, loaded in Keras's safe mode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, UnsafeModelError
from loopline.models.fetch import fetch_flavor
from loopline.models.folder import About, Written, write_folder
from loopline.models.keras_backend import import_keras
from loopline.models.log import log_folder
from loopline.models.mlmodel import inside
from loopline.models.requirements import installed_version
from loopline.models.signature import is_array, is_series, is_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loopline.models.log import ModelInfo
    from loopline.models.mlmodel import MLModel
    from loopline.models.schema import Signature

__all__ = ["FLAVOR", "load_folder", "load_model", "log_model", "predictor", "save_model"]

FLAVOR = "keras"
MODEL_FILE = "model.keras"
MODULE_FILE = "keras_module.txt"

#: Distributions of each backend of Keras.
_DISTRIBUTIONS = {"jax": "jax", "tensorflow": "tensorflow", "torch": "torch"}


def log_model(  # noqa: PLR0913 - MLflow's names
    keras_model: Any,  # noqa: ANN401 - any Keras model
    artifact_path: str | None = None,
    keras_module: str | None = None,
    registered_model_name: str | None = None,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    *,
    name: str | None = None,
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
) -> ModelInfo:
    """Log a Keras model to the active run, starting one if there is none.

    Args:
        keras_model: A Keras 3 model, on any backend.
        artifact_path: Folder among the run's artifacts; ``"model"`` unless said.
        keras_module: Module the model was made with, such as ``"tensorflow.keras"``. It is
            written down and not imported: loading takes Keras 3 whatever it says.
        registered_model_name: Also make the next version of this registered model.
        signature: What the model takes and gives; inferred from the example when left out.
        input_example: A few rows, kept beside the model.
        name: The same as ``artifact_path``, under its newer name.
        pip_requirements: Instead of the inferred requirements: lines, or the path of a file.
        extra_pip_requirements: Added to the inferred ones.
        metadata: Anything to keep in the MLmodel file.
        tags: Tags of the registered version.

    Returns:
        Where it lies and what it is.

    Raises:
        InvalidInputError: It is no Keras 3 model.

    Example:
        >>> loopline.keras.log_model(keras_model=model, artifact_path="model",
        ...                          keras_module="tensorflow.keras",
        ...                          registered_model_name="taxifare_model")
    """
    about = About(
        signature=signature,
        input_example=input_example,
        pip_requirements=pip_requirements,
        extra_pip_requirements=extra_pip_requirements,
        metadata=metadata,
    )
    return log_folder(
        write=_writer(keras_model, keras_module),
        predict=lambda data: _predict(keras_model, data),
        about=about,
        artifact_path=name or artifact_path,
        registered_model_name=registered_model_name,
        tags=tags,
        native=keras_model,
    )


def save_model(
    keras_model: Any,  # noqa: ANN401 - any Keras model
    path: str | Path,
    keras_module: str | None = None,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    *,
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save a Keras model as a folder; arguments as those of ``log_model``.

    Raises:
        AlreadyExistsError: There is something at ``path``.
        InvalidInputError: It is no Keras 3 model.
    """
    about = About(
        signature=signature,
        input_example=input_example,
        pip_requirements=pip_requirements,
        extra_pip_requirements=extra_pip_requirements,
        metadata=metadata,
    )
    write_folder(
        Path(path),
        about,
        write=_writer(keras_model, keras_module),
        predict=lambda data: _predict(keras_model, data),
    )


def load_model(
    model_uri: str | Path,
    *,
    allow_pickle: bool = False,
    custom_objects: dict[str, Any] | None = None,
) -> Any:  # noqa: ANN401 - any Keras model
    """Load a Keras model, on whichever backend this process uses.

    Args:
        model_uri: ``models:/name/3``, ``models:/name/Production``, ``models:/name@alias``,
            ``runs:/<run id>/model``, or the path of a folder.
        allow_pickle: Allow code from the file to run, such as a ``Lambda`` layer's.
        custom_objects: Your own layers, losses and metrics, by name.

    Raises:
        NotFoundError: There is no such model.
        IntegrityError: A file of it is not the one that was logged.
        UnsafeModelError: Loading would run code from the file, and nobody allowed that.
    """
    folder, model = fetch_flavor(model_uri, FLAVOR)
    return load_folder(folder, model, allow_pickle=allow_pickle, custom_objects=custom_objects)


def load_folder(
    folder: Path,
    model: MLModel,
    *,
    allow_pickle: bool = False,
    custom_objects: dict[str, Any] | None = None,
) -> Any:  # noqa: ANN401 - any Keras model
    """Load the model from a model folder, written by MLflow or by Loopline."""
    data = str(model.flavors[FLAVOR].get("data", "data"))
    path = inside(folder, f"{data}/{MODEL_FILE}")
    keras = import_keras()
    try:
        return keras.saving.load_model(
            path, custom_objects=custom_objects, safe_mode=not allow_pickle
        )
    except ValueError as error:
        if allow_pickle or not _is_refusal(error):
            raise
        msg = (
            f"{path.name} holds code, such as a Lambda layer's, and loading it would run that "
            "code. If you know where it comes from, load it with allow_pickle=True; a layer "
            "class of your own, given in custom_objects, needs no code in the file."
        )
        raise UnsafeModelError(msg) from error


def predictor(native: Any, _model: MLModel) -> Callable[..., Any]:  # noqa: ANN401 - any Keras model
    """Give the function that generic scoring calls."""

    def predict(data: Any, **options: Any) -> Any:  # noqa: ANN401 - any kind of data
        return _predict(native, data, **options)

    return predict


def _predict(model: Any, data: Any, **options: Any) -> Any:  # noqa: ANN401 - any kind of data
    """Ask a model in silence; tables become arrays, or a dict of arrays by input name."""
    if is_table(data):
        named = [tensor.name for tensor in model.inputs]
        data = (
            {name: data[name].to_numpy() for name in named}
            if len(named) > 1 and set(named) <= set(data.columns)
            else data.to_numpy()
        )
    elif is_series(data):
        data = data.to_numpy()
    elif isinstance(data, (list, tuple)) and not any(is_array(part) for part in data):
        import numpy as np

        data = np.asarray(data)
    return model.predict(data, **{"verbose": 0, **options})


def _is_refusal(error: ValueError) -> bool:
    """Whether Keras would load it outside of its safe mode."""
    text = str(error).lower()
    return "safe_mode" in text or "unsafe" in text


def _writer(keras_model: Any, keras_module: str | None) -> Callable[[Path], Written]:  # noqa: ANN401 - any Keras model
    """Make the function that writes the model's own files."""
    keras = import_keras()
    if not isinstance(keras_model, keras.Model):
        kind = f"{type(keras_model).__module__}.{type(keras_model).__qualname__}"
        msg = (
            f"{kind} is no Keras 3 model. Make it with `import keras` (any backend), or log an "
            "estimator with loopline.sklearn.log_model."
        )
        raise InvalidInputError(msg)

    def write(folder: Path) -> Written:
        data = folder / "data"
        data.mkdir()
        keras_model.save(data / MODEL_FILE)
        # MLflow imports what stands in this file, so it names the module that is really there.
        (data / MODULE_FILE).write_text("keras", encoding="utf-8")
        backend = keras.config.backend()
        settings = {
            "data": "data",
            "keras_backend": backend,
            "keras_module": keras_module or "keras",
            "keras_version": installed_version("keras"),
            "save_exported_model": False,
        }
        packages = ["keras", "numpy", _DISTRIBUTIONS.get(backend, backend)]
        return Written(FLAVOR, settings, {"loader_module": "mlflow.keras"}, packages)

    return write
