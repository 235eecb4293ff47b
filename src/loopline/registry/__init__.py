"""The model registry: models, versions, stages, aliases, tags, and who moved what when."""

from __future__ import annotations

from loopline.registry.models import (
    create_model,
    delete_model,
    get_model,
    list_models,
    remove_model_tag,
    rename_model,
    search_models,
    set_model_tags,
    update_model,
)
from loopline.registry.moves import (
    add_stage,
    history,
    remove_alias,
    remove_stage,
    set_alias,
    transition_stage,
)
from loopline.registry.versions import (
    copy_version,
    delete_version,
    get_latest_versions,
    get_production,
    get_version,
    list_versions,
    register_model,
    remove_version_tag,
    search_versions,
    set_version_tags,
    take_files,
    update_version,
)

__all__ = [
    "add_stage",
    "copy_version",
    "create_model",
    "delete_model",
    "delete_version",
    "get_latest_versions",
    "get_model",
    "get_production",
    "get_version",
    "history",
    "list_models",
    "list_versions",
    "register_model",
    "remove_alias",
    "remove_model_tag",
    "remove_stage",
    "remove_version_tag",
    "rename_model",
    "search_models",
    "search_versions",
    "set_alias",
    "set_model_tags",
    "set_version_tags",
    "take_files",
    "transition_stage",
    "update_model",
    "update_version",
]
