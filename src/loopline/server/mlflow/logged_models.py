"""Logged models in MLflow's protocol, the entity behind ``log_model`` of MLflow 3's clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.records import operations as ops
from loopline.records.logged_models import DatasetName, LoggedModelOrder, LoggedModelStatus
from loopline.server.mlflow.answers import logged_model_answer, model_root
from loopline.server.mlflow.artifacts import file_answer
from loopline.server.mlflow.experiments import POST
from loopline.server.mlflow.models import DELETE, PATCH
from loopline.server.mlflow.requests import Call, KeyValue, missing, required
from loopline.server.mlflow.rules import Rule, asks

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["LOGGED_MODELS"]

#: How many a search answers when nobody says.
USUAL = 100
#: The protocol's names of a status, and its numbers for them.
_STATUSES = {
    "LOGGED_MODEL_PENDING": LoggedModelStatus.PENDING,
    "LOGGED_MODEL_READY": LoggedModelStatus.READY,
    "LOGGED_MODEL_UPLOAD_FAILED": LoggedModelStatus.FAILED,
    "1": LoggedModelStatus.PENDING,
    "2": LoggedModelStatus.READY,
    "3": LoggedModelStatus.FAILED,
}


class CreateLoggedModel(Call, frozen=True, kw_only=True):
    """A model whose files follow."""

    experiment_id: str
    name: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class ModelId(Call, frozen=True, kw_only=True):
    """A logged model by its id."""

    model_id: str


class GetModel(ModelId, frozen=True, kw_only=True):
    """A logged model to read, which may be deleted."""

    allow_deleted: bool = False


class Finish(ModelId, frozen=True, kw_only=True):
    """A status, by name or number."""

    status: str | int


class SetTags(ModelId, frozen=True, kw_only=True):
    """Tags."""

    tags: list[KeyValue] = []


class DeleteTag(ModelId, frozen=True, kw_only=True):
    """A tag to take off."""

    tag_key: str


class LogParams(ModelId, frozen=True, kw_only=True):
    """Params."""

    params: list[KeyValue] = []


class Dataset(Call, frozen=True, kw_only=True):
    """A data version on which a metric was measured."""

    dataset_name: str
    dataset_digest: str | None = None


class Order(Call, frozen=True, kw_only=True):
    """A key to order by."""

    field_name: str
    ascending: bool = True
    dataset_name: str | None = None
    dataset_digest: str | None = None


class Search(Call, frozen=True, kw_only=True):
    """A search for logged models."""

    experiment_ids: list[str]
    filter: str | None = None
    datasets: list[Dataset] = []
    max_results: int | None = None
    order_by: list[Order] = []
    page_token: str | None = None


class ListFiles(ModelId, frozen=True, kw_only=True):
    """What lies in a folder of a model."""

    artifact_directory_path: str = ""
    page_token: str = ""


def _texts(given: list[KeyValue]) -> dict[str, str]:
    return {each.key: each.value for each in given}


def _params(given: list[KeyValue]) -> dict[str, str]:
    texts = _texts(given)
    if len(texts) < len(given):
        keys = [each.key for each in given]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        msg = f"Duplicate parameter keys have been submitted: {twice}. Send each once."
        raise InvalidInputError(msg)
    return texts


def _create(backend: Backend, call: CreateLoggedModel) -> dict[str, Any]:
    made = backend.call(
        ops.CreateLoggedModel(
            experiment_id=required("experiment_id", call.experiment_id),
            name=call.name or "",
            model_type=call.model_type or "",
            source_run_id=call.source_run_id or "",
            params=_params(call.params),
            tags=_texts(call.tags),
        )
    )
    return {"model": logged_model_answer(made)}


def _get(backend: Backend, call: GetModel) -> dict[str, Any]:
    asked = ops.GetLoggedModel(model_id=call.model_id, include_deleted=call.allow_deleted)
    return {"model": logged_model_answer(backend.call(asked))}


def _finish(backend: Backend, call: Finish) -> dict[str, Any]:
    status = str(call.status)
    if status not in _STATUSES:
        names = ", ".join(name for name in _STATUSES if not name.isdecimal())
        msg = f"Invalid value {status[:80]} for parameter 'status' supplied: use {names}."
        raise InvalidInputError(msg)
    asked = ops.FinishLoggedModel(model_id=call.model_id, status=_STATUSES[status])
    return {"model": logged_model_answer(backend.call(asked))}


def _delete(backend: Backend, call: ModelId) -> dict[str, Any]:
    backend.call(ops.DeleteLoggedModel(model_id=call.model_id))
    return {}


def _set_tags(backend: Backend, call: SetTags) -> dict[str, Any]:
    tags = _texts(call.tags)
    made = backend.call(ops.SetLoggedModelTags(model_id=call.model_id, tags=tags))
    return {"model": logged_model_answer(made)}


def _delete_tag(backend: Backend, call: DeleteTag) -> dict[str, Any]:
    backend.call(ops.RemoveLoggedModelTag(model_id=call.model_id, key=call.tag_key))
    return {}


def _log_params(backend: Backend, call: LogParams) -> dict[str, Any]:
    params = _params(call.params)
    backend.call(ops.LogLoggedModelParams(model_id=call.model_id, params=params))
    return {}


def _search(backend: Backend, call: Search) -> dict[str, Any]:
    if not call.experiment_ids:  # MLflow finds nothing nowhere; ours would look everywhere.
        return {}
    page = backend.call(
        ops.SearchLoggedModels(
            experiment_ids=call.experiment_ids,
            filter=call.filter or "",
            datasets=[
                DatasetName(name=each.dataset_name, digest=each.dataset_digest or "")
                for each in call.datasets
            ],
            order_by=[_order(each) for each in call.order_by],
            max_results=USUAL if call.max_results is None else call.max_results,
            page_token=call.page_token or "",
        )
    )
    return {
        "models": [logged_model_answer(model) for model in page.models],
        "next_page_token": page.next_page_token,
    }


def _order(given: Order) -> LoggedModelOrder:
    if given.dataset_digest and not given.dataset_name:
        raise missing("order_by.dataset_name")
    dataset = (
        DatasetName(name=given.dataset_name, digest=given.dataset_digest or "")
        if given.dataset_name
        else None
    )
    return LoggedModelOrder(field=given.field_name, ascending=given.ascending, dataset=dataset)


def _list(backend: Backend, call: ListFiles) -> dict[str, Any]:
    model = backend.call(ops.GetLoggedModel(model_id=call.model_id))
    folder = call.artifact_directory_path.rstrip("/")
    files = backend.call(ops.ListLoggedModelFiles(model_id=call.model_id, path=folder))
    return {
        "root_uri": model_root(model.experiment_id, model.model_id),
        "files": [file_answer(file, file.path) for file in files],
    }


LOGGED_MODELS: list[Rule] = [
    asks("logged-models", CreateLoggedModel, _create, methods=POST),
    asks("logged-models/search", Search, _search, methods=POST, permission="view"),
    asks("logged-models/{model_id}", GetModel, _get),
    asks("logged-models/{model_id}", Finish, _finish, methods=PATCH),
    asks("logged-models/{model_id}", ModelId, _delete, methods=DELETE),
    asks("logged-models/{model_id}/params", LogParams, _log_params, methods=POST),
    asks("logged-models/{model_id}/tags", SetTags, _set_tags, methods=PATCH),
    asks("logged-models/{model_id}/tags/{tag_key}", DeleteTag, _delete_tag, methods=DELETE),
    asks("logged-models/{model_id}/artifacts/directories", ListFiles, _list),
]
