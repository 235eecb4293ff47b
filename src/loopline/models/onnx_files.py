"""Reading ONNX files: numbers may lie in files beside the graph, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import IntegrityError, InvalidInputError
from loopline.models.mlmodel import inside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["check_external_data", "read_onnx"]


def read_onnx(path: Path) -> Any:  # noqa: ANN401 - an onnx.ModelProto
    """Read a model with the numbers that lie beside it.

    Raises:
        IntegrityError: It is no valid ONNX model, or asks for a file outside its folder.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        check_external_data(model, path.parent)
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(str(path))
    except IntegrityError:
        raise
    except Exception as error:  # protobuf, the checker and the reader each have their own.
        msg = (
            f"{path.name} is no ONNX model that can be read: {error} Fetch the model again from "
            "where it was logged."
        )
        raise IntegrityError(msg) from error
    return model


def check_external_data(model: Any, folder: Path | None) -> None:  # noqa: ANN401 - an onnx.ModelProto
    """Check that all numbers are in the graph or in files of its folder.

    Args:
        model: Read without its external data.
        folder: Where such files may lie; None for a model in memory, which has none.

    Raises:
        IntegrityError: One lies elsewhere.
        InvalidInputError: It is in memory, and its numbers are not.
    """
    import onnx

    for tensor in _tensors(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        if folder is None:
            msg = (
                f"The numbers of {tensor.name!r} are in a file of their own and were not read. "
                "Load the model with onnx.load(path), which reads them."
            )
            raise InvalidInputError(msg)
        places = [entry.value for entry in tensor.external_data if entry.key == "location"]
        for place in places:
            try:
                inside(folder, place)
            except InvalidInputError:
                msg = (
                    f"The model asks for a file outside its folder, {place!r}, as a forged one "
                    "does. Do not use it."
                )
                raise IntegrityError(msg) from None
        if len(places) != 1:
            msg = (
                f"Tensor {tensor.name!r} does not say where its numbers are. Do not use the model."
            )
            raise IntegrityError(msg)


def _tensors(message: Any) -> Iterator[Any]:  # noqa: ANN401 - any message of protobuf
    """Find every tensor, however deep: in graphs, subgraphs, attributes and functions."""
    import onnx

    todo = [message]
    while todo:
        found = todo.pop()
        if isinstance(found, onnx.TensorProto):
            yield found
            continue
        for field, value in found.ListFields():
            if field.message_type is not None:
                todo.extend([value] if hasattr(value, "ListFields") else list(value))
