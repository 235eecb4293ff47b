"""LightGBM models: a booster as LightGBM's own text, an estimator as skops; no code in either."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, MissingExtraError, UnsafeModelError
from loopline.models.fetch import fetch_flavor
from loopline.models.folder import About, Written, write_folder
from loopline.models.log import log_folder
from loopline.models.mlmodel import inside
from loopline.models.safe_skops import read_skops, write_skops

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loopline.models.log import ModelInfo
    from loopline.models.mlmodel import MLModel
    from loopline.models.schema import Signature

__all__ = ["FLAVOR", "load_folder", "load_model", "log_model", "predictor", "save_model"]

FLAVOR = "lightgbm"

_BOOSTER = "lightgbm.basic.Booster"
_ESTIMATORS = tuple(
    f"lightgbm.sklearn.{name}"
    for name in ("LGBMClassifier", "LGBMModel", "LGBMRanker", "LGBMRegressor")
)
#: Types that an estimator's file may hold: all of them keep numbers and text, and a booster is
#: rebuilt from LightGBM's own text.
_TRUSTED = (
    "collections.OrderedDict",
    "collections.defaultdict",
    _BOOSTER,
    *_ESTIMATORS,
    "lightgbm.sklearn._LGBMLabelEncoder",
)


def log_model(  # noqa: PLR0913 - MLflow's names
    lgb_model: Any,  # noqa: ANN401 - a booster or an estimator
    artifact_path: str | None = None,
    *,
    name: str | None = None,
    registered_model_name: str | None = None,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
) -> ModelInfo:
    """Log a LightGBM model to the active run, starting one if there is none.

    Args:
        lgb_model: A ``Booster``, or a fitted ``LGBMRegressor`` or one of its kin.
        artifact_path: Folder among the run's artifacts; ``"model"`` unless said.
        name: The same, under its newer name.
        registered_model_name: Also make the next version of this registered model.
        signature: What the model takes and gives; inferred from the example when left out.
        input_example: A few rows, kept beside the model.
        pip_requirements: Instead of the inferred requirements: lines, or the path of a file.
        extra_pip_requirements: Added to the inferred ones.
        metadata: Anything to keep in the MLmodel file.
        tags: Tags of the registered version.

    Returns:
        Where it lies and what it is.

    Raises:
        InvalidInputError: It is no LightGBM model.
        UnsafeModelError: An estimator that skops could not load back safely, such as one with
            an objective of the user's own.

    Example:
        >>> loopline.lightgbm.log_model(booster, registered_model_name="taxifare_model")
    """
    return log_folder(
        write=_writer(lgb_model),
        predict=lambda data: _predict(lgb_model, data),
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
    lgb_model: Any,  # noqa: ANN401 - a booster or an estimator
    path: str | Path,
    *,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save a LightGBM model as a folder; arguments as those of ``log_model``.

    Raises:
        AlreadyExistsError: There is something at ``path``.
        InvalidInputError: It is no LightGBM model.
        UnsafeModelError: skops could not load it back safely.
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
        write=_writer(lgb_model),
        predict=lambda data: _predict(lgb_model, data),
    )


def load_model(model_uri: str | Path, *, allow_pickle: bool = False) -> Any:  # noqa: ANN401 - as logged
    """Load a LightGBM model as what it was: a booster or an estimator.

    Args:
        model_uri: ``models:/name/3``, ``models:/name/Production``, ``models:/name@alias``,
            ``runs:/<run id>/model``, or the path of a folder.
        allow_pickle: Allow code from the file to run, as loading a pickle of MLflow's does.

    Raises:
        NotFoundError: There is no such model.
        IntegrityError: A file of it is not the one that was logged.
        UnsafeModelError: Loading would run code from the file, and nobody allowed that.
    """
    folder, model = fetch_flavor(model_uri, FLAVOR)
    return load_folder(folder, model, allow_pickle=allow_pickle)


def load_folder(folder: Path, model: MLModel, *, allow_pickle: bool = False) -> Any:  # noqa: ANN401 - as logged
    """Load the model from a model folder, written by MLflow or by Loopline."""
    settings = model.flavors[FLAVOR]
    path = inside(folder, str(settings.get("data", "model.lgb")))
    lightgbm = _require()
    if settings.get("model_class", _BOOSTER) == _BOOSTER:
        return lightgbm.Booster(model_file=path)
    # Whatever a file says of itself, it reaches pickle only by way of allow_pickle.
    if settings.get("serialization_format") == "skops":
        return read_skops(path, trusted=_TRUSTED, trust_all=allow_pickle)
    if not allow_pickle:
        msg = (
            f"{path.name} is a pickle, and loading it would run code from the file. If you know "
            "where it comes from, load it with allow_pickle=True; logged again by Loopline it is "
            "safe."
        )
        raise UnsafeModelError(msg)
    import cloudpickle

    with path.open("rb") as file:
        return cloudpickle.load(file)


def predictor(native: Any, _model: MLModel) -> Callable[..., Any]:  # noqa: ANN401 - as logged
    """Give the function that generic scoring calls."""

    def predict(data: Any, **options: Any) -> Any:  # noqa: ANN401 - any kind of data
        return _predict(native, data, **options)

    return predict


def _predict(native: Any, data: Any, **options: Any) -> Any:  # noqa: ANN401 - any kind of data
    """Ask a model; lists become arrays."""
    if not hasattr(data, "shape"):
        import numpy as np

        data = np.asarray(data)
    return native.predict(data, **options)


def _writer(lgb_model: Any) -> Callable[[Path], Written]:  # noqa: ANN401 - a booster or an estimator
    """Make the function that writes the model's own file."""
    lightgbm = _require()
    kind = f"{type(lgb_model).__module__}.{type(lgb_model).__qualname__}"
    if kind != _BOOSTER and kind not in _ESTIMATORS:
        msg = (
            f"{kind} is no LightGBM model. Give a Booster, or a fitted LGBMRegressor, "
            "LGBMClassifier or LGBMRanker."
        )
        raise InvalidInputError(msg)
    is_booster = kind == _BOOSTER
    file_name = "model.lgb" if is_booster else "model.skops"

    def write(folder: Path) -> Written:
        trusted = None
        if is_booster:
            lgb_model.save_model(folder / file_name)
        else:
            trusted = write_skops(lgb_model, folder / file_name, trusted=_TRUSTED)
        settings = {
            "code": None,
            "data": file_name,
            "lgb_version": lightgbm.__version__,
            "model_class": kind,
            "serialization_format": "skops",
            # MLflow trusts what stands here; Loopline's loader has its own list.
            "skops_trusted_types": trusted,
        }
        loader = {"loader_module": "mlflow.lightgbm", "data": file_name}
        estimators = [] if is_booster else ["scikit-learn", "skops"]
        return Written(FLAVOR, settings, loader, ["lightgbm", "numpy", *estimators])

    return write


def _require() -> Any:  # noqa: ANN401 - a module that may not be there
    from importlib import import_module

    try:
        return import_module("lightgbm")
    except ImportError:
        purpose = "A LightGBM model"
        raise MissingExtraError(package="lightgbm", extra="lightgbm", purpose=purpose) from None
