"""``prefect.backend``: what a backend knows of flows and their runs."""

from loopline.compat.prefect.backend.flow import FlowView
from loopline.compat.prefect.backend.flow_run import FlowRunView, watch_flow_run
from loopline.compat.prefect.backend.task_run import TaskRunView
from loopline.compat.prefect.refusals import refusing
from loopline.flows.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    delete_artifact,
    update_link_artifact,
    update_markdown_artifact,
)
from loopline.flows.kv_store import delete_key, get_key_value, list_keys, set_key_value

__all__ = [
    "FlowRunView",
    "FlowView",
    "TaskRunView",
    "create_link_artifact",
    "create_markdown_artifact",
    "delete_artifact",
    "delete_key",
    "get_key_value",
    "list_keys",
    "set_key_value",
    "update_link_artifact",
    "update_markdown_artifact",
    "watch_flow_run",
]

__getattr__ = refusing(__name__)
