"""The MLmodel file: what a model folder holds, in MLflow's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, NotFoundError
from loopline.models.schema import Signature
from loopline.records.base import Record

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FILE_NAME", "MLModel", "inside", "read_mlmodel", "write_mlmodel"]

FILE_NAME = "MLmodel"


class MLModel(Record, frozen=True, kw_only=True):
    """What a model folder holds and how to load it.

    Attributes:
        flavors: Per flavor its settings; ``python_function`` is the one every loader reads.
        model_uuid: 32 hex digits.
        utc_time_created: Such as ``2023-01-31 08:30:00.000000``.
        signature: What the model takes and gives.
        saved_input_example_info: Where the example lies and of which kind it is.
        model_size_bytes: Bytes of all files beside MLmodel itself.
        metadata: What the user wrote down with it.
        run_id: The run that logged it, if any.
        artifact_path: Its folder among the run's artifacts, if any.
        loopline_version: Of the Loopline that wrote it; empty when MLflow did.
        mlflow_version: Of the MLflow that wrote it; empty when Loopline did.
    """

    flavors: dict[str, dict[str, Any]]
    model_uuid: str
    utc_time_created: str = ""
    signature: Signature | None = None
    saved_input_example_info: dict[str, Any] | None = None
    model_size_bytes: int | None = None
    metadata: dict[str, Any] | None = None
    run_id: str | None = None
    artifact_path: str | None = None
    loopline_version: str = ""
    mlflow_version: str = ""


def write_mlmodel(folder: Path, model: MLModel) -> None:
    """Write the MLmodel file; fields without a value are left out."""
    import yaml

    fields = {name: getattr(model, name) for name in model.__struct_fields__}
    if model.signature is not None:
        fields["signature"] = model.signature.to_dict()
    document = {name: value for name, value in fields.items() if value not in (None, "")}
    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=True)
    (folder / FILE_NAME).write_text(text, encoding="utf-8")


def read_mlmodel(folder: Path) -> MLModel:
    """Read the MLmodel file of a folder; what Loopline does not know is left aside.

    Raises:
        NotFoundError: The folder has no MLmodel file.
        InvalidInputError: It is not what MLflow or Loopline writes.
    """
    import yaml

    path = folder / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        msg = (
            f"{folder} is no model folder: it has no {FILE_NAME} file. Give the folder that "
            "`save_model` or `log_model` wrote."
        )
        raise NotFoundError(msg) from None
    try:
        document = yaml.safe_load(text)
        signature = document.get("signature")
        return MLModel(
            flavors={name: dict(flavor or {}) for name, flavor in document["flavors"].items()},
            model_uuid=str(document.get("model_uuid") or ""),
            utc_time_created=str(document.get("utc_time_created") or ""),
            signature=Signature.from_dict(signature) if signature else None,
            saved_input_example_info=document.get("saved_input_example_info"),
            model_size_bytes=document.get("model_size_bytes"),
            metadata=document.get("metadata"),
            run_id=document.get("run_id"),
            artifact_path=document.get("artifact_path"),
            loopline_version=str(document.get("loopline_version") or ""),
            mlflow_version=str(document.get("mlflow_version") or ""),
        )
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InvalidInputError):
            raise
        msg = (
            f"{path} cannot be read as an MLmodel file: {error}. Save the model again, or load "
            "another version of it."
        )
        raise InvalidInputError(msg) from error


def inside(folder: Path, relative: str) -> Path:
    """Find a file that an MLmodel names, which must lie inside its folder.

    Raises:
        InvalidInputError: The name leads out of the folder.
        NotFoundError: There is no such file.
    """
    root = folder.resolve()
    path = (root / relative).resolve()
    if not path.is_relative_to(root):
        msg = f"{folder / FILE_NAME} names a file outside its folder: {relative!r}. Do not use it."
        raise InvalidInputError(msg)
    if not path.exists():
        msg = (
            f"{folder} lacks {relative!r}, which its {FILE_NAME} names. Fetch or save the model "
            "again."
        )
        raise NotFoundError(msg)
    return path
