"""What MLflow's stores share, whatever keeps them: words, numbers and addresses in its sense."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from loopline.records.base import Lifecycle
from loopline.records.logged_models import LoggedModelStatus
from loopline.records.registry import Stage, VersionStatus
from loopline.records.tracking import RunInput, RunStatus
from loopline.rules.mlflow_datasets import dataset_of
from loopline.transfer.places import is_local, local_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from loopline.transfer.source import SourceVersion

__all__ = [
    "CONTEXT",
    "DELETED_STAGE",
    "PARENT",
    "Origin",
    "champions_of",
    "dataset_input",
    "lifecycle_of",
    "logged_model_status",
    "origin_of",
    "stage_of",
    "status_of",
    "status_of_version",
]

#: Tag of a dataset input that says what it was used for.
CONTEXT = "mlflow.data.context"
#: Tag of a run that names the run it is nested in.
PARENT = "mlflow.parentRunId"
#: Stage of a version that was deleted; its number is never used again.
DELETED_STAGE = "Deleted_Internal"

_STATUS_NUMBERS = {
    1: RunStatus.RUNNING,
    2: RunStatus.SCHEDULED,
    3: RunStatus.FINISHED,
    4: RunStatus.FAILED,
    5: RunStatus.KILLED,
}
_VERSION_STATUS_NUMBERS = {
    1: VersionStatus.PENDING_REGISTRATION,
    2: VersionStatus.FAILED_REGISTRATION,
    3: VersionStatus.READY,
}
_LOGGED_MODEL_STATUSES = {
    "1": LoggedModelStatus.PENDING,
    "2": LoggedModelStatus.READY,
    "3": LoggedModelStatus.FAILED,
    "UPLOAD_FAILED": LoggedModelStatus.FAILED,
}
_LOGGED_MODEL = re.compile(r"models:/+(m-[^/]+)/?\Z")
_RUN_MODEL = re.compile(r"runs:/+([^/]+)/(.+)\Z")


class Origin(NamedTuple):
    """Where a version's files come from; the first that is not empty says it.

    Attributes:
        model_id: A logged model.
        run_path: A folder of the run ``run_id``.
        location: Any other address.
    """

    run_id: str
    model_id: str = ""
    run_path: str = ""
    location: str = ""


def status_of(value: object) -> RunStatus:
    """Read a run's status, a number in folders and a word elsewhere."""
    if isinstance(value, int):
        return _STATUS_NUMBERS.get(value, RunStatus.RUNNING)
    text = str(value or "").upper()
    return RunStatus(text) if text in RunStatus.__members__ else RunStatus.RUNNING


def logged_model_status(value: object) -> LoggedModelStatus:
    """Read whether a logged model is complete: a number in databases and a word elsewhere."""
    text = str(value or "").upper().removeprefix("LOGGED_MODEL_")
    if text in LoggedModelStatus.__members__:
        return LoggedModelStatus(text)
    return _LOGGED_MODEL_STATUSES.get(text, LoggedModelStatus.PENDING)


def lifecycle_of(value: object) -> Lifecycle:
    """Read a lifecycle stage; none means active."""
    return Lifecycle.DELETED if str(value or "") == "deleted" else Lifecycle.ACTIVE


def stage_of(value: object) -> Stage:
    """Read a version's stage; none or an unknown one means None."""
    try:
        return Stage(str(value or "None"))
    except ValueError:
        return Stage.NONE


def status_of_version(value: object) -> VersionStatus:
    """Read whether a version can be used, a number in folders and a word elsewhere."""
    if isinstance(value, int):
        return _VERSION_STATUS_NUMBERS.get(value, VersionStatus.READY)
    text = str(value or "")
    return VersionStatus(text) if text in VersionStatus.__members__ else VersionStatus.READY


def champions_of(versions: Iterable[SourceVersion]) -> dict[str, int]:
    """Tell which version ``models:/name/Stage`` means to MLflow: the highest number in it."""
    champions: dict[str, int] = {}
    for version in versions:
        if version.stage in {Stage.STAGING, Stage.PRODUCTION}:
            stage = version.stage
            champions[stage] = max(champions.get(stage, 0), version.version)
    return champions


def dataset_input(words: Mapping[str, str], tags: Mapping[str, str]) -> RunInput:
    """Make a data version read by a run.

    Args:
        words: What MLflow wrote of it; see ``dataset_of``.
        tags: Of the reading, with what it was for among them.
    """
    own = dict(tags)
    context = own.pop(CONTEXT, "")
    return RunInput(dataset=dataset_of(words), context=context, tags=own)


def origin_of(
    *, run_id: str, source: str, storage: str = "", model_id: str = "", run_root: str = ""
) -> Origin:
    """Find out where a version's files come from.

    Args:
        run_id: The run that the version names; empty for none.
        source: What was registered.
        storage: Where MLflow found it then, when it says so.
        model_id: The logged model it says it was made from.
        run_root: Where the run's files lie.
    """
    logged = _LOGGED_MODEL.match(source)
    if model_id or logged:
        return Origin(run_id, model_id=model_id or (logged[1] if logged else ""), location=storage)
    of_run = _RUN_MODEL.match(source)
    if of_run:
        return Origin(of_run[1], run_path=of_run[2].strip("/"), location=storage)
    location = storage or source
    for address in (storage, source):
        path = _below(address, run_root)
        if path:
            return Origin(run_id, run_path=path, location=location)
    return Origin(run_id, location="" if location.startswith("models:/") else location)


def _below(address: str, root: str) -> str:
    """Tell an address relative to a root; empty when it does not lie below it."""
    if not address or not root:
        return ""
    inner, outer = _plain(address), _plain(root)
    return inner[len(outer) + 1 :] if inner.startswith(f"{outer}/") else ""


def _plain(address: str) -> str:
    """Write an address in one way: paths and ``file:`` addresses of one folder are equal."""
    if is_local(address):
        return str(local_path(address)).rstrip("/")
    return unquote(address).rstrip("/")
