"""Registered models in MLflow's protocol: making, describing, tagging, finding and naming them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, LooplineError, NotFoundError
from loopline.records import operations as ops
from loopline.server.mlflow.answers import model_answer, version_answer
from loopline.server.mlflow.experiments import POST
from loopline.server.mlflow.requests import Call, KeyValue, required, version_number
from loopline.server.mlflow.rules import Rule, asks

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.registry import ModelVersion, RegisteredModel

__all__ = ["DELETE", "MODELS", "PATCH", "refuse_prompts", "without_prompts"]

PATCH, DELETE = ("PATCH",), ("DELETE",)
#: What clients ask for as an alias, and is the highest version of a model.
LATEST = "latest"
#: The tag by which clients tell prompts, which they keep as registered models, from models.
_PROMPT = "mlflow.prompt.is_prompt"
#: What newer clients add to every search, to leave out prompts, of which this server has none. To
#: MLflow it holds of models without the tag, too, unlike any other condition on a tag.
_NO_PROMPTS = re.compile(r"(?:\s+AND\s+)?tags?\.`mlflow\.prompt\.is_prompt` != 'true'")


class PromptError(LooplineError):
    """What is to be registered is a prompt."""

    status = 501
    code = "NOT_IMPLEMENTED"


class Named(Call, frozen=True, kw_only=True):
    """A model by its name."""

    name: str


class CreateModel(Named, frozen=True, kw_only=True):
    """A new model."""

    tags: list[KeyValue] = []
    description: str = ""


class RenameModel(Named, frozen=True, kw_only=True):
    """Another name."""

    new_name: str


class UpdateModel(Named, frozen=True, kw_only=True):
    """Another description."""

    description: str = ""


class ModelTag(Named, frozen=True, kw_only=True):
    """A tag of a model."""

    key: str
    value: str = ""


class SearchModels(Call, frozen=True, kw_only=True):
    """A search for models."""

    filter: str = ""
    max_results: int = 100
    order_by: list[str] = []
    page_token: str = ""


class LatestVersions(Named, frozen=True, kw_only=True):
    """The newest versions of a model in these stages, or in all."""

    stages: list[str] = []


class Alias(Named, frozen=True, kw_only=True):
    """An alias of a model, and where it points."""

    alias: str
    version: str = ""


def without_prompts(filter_: str) -> str:
    """Take out of a filter what newer clients add to it."""
    return _NO_PROMPTS.sub("", filter_)


def refuse_prompts(tags: list[KeyValue]) -> None:
    """Refuse what is registered as a prompt, before there is a model of its name.

    Raises:
        PromptError: The tags say that it is one.
    """
    if any(tag.key == _PROMPT and tag.value.lower() == "true" for tag in tags):
        msg = (
            "Prompts are not supported by this server: it registers models. Keep a prompt as a "
            "file of a run, with mlflow.log_text."
        )
        raise PromptError(msg)


def _answer(backend: Backend, model: RegisteredModel) -> dict[str, Any]:
    latest = backend.call(ops.GetLatestVersions(names=[model.name], as_mlflow=True))
    return {"registered_model": model_answer(model, latest)}


def _create(backend: Backend, call: CreateModel) -> dict[str, Any]:
    refuse_prompts(call.tags)
    made = backend.call(
        ops.CreateModel(
            name=required("name", call.name),
            description=call.description,
            tags={tag.key: tag.value for tag in call.tags},
        )
    )
    return {"registered_model": model_answer(made, [])}


def _rename(backend: Backend, call: RenameModel) -> dict[str, Any]:
    new_name = required("new_name", call.new_name)
    return _answer(backend, backend.call(ops.RenameModel(name=call.name, new_name=new_name)))


def _update(backend: Backend, call: UpdateModel) -> dict[str, Any]:
    asked = ops.UpdateModel(name=call.name, description=call.description)
    return _answer(backend, backend.call(asked))


def _delete(backend: Backend, call: Named) -> dict[str, Any]:
    backend.call(ops.DeleteModel(name=call.name))
    return {}


def _get(backend: Backend, call: Named) -> dict[str, Any]:
    return _answer(backend, backend.call(ops.GetModel(name=required("name", call.name))))


def _search(backend: Backend, call: SearchModels) -> dict[str, Any]:
    page = backend.call(
        ops.SearchModels(
            filter=without_prompts(call.filter),
            order_by=call.order_by,
            max_results=call.max_results,
            page_token=call.page_token,
        )
    )
    latest: dict[str, list[ModelVersion]] = {}
    if page.models:
        names = [model.name for model in page.models]
        for version in backend.call(ops.GetLatestVersions(names=names, as_mlflow=True)):
            latest.setdefault(version.name, []).append(version)
    return {
        "registered_models": [
            model_answer(model, latest.get(model.name, [])) for model in page.models
        ],
        "next_page_token": page.next_page_token,
    }


def _latest(backend: Backend, call: LatestVersions) -> dict[str, Any]:
    asked = ops.GetLatestVersions(
        names=[required("name", call.name)], stages=call.stages, as_mlflow=True
    )
    return {"model_versions": [version_answer(each) for each in backend.call(asked)]}


def _set_tag(backend: Backend, call: ModelTag) -> dict[str, Any]:
    backend.call(ops.SetModelTags(name=call.name, tags={call.key: call.value}))
    return {}


def _delete_tag(backend: Backend, call: ModelTag) -> dict[str, Any]:
    backend.call(ops.RemoveModelTag(name=call.name, key=call.key))
    return {}


def _set_alias(backend: Backend, call: Alias) -> dict[str, Any]:
    number = version_number(required("version", call.version))
    backend.call(ops.SetAlias(name=call.name, alias=call.alias, version=number))
    return {}


def _delete_alias(backend: Backend, call: Alias) -> dict[str, Any]:
    backend.call(ops.RemoveAlias(name=call.name, alias=call.alias, missing_ok=True))
    return {}


def _get_alias(backend: Backend, call: Alias) -> dict[str, Any]:
    model = backend.call(ops.GetModel(name=call.name))
    if call.alias.lower() == LATEST:
        found = backend.call(ops.GetLatestVersions(names=[call.name], as_mlflow=True))
        if found:
            return {"model_version": version_answer(max(found, key=lambda each: each.version))}
    if call.alias not in model.aliases:  # MLflow answers 400 here and not 404.
        msg = f"Registered model alias {call.alias} not found."
        raise InvalidInputError(msg)
    try:
        version = backend.call(ops.GetVersion(name=call.name, version=model.aliases[call.alias]))
    except NotFoundError:
        msg = f"Registered model alias {call.alias} not found."
        raise InvalidInputError(msg) from None
    return {"model_version": version_answer(version)}


MODELS: list[Rule] = [
    asks("registered-models/create", CreateModel, _create, methods=POST),
    asks("registered-models/rename", RenameModel, _rename, methods=POST),
    asks("registered-models/update", UpdateModel, _update, methods=PATCH),
    asks("registered-models/delete", Named, _delete, methods=DELETE),
    asks("registered-models/get", Named, _get),
    # Where clients before MLflow 2 look for all models.
    asks("registered-models/list", SearchModels, _search),
    asks("registered-models/search", SearchModels, _search),
    asks("registered-models/get-latest-versions", LatestVersions, _latest),
    asks(
        "registered-models/get-latest-versions", LatestVersions, _latest, methods=POST,
        permission="view",
    ),
    asks("registered-models/set-tag", ModelTag, _set_tag, methods=POST),
    asks("registered-models/delete-tag", ModelTag, _delete_tag, methods=DELETE),
    asks("registered-models/alias", Alias, _set_alias, methods=POST),
    asks("registered-models/alias", Alias, _delete_alias, methods=DELETE),
    asks("registered-models/alias", Alias, _get_alias),
]  # fmt: skip
