"""The model registry: versions, stages, aliases, and who moved what when."""

from __future__ import annotations

from loopline.registry.versions import (
    get_production,
    get_version,
    history,
    list_models,
    list_versions,
    register_model,
    remove_alias,
    set_alias,
    transition_stage,
)

__all__ = [
    "get_production",
    "get_version",
    "history",
    "list_models",
    "list_versions",
    "register_model",
    "remove_alias",
    "set_alias",
    "transition_stage",
]
