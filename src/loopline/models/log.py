"""Logging a model: its folder becomes artifacts of the run, and a version when asked."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from loopline.models.folder import write_folder
from loopline.models.schema import Signature
from loopline.records.base import Record
from loopline.registry import register_model
from loopline.rules.names import check_artifact_path, check_model_name
from loopline.tracking.fluent import active_run, start_run
from loopline.tracking.preprocessing import record_found_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.models.folder import About, Written

__all__ = ["DEFAULT_PATH", "ModelInfo", "log_folder"]

DEFAULT_PATH = "model"


class ModelInfo(Record, frozen=True, kw_only=True):
    """A logged model.

    Attributes:
        model_uri: ``runs:/<run id>/<artifact path>``.
        run_id: The run it belongs to.
        artifact_path: Its folder among the run's artifacts.
        flavors: Per flavor its settings, as in MLmodel.
        signature: What it takes and gives, if known.
        model_uuid: 32 hex digits.
        utc_time_created: Such as ``2023-01-31 08:30:00.000000``.
        model_size_bytes: Bytes of its files beside MLmodel itself.
        registered_model_name: The registered model it became a version of; empty: none.
        registered_model_version: That version; None: none.
    """

    model_uri: str
    run_id: str
    artifact_path: str
    flavors: dict[str, dict[str, Any]]
    signature: Signature | None = None
    model_uuid: str
    utc_time_created: str
    model_size_bytes: int = 0
    registered_model_name: str = ""
    registered_model_version: int | None = None


def log_folder(
    *,
    write: Callable[[Path], Written],
    predict: Callable[[Any], Any] | None,
    about: About,
    artifact_path: str | None = None,
    registered_model_name: str | None = None,
    tags: dict[str, str] | None = None,
    native: Any = None,  # noqa: ANN401 - any model
) -> ModelInfo:
    """Write a model folder, log it to the active run (or a new one), and register it if asked.

    The preprocessing in ``native``, the model itself, is recorded with the run.

    When this returns, the files are in this machine's keeping; when it registers, they are in
    the store.

    Raises:
        InvalidInputError: A name that a folder or a registered model cannot have.
        BackendUnavailableError: It was to be registered, and the store cannot be reached. The
            model itself is logged and follows when the store is back.
    """
    path = check_artifact_path(artifact_path or DEFAULT_PATH)
    if registered_model_name:
        check_model_name(registered_model_name)
    run = active_run() or start_run()
    run_id = run.run_id
    with tempfile.TemporaryDirectory(prefix="loopline-model-") as parent:
        folder = Path(parent) / "model"
        model = write_folder(
            folder,
            replace(about, run_id=run_id, artifact_path=path),
            write=write,
            predict=predict,
        )
        with run.recorder.together():  # One request carries the whole folder.
            run.log_artifacts(folder, path)
            record_found_in(run, native)
    info = ModelInfo(
        model_uri=f"runs:/{run_id}/{path}",
        run_id=run_id,
        artifact_path=path,
        flavors=model.flavors,
        signature=model.signature,
        model_uuid=model.model_uuid,
        utc_time_created=model.utc_time_created,
        model_size_bytes=model.model_size_bytes or 0,
    )
    if not registered_model_name:
        return info
    version = register_model(info.model_uri, registered_model_name, tags=tags)
    sys.stderr.write(f"Registered version {version.version} of {version.name}\n")
    return replace(
        info, registered_model_name=version.name, registered_model_version=version.version
    )
