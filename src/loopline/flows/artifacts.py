"""Artifacts: links, texts and tables that a task makes to be shown with its flow run.

Each is a fact, recorded when the function returns, so that a store which is away stops nothing.
``loopline flow-runs show`` lists them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from loopline.backend.context import current_task
from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError
from loopline.flows.running.plain import plain, writable
from loopline.records.facts import FlowArtifactSet

__all__ = [
    "create_link_artifact",
    "create_markdown_artifact",
    "create_table_artifact",
    "delete_artifact",
    "update_link_artifact",
    "update_markdown_artifact",
    "update_table_artifact",
]


def create_link_artifact(link: str) -> str:
    """Show a link with the task run; return the artifact's id.

    Raises:
        InvalidInputError: No task is running here, or it is no address.
    """
    return _record(uuid4().hex, "link", _link(link))


def create_markdown_artifact(markdown: str) -> str:
    """Show a text in Markdown with the task run; return the artifact's id.

    Raises:
        InvalidInputError: No task is running here.
    """
    return _record(uuid4().hex, "markdown", {"markdown": writable(markdown)})


def create_table_artifact(table: Any) -> str:  # noqa: ANN401 - any kind of table
    """Show a table with the task run; return the artifact's id.

    Args:
        table: A list of dicts, a dict of columns, a list of rows, or a pandas table.

    Raises:
        InvalidInputError: No task is running here, or it is no table.
    """
    return _record(uuid4().hex, "table", _table(table))


def update_link_artifact(task_run_artifact_id: str, link: str) -> None:
    """Show another link instead."""
    _record(task_run_artifact_id, "link", _link(link))


def update_markdown_artifact(task_run_artifact_id: str, markdown: str) -> None:
    """Show another text instead."""
    _record(task_run_artifact_id, "markdown", {"markdown": writable(markdown)})


def update_table_artifact(task_run_artifact_id: str, table: Any) -> None:  # noqa: ANN401
    """Show another table instead."""
    _record(task_run_artifact_id, "table", _table(table))


def delete_artifact(task_run_artifact_id: str) -> None:
    """Show it no more; one that a flow run of another task made stays."""
    _record(task_run_artifact_id, "", {})


def _record(artifact_id: str, kind: str, data: dict[str, Any]) -> str:
    where = current_task.get()
    if where is None:
        msg = "No task is running here. Make artifacts inside a task of a flow."
        raise InvalidInputError(msg)
    get_recorder(where.address or None).record(
        FlowArtifactSet(
            artifact_id=artifact_id,
            flow_run_id=where.flow_run_id,
            task_slug=where.task_slug,
            map_index=where.map_index,
            artifact_kind=kind,
            data=json.dumps(data),
            at_ms=time.time_ns() // 1_000_000,
            token=where.token,
        )
    )
    return artifact_id


def _link(link: str) -> dict[str, Any]:
    if not isinstance(link, str) or not link.partition("://")[0].isidentifier():
        msg = f"{link!r} is no address. Give one such as https://example.org/report.html."
        raise InvalidInputError(msg)
    return {"link": writable(link)}


def _table(table: Any) -> dict[str, Any]:  # noqa: ANN401 - any kind of table
    """Read a table as columns and rows."""
    if hasattr(table, "to_dict") and hasattr(table, "columns"):
        table = {str(name): list(table[name]) for name in table.columns}
    if isinstance(table, Mapping):
        columns = [str(name) for name in table]
        rows = [list(row) for row in zip(*table.values(), strict=True)]
    elif isinstance(table, Sequence) and all(isinstance(row, Mapping) for row in table):
        columns = list(dict.fromkeys(str(name) for row in table for name in row))
        rows = [[row.get(name) for name in columns] for row in table]
    elif isinstance(table, Sequence) and not isinstance(table, str):
        rows = [list(row) for row in table]
        columns = [str(number) for number in range(max(map(len, rows), default=0))]
    else:
        msg = f"{type(table).__name__} is no table. Give a list of dicts, or a dict of columns."
        raise InvalidInputError(msg)
    return {"columns": columns, "rows": plain(rows)}
