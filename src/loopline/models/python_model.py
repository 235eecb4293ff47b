"""Any Python function or class as a model: MLflow's ``pyfunc``, with its code and its files.

It is a pickle, so loading it runs code: only with ``allow_pickle=True``, and after every file was
checked against the registered digest.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, UnsafeModelError, UnsupportedError
from loopline.models.folder import About, Written, write_folder
from loopline.models.log import log_folder
from loopline.models.mlmodel import inside
from loopline.models.python_base import PythonModel, PythonModelContext, WrappedModel, ask
from loopline.models.python_pickle import (
    CODE,
    add_code,
    copy_code,
    distributions_of,
    pickled,
    unpickle,
)
from loopline.models.requirements import installed_version
from loopline.rules.names import check_artifact_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from loopline.models.log import ModelInfo
    from loopline.models.mlmodel import MLModel
    from loopline.models.schema import Signature

__all__ = ["LOADER", "LoadedPythonModel", "load_folder", "log_model", "predictor", "save_model"]

FLAVOR = "python_function"
LOADER = "mlflow.pyfunc.model"
MODEL_FILE = "python_model.pkl"
ARTIFACTS = "artifacts"


class LoadedPythonModel:
    """A model of a user's own, loaded, with its files at hand.

    Attributes:
        python_model: What was logged: the function or the object.
        context: Tells where its files are.
    """

    def __init__(self, model: Any, context: PythonModelContext) -> None:  # noqa: ANN401 - any kind
        self._model = model
        self.context = context
        self.python_model = getattr(model, "inner", model)

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        """Ask the model, without looking at a signature."""
        return ask(self._model.predict, self.context, data, params)


def log_model(  # noqa: PLR0913 - MLflow's names
    python_model: Any,  # noqa: ANN401 - a function or an object
    artifact_path: str | None = None,
    *,
    name: str | None = None,
    artifacts: Mapping[str, str | Path] | None = None,
    code_paths: Sequence[str | Path] = (),
    registered_model_name: str | None = None,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
) -> ModelInfo:
    """Log a function or an object with ``predict`` as a model, starting a run if there is none.

    Loading it runs its code, so that needs ``allow_pickle=True``.

    Args:
        python_model: A function of the data; an instance of a ``PythonModel``; or any object
            with ``predict``.
        artifact_path: Folder among the run's artifacts; ``"model"`` unless said.
        name: The same, under its newer name.
        artifacts: Files and folders that the model gets with its context, by name: paths here,
            or addresses such as ``runs:/RUN_ID/encoder``.
        code_paths: Source files and folders to put beside it; local modules that it imports are
            found without being named.
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
        InvalidInputError: It cannot be called or pickled, or a file of it is not there.

    Example:
        >>> loopline.pyfunc.log_model(lambda trips: 3.0 + 2.5 * trips["distance"], "model")
    """
    writer = _Writer(python_model, artifacts or {}, code_paths)
    return log_folder(
        write=writer.write,
        predict=writer.predict,
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


def save_model(  # noqa: PLR0913 - MLflow's names
    path: str | Path,
    python_model: Any,  # noqa: ANN401 - a function or an object
    *,
    artifacts: Mapping[str, str | Path] | None = None,
    code_paths: Sequence[str | Path] = (),
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save a function or an object with ``predict`` as a folder; arguments as ``log_model``'s.

    Raises:
        AlreadyExistsError: There is something at ``path``.
        InvalidInputError: It cannot be called or pickled, or a file of it is not there.
    """
    writer = _Writer(python_model, artifacts or {}, code_paths)
    write_folder(
        Path(path),
        About(
            signature=signature,
            input_example=input_example,
            pip_requirements=pip_requirements,
            extra_pip_requirements=extra_pip_requirements,
            metadata=metadata,
        ),
        write=writer.write,
        predict=writer.predict,
    )


