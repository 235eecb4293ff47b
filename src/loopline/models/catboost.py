"""CatBoost models in CatBoost's own formats, binary or JSON: data, and no code."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from loopline.errors import (
    IntegrityError,
    InvalidInputError,
    MissingExtraError,
    UnsupportedError,
)
from loopline.models.fetch import fetch_flavor
from loopline.models.folder import About, Written, write_folder
from loopline.models.log import log_folder
from loopline.models.mlmodel import inside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loopline.models.log import ModelInfo
    from loopline.models.mlmodel import MLModel
    from loopline.models.schema import Signature

__all__ = ["FLAVOR", "load_folder", "load_model", "log_model", "predictor", "save_model"]

FLAVOR = "catboost"

Format = Literal["cbm", "json"]

#: What a model may be. A name in a file makes an object of one of these, or none.
_CLASSES = ("CatBoost", "CatBoostClassifier", "CatBoostRanker", "CatBoostRegressor")
_FILES = {"cbm": "model.cb", "json": "model.json"}


def log_model(  # noqa: PLR0913 - MLflow's names
    cb_model: Any,  # noqa: ANN401 - a fitted model
    artifact_path: str | None = None,
    *,
    name: str | None = None,
    registered_model_name: str | None = None,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    model_format: Format = "cbm",
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
) -> ModelInfo:
    """Log a CatBoost model to the active run, starting one if there is none.

    Args:
        cb_model: A fitted ``CatBoost``, ``CatBoostRegressor`` or one of their kin.
        artifact_path: Folder among the run's artifacts; ``"model"`` unless said.
        name: The same, under its newer name.
        registered_model_name: Also make the next version of this registered model.
        signature: What the model takes and gives; inferred from the example when left out.
        input_example: A few rows, kept beside the model.
        model_format: ``"cbm"`` (binary) or ``"json"``.
        pip_requirements: Instead of the inferred requirements: lines, or the path of a file.
        extra_pip_requirements: Added to the inferred ones.
        metadata: Anything to keep in the MLmodel file.
        tags: Tags of the registered version.

    Returns:
        Where it lies and what it is.

    Raises:
        InvalidInputError: It is no fitted CatBoost model.

    Example:
        >>> loopline.catboost.log_model(model, registered_model_name="taxifare_model")
    """
    return log_folder(
        write=_writer(cb_model, model_format),
        predict=lambda data: _predict(cb_model, data),
        about=About(
            signature=signature,
            input_example=input_example,
            pip_requirements=pip_requirements,
            extra_pip_requirements=extra_pip_requirements,
            metadata=metadata,
        ),
        artifact_path=name or artifact_path,
        registered_model_name=registered_model_name,
        tags=tags,
    )


def save_model(
    cb_model: Any,  # noqa: ANN401 - a fitted model
    path: str | Path,
    *,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    model_format: Format = "cbm",
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save a CatBoost model as a folder; arguments as those of ``log_model``.

    Raises:
        AlreadyExistsError: There is something at ``path``.
        InvalidInputError: It is no fitted CatBoost model.
    """
    write_folder(
        Path(path),
        About(
            signature=signature,
            input_example=input_example,
            pip_requirements=pip_requirements,
            extra_pip_requirements=extra_pip_requirements,
            metadata=metadata,
        ),
        write=_writer(cb_model, model_format),
        predict=lambda data: _predict(cb_model, data),
    )


def load_model(model_uri: str | Path, *, allow_pickle: bool = False) -> Any:  # noqa: ANN401 - as logged
    """Load a CatBoost model.

    Args:
        model_uri: ``models:/name/3``, ``models:/name/Production``, ``models:/name@alias``,
            ``runs:/<run id>/model``, or the path of a folder.
        allow_pickle: Not needed: the formats hold no code.

    Raises:
        NotFoundError: There is no such model.
        IntegrityError: A file of it is not the one that was logged.
    """
    folder, model = fetch_flavor(model_uri, FLAVOR)
    return load_folder(folder, model, allow_pickle=allow_pickle)


def load_folder(folder: Path, model: MLModel, *, allow_pickle: bool = False) -> Any:  # noqa: ANN401, ARG001 - as every flavor
    """Load the model from a model folder, written by MLflow or by Loopline."""
    settings = model.flavors[FLAVOR]
    path = inside(folder, str(settings.get("model_binary", "model.cb")))
    named, kept_as = str(settings.get("model_type")), str(settings.get("save_format") or "cbm")
    if named not in _CLASSES or kept_as not in _FILES:
        msg = (
            f"The model says that it is a {named!r} kept as {kept_as!r}, and Loopline loads "
            f"{', '.join(_CLASSES)} kept as {' or '.join(_FILES)}. Load it with the library that "
            "wrote it."
        )
        raise UnsupportedError(msg)
    catboost = _require()
    native = getattr(catboost, named)()
    try:
        native.load_model(str(path), format=kept_as)
    except catboost.CatBoostError as error:
        msg = (
            f"CatBoost cannot read {path.name}: {error} Fetch the model again from where it was "
            "logged."
        )
        raise IntegrityError(msg) from error
    return native


def predictor(native: Any, _model: MLModel) -> Callable[..., Any]:  # noqa: ANN401 - as logged
    """Give the function that generic scoring calls."""

    def predict(data: Any, **options: Any) -> Any:  # noqa: ANN401 - any kind of data
        return _predict(native, data, **options)

    return predict


def _predict(native: Any, data: Any, **options: Any) -> Any:  # noqa: ANN401 - any kind of data
    return native.predict(data, **options)


def _writer(cb_model: Any, model_format: str) -> Callable[[Path], Written]:  # noqa: ANN401
    """Make the function that writes the model's own file."""
    if model_format not in _FILES:
        msg = f"There is no model_format {model_format!r}. Use 'cbm' or 'json'."
        raise InvalidInputError(msg)
    catboost = _require()
    kind = type(cb_model).__name__
    if not isinstance(cb_model, catboost.CatBoost) or kind not in _CLASSES:
        msg = (
            f"{type(cb_model).__module__}.{kind} is no CatBoost model. Give a fitted CatBoost, "
            "CatBoostRegressor, CatBoostClassifier or CatBoostRanker."
        )
        raise InvalidInputError(msg)
    if not cb_model.is_fitted():
        msg = f"The {kind} is not fitted. Call its fit() before it is logged."
        raise InvalidInputError(msg)
    file_name = _FILES[model_format]

    def write(folder: Path) -> Written:
        cb_model.save_model(str(folder / file_name), format=model_format)
        settings = {
            "catboost_version": catboost.__version__,
            "code": None,
            "model_binary": file_name,
            "model_type": kind,
            "save_format": model_format,
        }
        loader = {"loader_module": "mlflow.catboost", "data": file_name}
        return Written(FLAVOR, settings, loader, ["catboost", "numpy"])

    return write


def _require() -> Any:  # noqa: ANN401 - a module that may not be there
    try:
        return import_module("catboost")
    except ImportError:
        purpose = "A CatBoost model"
        raise MissingExtraError(package="catboost", extra="catboost", purpose=purpose) from None
