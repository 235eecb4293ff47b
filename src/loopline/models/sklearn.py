"""scikit-learn models: skops by default, which loads without running code from the file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from loopline.errors import InvalidInputError, MissingExtraError, UnsafeModelError
from loopline.models.fetch import fetch_flavor
from loopline.models.folder import About, Written, write_folder
from loopline.models.log import log_folder
from loopline.models.mlmodel import inside
from loopline.models.requirements import installed_version
from loopline.models.safe_skops import read_skops, write_skops

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loopline.models.log import ModelInfo
    from loopline.models.mlmodel import MLModel
    from loopline.models.schema import Signature

__all__ = ["FLAVOR", "load_folder", "load_model", "log_model", "predictor", "save_model"]

FLAVOR = "sklearn"

Format = Literal["skops", "cloudpickle"]


def log_model(  # noqa: PLR0913 - MLflow's names
    sk_model: Any,  # noqa: ANN401 - any estimator
    artifact_path: str | None = None,
    *,
    name: str | None = None,
    registered_model_name: str | None = None,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    serialization_format: Format = "skops",
    skops_trusted_types: Sequence[str] = (),
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    pyfunc_predict_fn: str = "predict",
    metadata: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
) -> ModelInfo:
    """Log a scikit-learn model to the active run, starting one if there is none.

    Args:
        sk_model: A fitted estimator or pipeline.
        artifact_path: Folder among the run's artifacts; ``"model"`` unless said.
        name: The same, under its newer name.
        registered_model_name: Also make the next version of this registered model.
        signature: What the model takes and gives; inferred from the example when left out.
        input_example: A few rows, kept beside the model.
        serialization_format: ``"skops"`` is safe to load. ``"cloudpickle"`` takes any object,
            and loading it runs code from the file.
        skops_trusted_types: Types of your own in the model that are safe to rebuild.
        pip_requirements: Instead of the inferred requirements: lines, or the path of a file.
        extra_pip_requirements: Added to the inferred ones.
        pyfunc_predict_fn: Method that generic scoring calls, such as ``"predict_proba"``.
        metadata: Anything to keep in the MLmodel file.
        tags: Tags of the registered version.

    Returns:
        Where it lies and what it is.

    Raises:
        UnsafeModelError: skops could not load it back safely; the message says what to do.

    Example:
        >>> loopline.sklearn.log_model(model, "model", registered_model_name="taxifare_model")
    """
    about = About(
        signature=signature,
        input_example=input_example,
        pip_requirements=pip_requirements,
        extra_pip_requirements=extra_pip_requirements,
        metadata=metadata,
    )
    return log_folder(
        write=_writer(sk_model, serialization_format, skops_trusted_types, pyfunc_predict_fn),
        predict=getattr(sk_model, pyfunc_predict_fn, None),
        about=about,
        artifact_path=name or artifact_path,
        registered_model_name=registered_model_name,
        tags=tags,
        native=sk_model,
    )


def save_model(  # noqa: PLR0913 - MLflow's names
    sk_model: Any,  # noqa: ANN401 - any estimator
    path: str | Path,
    *,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    serialization_format: Format = "skops",
    skops_trusted_types: Sequence[str] = (),
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    pyfunc_predict_fn: str = "predict",
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save a scikit-learn model as a folder; arguments as those of ``log_model``.

    Raises:
        AlreadyExistsError: There is something at ``path``.
        UnsafeModelError: skops could not load it back safely; the message says what to do.
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
        write=_writer(sk_model, serialization_format, skops_trusted_types, pyfunc_predict_fn),
        predict=getattr(sk_model, pyfunc_predict_fn, None),
    )


def load_model(
    model_uri: str | Path,
    *,
    allow_pickle: bool = False,
    skops_trusted_types: Sequence[str] = (),
) -> Any:  # noqa: ANN401 - any estimator
    """Load a scikit-learn model.

    Args:
        model_uri: ``models:/name/3``, ``models:/name/Production``, ``models:/name@alias``,
            ``runs:/<run id>/model``, or the path of a folder.
        allow_pickle: Allow code from the file to run, as loading a pickle does.
        skops_trusted_types: Types in the model that are safe to rebuild.

    Raises:
        NotFoundError: There is no such model.
        IntegrityError: A file of it is not the one that was logged.
        UnsafeModelError: Loading would run code from the file, and nobody allowed that.
    """
    folder, model = fetch_flavor(model_uri, FLAVOR)
    return load_folder(
        folder, model, allow_pickle=allow_pickle, skops_trusted_types=skops_trusted_types
    )


def load_folder(
    folder: Path,
    model: MLModel,
    *,
    allow_pickle: bool = False,
    skops_trusted_types: Sequence[str] = (),
) -> Any:  # noqa: ANN401 - any estimator
    """Load the estimator from a model folder, written by MLflow or by Loopline."""
    settings = model.flavors[FLAVOR]
    path = inside(folder, str(settings.get("pickled_model", "model.pkl")))
    # Whatever a file says of itself, it reaches pickle only by way of allow_pickle.
    if settings.get("serialization_format") == "skops":
        _require_sklearn()
        return read_skops(path, trusted=skops_trusted_types, trust_all=allow_pickle)
    if not allow_pickle:
        msg = (
            f"{path.name} is a pickle, and loading it would run code from the file. If you know "
            "where it comes from, load it with allow_pickle=True; saved again with "
            "serialization_format='skops' it is safe."
        )
        raise UnsafeModelError(msg)
    _require_sklearn()
    import cloudpickle

    with path.open("rb") as file:
        return cloudpickle.load(file)


def predictor(native: Any, model: MLModel) -> Callable[..., Any]:  # noqa: ANN401 - any estimator
    """Give the method that generic scoring calls."""
    name = str(model.flavors.get("python_function", {}).get("predict_fn", "predict"))
    method = getattr(native, name, None)
    if not callable(method):
        msg = (
            f"{type(native).__name__} has no method {name!r}. Log the model again with "
            "pyfunc_predict_fn= naming a method it has."
        )
        raise InvalidInputError(msg)
    return method  # type: ignore[no-any-return]


def _writer(
    sk_model: Any,  # noqa: ANN401 - any estimator
    serialization_format: str,
    trusted: Sequence[str],
    predict_fn: str,
) -> Callable[[Path], Written]:
    """Make the function that writes the model's own file."""
    if serialization_format not in {"skops", "cloudpickle"}:
        msg = (
            f"There is no serialization_format {serialization_format!r}. "
            "Use 'skops', which is safe to load, or 'cloudpickle', which takes any object."
        )
        raise InvalidInputError(msg)
    _require_sklearn()
    file_name = "model.skops" if serialization_format == "skops" else "model.pkl"

    def write(folder: Path) -> Written:
        if serialization_format == "skops":
            asked = write_skops(sk_model, folder / file_name, trusted=trusted)
        else:
            asked = []
            _write_pickle(sk_model, folder / file_name)
        settings = {
            "code": None,
            "pickled_model": file_name,
            "serialization_format": serialization_format,
            "sklearn_version": installed_version("scikit-learn"),
            # MLflow trusts what stands here; Loopline's loader has its own list.
            "skops_trusted_types": asked or None,
        }
        loader = {
            "loader_module": "mlflow.sklearn",
            "model_path": file_name,
            "predict_fn": predict_fn,
        }
        packages = ["scikit-learn", "numpy", "scipy", serialization_format]
        return Written(FLAVOR, settings, loader, packages)

    return write


def _write_pickle(sk_model: object, path: Path) -> None:
    import cloudpickle

    warnings.warn(
        "A pickle runs code from its file when it is loaded: load this model with "
        "allow_pickle=True, and prefer serialization_format='skops' where it works.",
        stacklevel=2,
    )
    with path.open("wb") as file:
        cloudpickle.dump(sk_model, file)


def _require_sklearn() -> None:
    try:
        import sklearn  # noqa: F401 - only asked for
    except ImportError:
        purpose = "A scikit-learn model"
        raise MissingExtraError(package="scikit-learn", extra="sklearn", purpose=purpose) from None
