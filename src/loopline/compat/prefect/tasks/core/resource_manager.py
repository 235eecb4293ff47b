"""``prefect.tasks.core.resource_manager``."""

from loopline.flows.resources import (
    ResourceCleanupTask,
    ResourceContext,
    ResourceInitTask,
    ResourceManager,
    ResourceSetupTask,
    resource_cleanup_trigger,
    resource_manager,
)

__all__ = [
    "ResourceCleanupTask",
    "ResourceContext",
    "ResourceInitTask",
    "ResourceManager",
    "ResourceSetupTask",
    "resource_cleanup_trigger",
    "resource_manager",
]
