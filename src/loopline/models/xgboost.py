"""XGBoost models in XGBoost's own formats, UBJSON or JSON: data, and no code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from loopline.errors import InvalidInputError, MissingExtraError, UnsupportedError
from loopline.models.fetch import fetch_flavor
from loopline.models.folder import About, Written, write_folder
from loopline.models.log import log_folder
from loopline.models.mlmodel import inside
from loopline.models.requirements import installed_version
from loopline.models.signature import is_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loopline.models.log import ModelInfo
    from loopline.models.mlmodel import MLModel
    from loopline.models.schema import Signature

__all__ = ["FLAVOR", "load_folder", "load_model", "log_model", "predictor", "save_model"]

FLAVOR = "xgboost"

Format = Literal["ubj", "json"]

#: What a model may be. A name in a file makes an object of one of these, or none.
_CLASSES = (
    "xgboost.core.Booster",
    *(
        f"xgboost.sklearn.{name}"
        for name in (
            "XGBClassifier",
            "XGBModel",
            "XGBRFClassifier",
            "XGBRFRegressor",
            "XGBRanker",
            "XGBRegressor",
        )
    ),
)


def log_model(  # noqa: PLR0913 - MLflow's names
    xgb_model: Any,  # noqa: ANN401 - a booster or an estimator
    artifact_path: str | None = None,
    *,
    name: str | None = None,
    registered_model_name: str | None = None,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    model_format: Format = "ubj",
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
) -> ModelInfo:
    """Log an XGBoost model to the active run, starting one if there is none.

    Args:
        xgb_model: A ``Booster``, or a fitted ``XGBRegressor`` or one of its kin.
        artifact_path: Folder among the run's artifacts; ``"model"`` unless said.
        name: The same, under its newer name.
        registered_model_name: Also make the next version of this registered model.
        signature: What the model takes and gives; inferred from the example when left out.
        input_example: A few rows, kept beside the model.
        model_format: ``"ubj"`` (binary) or ``"json"``.
        pip_requirements: Instead of the inferred requirements: lines, or the path of a file.
        extra_pip_requirements: Added to the inferred ones.
        metadata: Anything to keep in the MLmodel file.
        tags: Tags of the registered version.

    Returns:
        Where it lies and what it is.

    Raises:
        InvalidInputError: It is no XGBoost model.

    Example:
        >>> loopline.xgboost.log_model(booster, registered_model_name="taxifare_model")
    """
    return log_folder(
        write=_writer(xgb_model, model_format),
        predict=lambda data: _predict(xgb_model, data),
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
    xgb_model: Any,  # noqa: ANN401 - a booster or an estimator
    path: str | Path,
    *,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    model_format: Format = "ubj",
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save an XGBoost model as a folder; arguments as those of ``log_model``.

    Raises:
        AlreadyExistsError: There is something at ``path``.
        InvalidInputError: It is no XGBoost model.
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
        write=_writer(xgb_model, model_format),
        predict=lambda data: _predict(xgb_model, data),
    )


def load_model(model_uri: str | Path, *, allow_pickle: bool = False) -> Any:  # noqa: ANN401 - as logged
    """Load an XGBoost model as what it was: a booster or an estimator.

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
    from importlib import import_module

    settings = model.flavors[FLAVOR]
    path = inside(folder, str(settings.get("data", "model.xgb")))
    named = str(settings.get("model_class") or _CLASSES[0])
    if named not in _CLASSES:
        msg = (
            f"The model says that it is a {named!r}, and Loopline makes {', '.join(_CLASSES)} "
            "only. Load it with the library that wrote it."
        )
        raise UnsupportedError(msg)
    _require()
    module, _, kind = named.rpartition(".")
    native = getattr(import_module(module), kind)()
    native.load_model(path)
    return native


def predictor(native: Any, _model: MLModel) -> Callable[..., Any]:  # noqa: ANN401 - as logged
    """Give the function that generic scoring calls."""

    def predict(data: Any, **options: Any) -> Any:  # noqa: ANN401 - any kind of data
        return _predict(native, data, **options)

    return predict


def _predict(native: Any, data: Any, **options: Any) -> Any:  # noqa: ANN401 - any kind of data
    """Ask a model; a booster takes its own kind of matrix only."""
    if not hasattr(native, "attributes"):
        return native.predict(data, **options)
    xgboost = _require()
    if not is_table(data) and not hasattr(data, "shape"):
        import numpy as np

        data = np.asarray(data)
    if not isinstance(data, xgboost.DMatrix):
        data = xgboost.DMatrix(data)
    return native.predict(data, **options)


def _writer(xgb_model: Any, model_format: str) -> Callable[[Path], Written]:  # noqa: ANN401
    """Make the function that writes the model's own file."""
    if model_format not in {"ubj", "json"}:
        msg = f"There is no model_format {model_format!r}. Use 'ubj' or 'json'."
        raise InvalidInputError(msg)
    _require()
    kind = f"{type(xgb_model).__module__}.{type(xgb_model).__qualname__}"
    if kind not in _CLASSES:
        msg = (
            f"{kind} is no XGBoost model. Give a Booster, or a fitted XGBRegressor, "
            "XGBClassifier or XGBRanker."
        )
        raise InvalidInputError(msg)
    file_name = f"model.{model_format}"

    def write(folder: Path) -> Written:
        xgb_model.save_model(folder / file_name)
        settings = {
            "code": None,
            "data": file_name,
            "model_class": kind,
            "model_format": model_format,
            "xgb_version": _require().__version__,
        }
        loader = {"loader_module": "mlflow.xgboost", "data": file_name}
        estimators = [] if kind == _CLASSES[0] else ["scikit-learn"]
        library = "xgboost" if installed_version("xgboost") else "xgboost-cpu"
        return Written(FLAVOR, settings, loader, [library, "numpy", "scipy", *estimators])

    return write


def _require() -> Any:  # noqa: ANN401 - a module that may not be there
    from importlib import import_module

    try:
        return import_module("xgboost")
    except ImportError:
        purpose = "An XGBoost model"
        raise MissingExtraError(package="xgboost", extra="xgboost", purpose=purpose) from None
