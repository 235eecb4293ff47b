"""ONNX models: a graph of known operators and numbers, run by ONNX Runtime."""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, MissingExtraError
from loopline.models.fetch import fetch_flavor
from loopline.models.folder import About, Written, write_folder
from loopline.models.log import log_folder
from loopline.models.mlmodel import inside
from loopline.models.onnx_files import check_external_data, read_onnx
from loopline.models.signature import is_array, is_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loopline.models.log import ModelInfo
    from loopline.models.mlmodel import MLModel
    from loopline.models.schema import Signature

__all__ = ["FLAVOR", "load_folder", "load_model", "log_model", "predictor", "save_model"]

FLAVOR = "onnx"
FILE = "model.onnx"

#: From this many bytes on, numbers lie in a file beside the graph: protobuf holds no 2 GiB.
EXTERNAL_FROM_BYTES = 2**30


def log_model(  # noqa: PLR0913 - MLflow's names
    onnx_model: Any,  # noqa: ANN401 - an onnx.ModelProto
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
    """Log an ONNX model to the active run, starting one if there is none.

    Args:
        onnx_model: An ``onnx.ModelProto``.
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
        InvalidInputError: It is no valid ONNX model.

    Example:
        >>> loopline.onnx.log_model(onnx_model, registered_model_name="taxifare_model")
    """
    return log_folder(
        write=_writer(onnx_model),
        predict=lambda data: _predict(onnx_model, data),
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
    onnx_model: Any,  # noqa: ANN401 - an onnx.ModelProto
    path: str | Path,
    *,
    signature: Signature | None = None,
    input_example: Any = None,  # noqa: ANN401 - any kind of data
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save an ONNX model as a folder; arguments as those of ``log_model``.

    Raises:
        AlreadyExistsError: There is something at ``path``.
        InvalidInputError: It is no valid ONNX model.
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
        write=_writer(onnx_model),
        predict=lambda data: _predict(onnx_model, data),
    )


def load_model(model_uri: str | Path, *, allow_pickle: bool = False) -> Any:  # noqa: ANN401 - as logged
    """Load an ONNX model.

    Args:
        model_uri: ``models:/name/3``, ``models:/name/Production``, ``models:/name@alias``,
            ``runs:/<run id>/model``, or the path of a folder.
        allow_pickle: Not needed: the format holds no code.

    Raises:
        NotFoundError: There is no such model.
        IntegrityError: A file of it is not the one that was logged.
        UnsafeModelError: Loading would run code from the file, and nobody allowed that.
    """
    folder, model = fetch_flavor(model_uri, FLAVOR)
    return load_folder(folder, model, allow_pickle=allow_pickle)


def load_folder(folder: Path, model: MLModel, *, allow_pickle: bool = False) -> Any:  # noqa: ANN401, ARG001 - as every flavor
    """Load the ``onnx.ModelProto`` from a model folder, written by MLflow or by Loopline.

    Execution providers and session options in MLmodel are left aside: they may name libraries.
    """
    path = inside(folder, str(model.flavors[FLAVOR].get("data", FILE)))
    _require("onnx")
    return read_onnx(path)


def predictor(native: Any, _model: MLModel) -> Callable[..., Any]:  # noqa: ANN401 - as logged
    """Give the function that generic scoring calls; the model is made ready to run once."""
    session = _session(native)

    def predict(data: Any) -> Any:  # noqa: ANN401 - any kind of data
        return _run(session, data)

    return predict


def _predict(native: Any, data: Any) -> Any:  # noqa: ANN401 - any kind of data
    return _run(_session(native), data)


def _session(native: Any) -> Any:  # noqa: ANN401 - a session without types
    onnxruntime = _require("onnxruntime")
    providers = ["CPUExecutionProvider"]
    if native.ByteSize() < EXTERNAL_FROM_BYTES:
        return onnxruntime.InferenceSession(native.SerializeToString(), providers=providers)
    with tempfile.TemporaryDirectory(prefix="loopline-onnx-") as folder:
        path = Path(folder) / FILE
        _write(native, path)
        return onnxruntime.InferenceSession(path, providers=providers)


def _run(session: Any, data: Any) -> Any:  # noqa: ANN401 - any kind of data
    """Ask a session: a table gives a table, arrays give a dict of arrays, as with MLflow."""
    import numpy as np

    inputs = {each.name: each.type for each in session.get_inputs()}
    names = [each.name for each in session.get_outputs()]
    if is_table(data):
        feeds = (
            {name: data[name].to_numpy() for name in inputs}
            if len(inputs) > 1
            else {next(iter(inputs)): data.to_numpy()}
        )
    elif isinstance(data, dict):
        feeds = {name: np.asarray(value) for name, value in data.items()}
    elif len(inputs) == 1:
        feeds = {next(iter(inputs)): data if is_array(data) else np.asarray(data)}
    else:
        msg = f"The model takes several arrays: {', '.join(inputs)}. Give a dict of them."
        raise InvalidInputError(msg)
    for name, value in feeds.items():
        if inputs.get(name) == "tensor(float)" and value.dtype == np.float64:
            feeds[name] = value.astype(np.float32)  # JSON and tables know no other.
    found = session.run(names, feeds)
    if not is_table(data):
        return dict(zip(names, found, strict=True))
    import pandas as pd

    return pd.DataFrame({n: np.asarray(v).reshape(-1) for n, v in zip(names, found, strict=True)})


def _writer(onnx_model: Any) -> Callable[[Path], Written]:  # noqa: ANN401 - an onnx.ModelProto
    """Make the function that writes the model's own files."""
    onnx = _require("onnx")
    if not isinstance(onnx_model, onnx.ModelProto):
        kind = f"{type(onnx_model).__module__}.{type(onnx_model).__qualname__}"
        msg = (
            f"{kind} is no ONNX model. Give an onnx.ModelProto, such as onnx.load(path) or "
            "skl2onnx.to_onnx(...) returns."
        )
        raise InvalidInputError(msg)
    check_external_data(onnx_model, None)

    def write(folder: Path) -> Written:
        path = folder / FILE
        _write(onnx_model, path)
        try:
            onnx.checker.check_model(str(path))
        except onnx.checker.ValidationError as error:
            msg = f"This is no valid ONNX model: {error} Check it with onnx.checker.check_model."
            raise InvalidInputError(msg) from error
        settings = {
            "code": None,
            "data": FILE,
            "onnx_session_options": None,
            "onnx_version": onnx.__version__,
            "providers": ["CPUExecutionProvider"],
        }
        loader = {"loader_module": "mlflow.onnx", "data": FILE}
        return Written(FLAVOR, settings, loader, ["numpy", "onnx", "onnxruntime"])

    return write


def _write(onnx_model: Any, path: Path) -> None:  # noqa: ANN401 - an onnx.ModelProto
    """Write a graph; when it is large, with its numbers in a file beside it."""
    onnx = _require("onnx")
    if onnx_model.ByteSize() < EXTERNAL_FROM_BYTES:
        onnx.save_model(onnx_model, path)
        return
    copy = onnx.ModelProto()  # Moving numbers out must not empty the caller's own.
    copy.CopyFrom(onnx_model)
    onnx.save_model(copy, path, save_as_external_data=True, location=f"{FILE}.data")


def _require(package: str) -> Any:  # noqa: ANN401 - a module that may not be there
    try:
        return import_module(package)
    except ImportError:
        raise MissingExtraError(package, extra="onnx", purpose="An ONNX model") from None
