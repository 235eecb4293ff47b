"""PyTorch models: their state, and the names of their classes; code only where it is allowed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from loopline.errors import InvalidInputError, MissingExtraError, UnsafeModelError
from loopline.models.fetch import fetch_flavor
from loopline.models.folder import About, Written, write_folder
from loopline.models.log import log_folder
from loopline.models.mlmodel import inside
from loopline.models.python_pickle import CODE, add_code, copy_code, distributions_of
from loopline.models.safe_torch import read_state, write_state
from loopline.models.signature import is_table
from loopline.tracking.local_modules import find_modules, is_local

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loopline.models.log import ModelInfo
    from loopline.models.mlmodel import MLModel
    from loopline.models.schema import Signature

__all__ = ["FLAVOR", "load_folder", "load_model", "log_model", "predictor", "save_model"]

FLAVOR = "pytorch"
DATA = "data"
FILE = "model.pth"
EXPORTED = "model.pt2"

Format = Literal["state", "cloudpickle"]


def log_model(  # noqa: PLR0913 - MLflow's names
    pytorch_model: Any,  # noqa: ANN401 - a torch.nn.Module
    artifact_path: str | None = None,
    *,
    name: str | None = None,
    registered_model_name: str | None = None,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    serialization_format: Format = "state",
    trusted_types: Sequence[type] = (),
    code_paths: Sequence[str | Path] = (),
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
) -> ModelInfo:
    """Log a PyTorch model to the active run, starting one if there is none.

    Args:
        pytorch_model: A ``torch.nn.Module``.
        artifact_path: Folder among the run's artifacts; ``"model"`` unless said.
        name: The same, under its newer name.
        registered_model_name: Also make the next version of this registered model.
        signature: What the model takes and gives; inferred from the example when left out.
        input_example: A few rows, kept beside the model.
        serialization_format: ``"state"`` keeps tensors and the names of classes, and is read
            without running code from the file. ``"cloudpickle"`` takes any object, also classes
            of a script or notebook, and loading it runs code from the file.
        trusted_types: Classes of your own in the model, other than modules, that are safe to
            rebuild.
        code_paths: Source files and folders to put beside it; local modules with its classes are
            found without being named.
        pip_requirements: Instead of the inferred requirements: lines, or the path of a file.
        extra_pip_requirements: Added to the inferred ones.
        metadata: Anything to keep in the MLmodel file.
        tags: Tags of the registered version.

    Returns:
        Where it lies and what it is.

    Raises:
        InvalidInputError: It is no PyTorch module.
        UnsafeModelError: It could not be read back safely; the message says what to do.

    Example:
        >>> loopline.pytorch.log_model(net, registered_model_name="taxifare_model")
    """
    return log_folder(
        write=_writer(pytorch_model, serialization_format, trusted_types, code_paths),
        predict=lambda data: _predict(pytorch_model, data),
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
    pytorch_model: Any,  # noqa: ANN401 - a torch.nn.Module
    path: str | Path,
    *,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    serialization_format: Format = "state",
    trusted_types: Sequence[type] = (),
    code_paths: Sequence[str | Path] = (),
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save a PyTorch model as a folder; arguments as those of ``log_model``.

    Raises:
        AlreadyExistsError: There is something at ``path``.
        InvalidInputError: It is no PyTorch module.
        UnsafeModelError: It could not be read back safely; the message says what to do.
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
        write=_writer(pytorch_model, serialization_format, trusted_types, code_paths),
        predict=lambda data: _predict(pytorch_model, data),
    )


def load_model(
    model_uri: str | Path,
    *,
    allow_pickle: bool = False,
    trusted_types: Sequence[type] = (),
    map_location: Any = "cpu",  # noqa: ANN401 - as torch.load
) -> Any:  # noqa: ANN401 - as logged
    """Load a PyTorch model.

    Args:
        model_uri: ``models:/name/3``, ``models:/name/Production``, ``models:/name@alias``,
            ``runs:/<run id>/model``, or the path of a folder.
        allow_pickle: Allow code from the file to run, and that which was kept beside it.
        trusted_types: Classes in the model that this process has not imported by their names.
        map_location: Where its tensors go; as in ``torch.load``.

    Raises:
        NotFoundError: There is no such model.
        IntegrityError: A file of it is not the one that was logged.
        UnsafeModelError: Loading would run code from the file, and nobody allowed that.
    """
    folder, model = fetch_flavor(model_uri, FLAVOR)
    return load_folder(
        folder,
        model,
        allow_pickle=allow_pickle,
        trusted_types=trusted_types,
        map_location=map_location,
    )


def load_folder(
    folder: Path,
    model: MLModel,
    *,
    allow_pickle: bool = False,
    trusted_types: Sequence[type] = (),
    map_location: Any = "cpu",  # noqa: ANN401 - as torch.load
) -> Any:  # noqa: ANN401 - a module
    """Load the module from a model folder, written by MLflow or by Loopline."""
    settings = model.flavors[FLAVOR]
    data = inside(folder, str(settings.get("model_data", DATA)))
    torch = _require()
    if allow_pickle:
        add_code(folder, settings)
    if not (data / FILE).exists() and (data / EXPORTED).exists():
        if not allow_pickle:
            msg = (
                f"{EXPORTED} is an exported program, and reading it may run code from the file. If "
                "you know where it comes from, load it with allow_pickle=True."
            )
            raise UnsafeModelError(msg)
        return torch.export.load(inside(folder, f"{data.name}/{EXPORTED}")).module()
    path = inside(folder, f"{data.relative_to(folder.resolve())}/{FILE}")
    native = (
        torch.load(path, map_location=map_location, weights_only=False)
        if allow_pickle
        else read_state(path, trusted=trusted_types, map_location=map_location)
    )
    return native.eval()


def predictor(native: Any, _model: MLModel) -> Callable[..., Any]:  # noqa: ANN401 - as logged
    """Give the function that generic scoring calls."""

    def predict(data: Any, **options: Any) -> Any:  # noqa: ANN401 - any kind of data
        return _predict(native, data, **options)

    return predict


def _predict(native: Any, data: Any, **options: Any) -> Any:  # noqa: ANN401 - any kind of data
    """Ask a module without learning: a table gives a table, arrays give arrays."""
    import numpy as np

    torch = _require()
    device = next((tensor.device for tensor in native.parameters()), None)

    def tensor(value: Any) -> Any:  # noqa: ANN401 - whatever an array is made of
        array = np.asarray(value)
        # Numbers of lists and tables are doubles by default, which no layer takes.
        array = array.astype(np.float32) if not hasattr(value, "dtype") else array
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    was_training = native.training
    native.eval()
    try:
        with torch.no_grad():
            if is_table(data):
                found = native(tensor(data.to_numpy(dtype=np.float32)), **options)
            elif isinstance(data, dict):
                found = native(**{name: tensor(value) for name, value in data.items()}, **options)
            else:
                found = native(tensor(data), **options)
    finally:
        native.train(was_training)
    if is_table(data) and isinstance(found, torch.Tensor):
        import pandas as pd

        return pd.DataFrame(found.cpu().numpy(), index=data.index)
    return _as_arrays(found)


def _as_arrays(found: Any) -> Any:  # noqa: ANN401 - what a module gives
    if isinstance(found, dict):
        return {name: _as_arrays(value) for name, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [_as_arrays(value) for value in found]
    return found.cpu().numpy() if hasattr(found, "cpu") else found


def _writer(
    pytorch_model: Any,  # noqa: ANN401 - a torch.nn.Module
    serialization_format: str,
    trusted: Sequence[type],
    code_paths: Sequence[str | Path],
) -> Callable[[Path], Written]:
    """Make the function that writes the model's own files."""
    if serialization_format not in {"state", "cloudpickle"}:
        msg = (
            f"There is no serialization_format {serialization_format!r}. Use 'state', which is "
            "safe to load, or 'cloudpickle', which takes any object."
        )
        raise InvalidInputError(msg)
    torch = _require()
    if not isinstance(pytorch_model, torch.nn.Module):
        kind = f"{type(pytorch_model).__module__}.{type(pytorch_model).__qualname__}"
        msg = f"{kind} is no torch.nn.Module. Log any other object with loopline.pyfunc.log_model."
        raise InvalidInputError(msg)

    def write(folder: Path) -> Written:
        data = folder / DATA
        data.mkdir()
        if serialization_format == "state":
            write_state(pytorch_model, data / FILE, trusted=trusted)
        else:
            torch.save(pytorch_model, data / FILE, pickle_module=import_module("cloudpickle"))
        # MLflow reads it with the module that stands here.
        (data / "pickle_module_info.txt").write_text("pickle", encoding="utf-8")
        modules = {type(each).__module__ for each in pytorch_model.modules()}
        found = find_modules(name for name in modules if is_local(name))
        has_code = copy_code(folder, found.files, code_paths)
        settings = {
            "code": CODE if has_code else None,
            "model_data": DATA,
            "pytorch_version": str(torch.__version__),  # Its own kind of text.
            "serialization_format": serialization_format,
        }
        loader = {
            "loader_module": "mlflow.pytorch",
            "data": DATA,
            "pickle_module_name": "pickle",
            "code": settings["code"],
        }
        installed = {name.partition(".")[0] for name in modules} | found.packages
        packages = ["torch", "numpy", *distributions_of(installed - {"torch", "__main__"})]
        if serialization_format == "cloudpickle":
            packages.append("cloudpickle")
        return Written(FLAVOR, settings, loader, packages)

    return write


def _require() -> Any:  # noqa: ANN401 - a module that may not be there
    try:
        return import_module("torch")
    except ImportError:
        raise MissingExtraError("torch", extra="torch", purpose="A PyTorch model") from None
