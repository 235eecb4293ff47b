"""``prefect.utilities.tasks``."""

from loopline.flows.authoring.active import tags
from loopline.flows.authoring.gathering import as_task
from loopline.flows.defaults import defaults_from_attrs
from loopline.flows.mapping import apply_map
from loopline.flows.pausing import pause_task
from loopline.flows.task import task

__all__ = ["apply_map", "as_task", "defaults_from_attrs", "pause_task", "tags", "task"]