def load_folder(folder: Path, model: MLModel, *, allow_pickle: bool = False) -> LoadedPythonModel:
    """Load the model from a folder, written by MLflow or by Loopline.

    Raises:
        UnsafeModelError: Nobody allowed its code to run.
        UnsupportedError: It is kept in another way than as a pickle.
        MissingExtraError: It needs a package that is not installed, such as MLflow itself.
    """
    settings = model.flavors[FLAVOR]
    named = settings.get("python_model")
    if not named or settings.get("model_code_path") or settings.get("python_model_compression"):
        msg = (
            "The model is kept as a script or in a compressed pickle, and Loopline loads plain "
            "pickles. Load it with mlflow.pyfunc.load_model."
        )
        raise UnsupportedError(msg)
    path = inside(folder, str(named))
    if not allow_pickle:
        msg = (
            f"{path.name} is a pickle, and loading it would run code from the file. If you know "
            "where it comes from, load it with allow_pickle=True."
        )
        raise UnsafeModelError(msg)
    add_code(folder, settings)
    python_model = unpickle(path)
    kept = settings.get(ARTIFACTS) or {}
    places = {str(name): str(inside(folder, str(info["path"]))) for name, info in kept.items()}
    context = PythonModelContext(places)
    if hasattr(python_model, "load_context"):
        python_model.load_context(context)
    return LoadedPythonModel(python_model, context)


def predictor(native: LoadedPythonModel, _model: MLModel) -> Callable[..., Any]:
    """Give the function that generic scoring calls."""

    def predict(data: Any, **options: Any) -> Any:  # noqa: ANN401 - any kind of data
        return native.predict(data, options or None)

    return predict


class _Writer:
    """Writes a model of a user's own; afterwards it can be asked as whoever loads it will."""

    def __init__(
        self,
        python_model: Any,  # noqa: ANN401 - a function or an object
        artifacts: Mapping[str, str | Path],
        code_paths: Sequence[str | Path],
    ) -> None:
        if isinstance(python_model, type) or not (
            callable(python_model) or hasattr(python_model, "predict")
        ):
            msg = (
                f"{python_model!r} is no model. Give a function of the data, or an instance of a "
                "class that has `predict`."
            )
            raise InvalidInputError(msg)
        is_one = isinstance(python_model, PythonModel) or hasattr(
            python_model,
            "predict_type_hints",  # A model of MLflow's own kind.
        )
        self._model = python_model if is_one else WrappedModel(python_model)
        self._artifacts = artifacts
        self._code_paths = code_paths
        self._loaded: LoadedPythonModel | None = None

    def write(self, folder: Path) -> Written:
        """Write the model's files."""
        made = pickled(self._model)
        (folder / MODEL_FILE).write_bytes(made.data)
        places = self._copy_artifacts(folder)
        has_code = copy_code(folder, made.sources, self._code_paths)
        context = PythonModelContext({name: str(folder / path) for name, path in places.items()})
        self._loaded = LoadedPythonModel(made.copy, context)
        loader = {
            "loader_module": LOADER,
            "python_model": MODEL_FILE,
            "cloudpickle_version": installed_version("cloudpickle"),
            ARTIFACTS: {
                name: {"path": path, "uri": str(self._artifacts[name])}
                for name, path in places.items()
            },
            "code": CODE if has_code else None,
        }
        packages = [*distributions_of(made.packages), "cloudpickle"]
        return Written("", {}, loader, packages)

    def predict(self, data: Any) -> Any:  # noqa: ANN401 - any kind of data
        """Ask the copy that was read back, with the files where they lie now."""
        if self._loaded is None:
            return None
        made = self._loaded._model  # noqa: SLF001 - of this module
        if hasattr(made, "load_context"):
            made.load_context(self._loaded.context)
        return self._loaded.predict(data)

    def _copy_artifacts(self, folder: Path) -> dict[str, str]:
        """Copy the files that the model is given; return where each lies in the folder."""
        from loopline.backend.recorder import get_recorder
        from loopline.tracking.artifacts import download

        places = {}
        for name, uri in self._artifacts.items():
            source = download(get_recorder(), str(uri))
            place = f"{ARTIFACTS}/{check_artifact_path(f'{name}/{source.name}')}"
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copyfile(source, target)
            places[name] = place
        return places
