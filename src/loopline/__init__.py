"""Loopline: one light system for the whole life of a machine-learning model.

Names are imported when they are first used, so ``import loopline`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopline import (
        catboost,
        data,
        errors,
        executors,
        keras,
        lifecycle,
        lightgbm,
        lightning,
        models,
        onnx,
        optuna,
        pyfunc,
        pytorch,
        registry,
        run_configs,
        schedules,
        sklearn,
        tasks,
        transformers,
        truth,
        xgboost,
    )
    from loopline.backend.recorder import get_tracking_uri, set_tracking_uri
    from loopline.data.versions import dataset
    from loopline.feeds.feed import Feed
    from loopline.flows import signals, triggers
    from loopline.flows.annotations import flatten, mapped, unmapped
    from loopline.flows.authoring.active import tags
    from loopline.flows.context import context, get_run_logger
    from loopline.flows.control_flow import FilterTask, case, ifelse, merge, switch
    from loopline.flows.flow import Flow
    from loopline.flows.function import flow
    from loopline.flows.mapping import apply_map
    from loopline.flows.parameter import DateTimeParameter, Parameter
    from loopline.flows.resources import ResourceManager, resource_manager
    from loopline.flows.task import Task, task
    from loopline.integrations.everything import autolog
    from loopline.models import infer_signature, load_model
    from loopline.records.tracking import Metric, Param, RunTag
    from loopline.registry import register_model
    from loopline.reproduce.comparing import diff
    from loopline.reproduce.explaining import lineage, why
    from loopline.tracking.client import Client
    from loopline.tracking.fluent import (
        active_run,
        copy_run,
        create_experiment,
        delete_experiment,
        delete_experiment_tag,
        delete_run,
        delete_tag,
        download_artifacts,
        end_run,
        flush,
        flush_artifact_async_logging,
        flush_async_logging,
        get_artifact_uri,
        get_experiment,
        get_experiment_by_name,
        get_metric_history,
        get_parent_run,
        get_run,
        last_active_run,
        list_artifacts,
        load_dict,
        load_image,
        load_table,
        load_text,
        log_artifact,
        log_artifacts,
        log_audio,
        log_dict,
        log_figure,
        log_image,
        log_input,
        log_inputs,
        log_metric,
        log_metrics,
        log_param,
        log_params,
        log_stream,
        log_table,
        log_text,
        log_video,
        move_runs,
        rename_experiment,
        rename_run,
        restore_experiment,
        restore_run,
        search_experiments,
        set_experiment,
        set_experiment_tag,
        set_experiment_tags,
        set_tag,
        set_tags,
        start_run,
    )
    from loopline.tracking.logged_models import get_logged_model, search_logged_models
    from loopline.tracking.predictions import predictions
    from loopline.tracking.preprocessing import (
        log_preprocessing,
        preprocessing,
        preprocessing_digest,
    )
    from loopline.tracking.run import ActiveRun
    from loopline.tracking.search import count_runs, find_runs, search_runs
    from loopline.tracking.sql import sql
    from loopline.tracking.system_metrics import (
        disable_system_metrics_logging,
        enable_system_metrics_logging,
        set_system_metrics_node_id,
        set_system_metrics_sampling_interval,
    )
    from loopline.warehouses.open import warehouse

__all__ = [
    "ActiveRun",
    "Client",
    "DateTimeParameter",
    "Feed",
    "FilterTask",
    "Flow",
    "Metric",
    "Param",
    "Parameter",
    "ResourceManager",
    "RunTag",
    "Task",
    "active_run",
    "apply_map",
    "autolog",
    "case",
    "catboost",
    "context",
    "copy_run",
    "count_runs",
    "create_experiment",
    "data",
    "dataset",
    "delete_experiment",
    "delete_experiment_tag",
    "delete_run",
    "delete_tag",
    "diff",
    "disable_system_metrics_logging",
    "download_artifacts",
    "enable_system_metrics_logging",
    "end_run",
    "errors",
    "executors",
    "find_runs",
    "flatten",
    "flow",
    "flush",
    "flush_artifact_async_logging",
    "flush_async_logging",
    "get_artifact_uri",
    "get_experiment",
    "get_experiment_by_name",
    "get_logged_model",
    "get_metric_history",
    "get_parent_run",
    "get_run",
    "get_run_logger",
    "get_tracking_uri",
    "ifelse",
    "infer_signature",
    "keras",
    "last_active_run",
    "lifecycle",
    "lightgbm",
    "lightning",
    "lineage",
    "list_artifacts",
    "load_dict",
    "load_image",
    "load_model",
    "load_table",
    "load_text",
    "log_artifact",
    "log_artifacts",
    "log_audio",
    "log_dict",
    "log_figure",
    "log_image",
    "log_input",
    "log_inputs",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_preprocessing",
    "log_stream",
    "log_table",
    "log_text",
    "log_video",
    "mapped",
    "merge",
    "models",
    "move_runs",
    "onnx",
    "optuna",
    "predictions",
    "preprocessing",
    "preprocessing_digest",
    "pyfunc",
    "pytorch",
    "register_model",
    "registry",
    "rename_experiment",
    "rename_run",
    "resource_manager",
    "restore_experiment",
    "restore_run",
    "run_configs",
    "schedules",
    "search_experiments",
    "search_logged_models",
    "search_runs",
    "set_experiment",
    "set_experiment_tag",
    "set_experiment_tags",
    "set_system_metrics_node_id",
    "set_system_metrics_sampling_interval",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "signals",
    "sklearn",
    "sql",
    "start_run",
    "switch",
    "tags",
    "task",
    "tasks",
    "transformers",
    "triggers",
    "truth",
    "unmapped",
    "warehouse",
    "why",
    "xgboost",
]

#: Where each name lives. The imports above tell type checkers and editors the same.
_HOMES = {
    "loopline.backend.recorder": "get_tracking_uri set_tracking_uri",
    "loopline.data.versions": "dataset",
    "loopline.feeds.feed": "Feed",
    "loopline.flows": "DateTimeParameter FilterTask Flow Parameter ResourceManager Task apply_map "
    "case context flatten flow get_run_logger ifelse mapped merge resource_manager switch tags "
    "task unmapped",
    "loopline.integrations.everything": "autolog",
    "loopline.models": "infer_signature load_model",
    "loopline.records.tracking": "Metric Param RunTag",
    "loopline.registry": "register_model",
    "loopline.reproduce.comparing": "diff",
    "loopline.reproduce.explaining": "lineage why",
    "loopline.tracking.client": "Client",
    "loopline.tracking.fluent": "active_run copy_run create_experiment delete_experiment "
    "delete_experiment_tag delete_run delete_tag download_artifacts end_run flush "
    "flush_artifact_async_logging flush_async_logging get_artifact_uri get_experiment "
    "get_experiment_by_name get_metric_history get_parent_run get_run last_active_run "
    "list_artifacts load_dict load_image load_table load_text log_artifact log_artifacts "
    "log_audio log_dict log_figure log_image log_input log_inputs log_metric log_metrics "
    "log_param log_params log_stream log_table log_text log_video move_runs "
    "rename_experiment rename_run restore_experiment restore_run search_experiments "
    "set_experiment set_experiment_tag set_experiment_tags set_tag set_tags start_run",
    "loopline.tracking.logged_models": "get_logged_model search_logged_models",
    "loopline.tracking.predictions": "predictions",
    "loopline.tracking.run": "ActiveRun",
    "loopline.tracking.sql": "sql",
    "loopline.tracking.preprocessing": "log_preprocessing preprocessing preprocessing_digest",
    "loopline.tracking.search": "count_runs find_runs search_runs",
    "loopline.tracking.system_metrics": "disable_system_metrics_logging "
    "enable_system_metrics_logging set_system_metrics_node_id "
    "set_system_metrics_sampling_interval",
    "loopline.warehouses.open": "warehouse",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
_MODULES = {
    **{name: f"loopline.{name}" for name in ("data", "errors", "executors", "keras", "models")},
    **{name: f"loopline.{name}" for name in ("lifecycle", "registry", "schedules", "sklearn")},
    **{name: f"loopline.{name}" for name in ("lightgbm", "lightning", "optuna")},
    **{
        name: f"loopline.{name}"
        for name in ("run_configs", "tasks", "transformers", "truth", "xgboost")
    },
    **{name: f"loopline.{name}" for name in ("catboost", "onnx", "pyfunc", "pytorch")},
    **{name: f"loopline.flows.{name}" for name in ("signals", "triggers")},
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the names above
    """Import a name when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        return version("loopline")
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    home = _HOME_OF.get(name)
    if home is None:
        msg = f"module 'loopline' has no attribute {name!r}"
        raise AttributeError(msg)
    found = globals()[name] = getattr(importlib.import_module(home), name)
    return found


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
