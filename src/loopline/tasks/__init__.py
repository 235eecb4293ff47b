"""Tasks that are ready to use in flows: ``from loopline.tasks import ShellTask``.

What they need beyond Loopline is imported when they run, and they say how to install it.
"""

from __future__ import annotations

from loopline.tasks.bigquery import BigQueryQuery
from loopline.tasks.copying import CopiedFile, CopyFiles
from loopline.tasks.flow_runs import (
    CancelFlowRun,
    RenameFlowRun,
    StartFlowRun,
    create_flow_run,
    get_task_run_result,
    wait_for_flow_run,
)
from loopline.tasks.http import HttpAnswer, HttpRequest
from loopline.tasks.messages import SendMessage
from loopline.tasks.model import (
    compare,
    drift,
    evaluate,
    evaluate_production,
    notify,
    promote,
    promote_if_better,
    score,
    train_challenger,
)
from loopline.tasks.notebooks import ExecutedNotebook, ExecuteNotebook
from loopline.tasks.results import ParquetTable
from loopline.tasks.script import ScriptTask
from loopline.tasks.secret import EnvVarSecret, SecretTask
from loopline.tasks.shell import ProcessTask, ShellTask
from loopline.tasks.sql import DuckDBQuery, SQLQuery
from loopline.tasks.waiting import WaitFor, WaitForFile, WaitForHttp, WaitForRow, WaitingTask

__all__ = [
    "BigQueryQuery",
    "CancelFlowRun",
    "CopiedFile",
    "CopyFiles",
    "DuckDBQuery",
    "EnvVarSecret",
    "ExecuteNotebook",
    "ExecutedNotebook",
    "HttpAnswer",
    "HttpRequest",
    "ParquetTable",
    "ProcessTask",
    "RenameFlowRun",
    "SQLQuery",
    "ScriptTask",
    "SecretTask",
    "SendMessage",
    "ShellTask",
    "StartFlowRun",
    "WaitFor",
    "WaitForFile",
    "WaitForHttp",
    "WaitForRow",
    "WaitingTask",
    "compare",
    "create_flow_run",
    "drift",
    "evaluate",
    "evaluate_production",
    "get_task_run_result",
    "notify",
    "promote",
    "promote_if_better",
    "score",
    "train_challenger",
    "wait_for_flow_run",
]
