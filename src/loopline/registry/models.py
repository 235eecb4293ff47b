"""Registered models: made, described, tagged, renamed, deleted and found again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.records.operations import ListModels, SetModelTags
from loopline.registry.client import RegistryClient
from loopline.registry.found import Models
from loopline.registry.given import as_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopline.records.registry import RegisteredModel

__all__ = [
    "create_model",
    "delete_model",
    "get_model",
    "list_models",
    "remove_model_tag",
    "rename_model",
    "search_models",
    "set_model_tags",
    "update_model",
]


def create_model(
    name: str, *, description: str = "", tags: Mapping[str, Any] | None = None
) -> RegisteredModel:
    """Make a registered model without versions; ``register_model`` makes one when missing.

    Raises:
        AlreadyExistsError: The name is taken.
    """
    return RegistryClient().create_registered_model(name, tags, description)


def get_model(name: str) -> RegisteredModel:
    """Get a registered model with its tags, aliases and champions.

    Raises:
        NotFoundError: No model has this name.
    """
    return RegistryClient().get_registered_model(name)


def update_model(name: str, *, description: str) -> RegisteredModel:
    """Describe a model anew."""
    return RegistryClient().update_registered_model(name, description)


def rename_model(name: str, new_name: str) -> RegisteredModel:
    """Give a model another name; its versions, aliases, stages, tags and history follow.

    Raises:
        AlreadyExistsError: Another model has it.
    """
    return RegistryClient().rename_registered_model(name, new_name)


def delete_model(name: str) -> None:
    """Delete a model with all its versions, for good; its history stays.

    The files of its versions go with the next ``loopline gc``, unless a run has them, too.
    """
    RegistryClient().delete_registered_model(name)


def set_model_tags(name: str, tags: Mapping[str, Any]) -> RegisteredModel:
    """Set tags of a model; the last value of a key counts."""
    return get_recorder().call(SetModelTags(name=name, tags=as_texts(tags)))


def remove_model_tag(name: str, key: str) -> None:
    """Take a tag off a model; one that is not there is none to take off."""
    RegistryClient().delete_registered_model_tag(name, key)


def list_models() -> Models:
    """List registered models by name."""
    found = get_recorder().call(ListModels())
    return Models(found)


def search_models(
    filter_string: str = "", *, order_by: Sequence[str] = (), max_results: int | None = None
) -> Models:
    """Search registered models, by name unless ordered otherwise.

    Args:
        filter_string: Such as ``"name LIKE 'taxi%' AND tags.team = 'fares'"``.
        order_by: Such as ``["timestamp DESC"]``, the last change.
        max_results: At most so many; all when None.

    Raises:
        FilterError: With the character and what was expected there.
    """
    return RegistryClient().search_registered_models(filter_string, max_results, order_by)
