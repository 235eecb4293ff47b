"""Descriptions of flows: as plain data, as a hash of that, and as help for finding a fault."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_tracking_uri
from loopline.flows.parameter import Parameter
from loopline.flows.running.plain import plain
from loopline.flows.triggers import trigger_name

if TYPE_CHECKING:
    from loopline.flows.authoring.graph import Graph
    from loopline.flows.edge import Edge
    from loopline.flows.task import Task

__all__ = ["describe_edge", "describe_flow", "describe_task", "diagnose", "hash_flow"]


def describe_task(task: Task, slug: str | None = None) -> dict[str, Any]:
    """Describe a task as data that JSON can hold, under Prefect 1's keys.

    Args:
        task: The task.
        slug: What it is called in a flow.
    """
    described: dict[str, Any] = {
        "type": _type_name(task),
        "name": task.name,
        "slug": slug or task.slug,
        "tags": sorted(task.tags),
        "outputs": _annotation(task.outputs()),
    }
    if isinstance(task, Parameter):
        return {**described, "default": plain(task.default), "required": task.required}
    return {
        **described,
        "max_retries": task.max_retries,
        "retry_delay": next(iter(task.retry_delays_s), None),
        "inputs": {
            name: {"type": _annotation(each["type"]), "required": each["required"]}
            for name, each in task.inputs().items()
        },
        "timeout": _seconds(task.timeout),
        "trigger": trigger_name(task.trigger),
        "skip_on_upstream_skip": task.skip_on_upstream_skip,
        "cache_for": _seconds(task.cache_for),
        "cache_key": task.cache_key,
        "cache_validator": getattr(task.cache_validator, "__qualname__", None),
    }


def describe_edge(edge: Edge, slugs: dict[Task, str] | None = None) -> dict[str, Any]:
    """Describe an edge as data that JSON can hold, by the slugs or the names of its tasks."""
    names = slugs or {}
    return {
        "upstream_task": names.get(edge.upstream_task, edge.upstream_task.name),
        "downstream_task": names.get(edge.downstream_task, edge.downstream_task.name),
        "key": edge.key,
        "mapped": edge.mapped,
        "flattened": edge.flattened,
    }


def describe_flow(flow: Graph) -> dict[str, Any]:
    """Describe a flow as data that JSON can hold, alike in every process that builds it alike."""
    slugs = flow.slugs
    schedule = getattr(flow, "schedule", None)
    return {
        "name": flow.name,
        "type": _type_name(flow),
        "schedule": None if schedule is None else plain(schedule.spec()),
        "parameters": [
            describe_task(task, slug) for task, slug in slugs.items() if isinstance(task, Parameter)
        ],
        "tasks": [describe_task(task, slug) for task, slug in slugs.items()],
        "edges": [describe_edge(edge, slugs) for edge in flow.edges],
        "constants": {slugs[task]: plain(values) for task, values in flow.constants.items()},
        "reference_tasks": sorted(slugs[task] for task in flow.reference_tasks()),
        "run_config": _kind_of(getattr(flow, "run_config", None)),
        "storage": _kind_of(getattr(flow, "storage", None)),
    }


def hash_flow(flow: Graph) -> str:
    """Hash a flow's description: 64 hex digits. The code of its tasks is no part of it."""
    text = json.dumps(describe_flow(flow), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def diagnose(flow: Graph) -> str:
    """Tell what helps to find a fault, as JSON: the flow, this system, the settings there are.

    Of settings only the names are told, never a value.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        loopline = version("loopline")
    except PackageNotFoundError:  # Run from its source folder.
        loopline = ""
    uri = get_tracking_uri()
    kinds = {
        name: _kind_of(getattr(flow, name, None))
        for name in ("schedule", "executor", "run_config", "storage")
    }
    told = {
        "flow_information": {
            "name": flow.name,
            "task_count": len(flow.tasks),
            "edge_count": len(flow.edges),
            "parameters": sorted(parameter.name for parameter in flow.parameters()),
            **kinds,
        },
        "system_information": {
            "loopline_version": loopline,
            "python_version": platform.python_version(),
            "platform": platform.platform(),
            "records_to": uri.partition("://")[0] if "://" in uri else "home",
        },
        "env_vars": sorted(name for name in os.environ if name.startswith("LOOPLINE_")),
    }
    return json.dumps(told, sort_keys=True, indent=2)


def _kind_of(value: object) -> dict[str, Any] | None:
    return None if value is None else {"type": type(value).__name__}


def _type_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _annotation(hint: Any) -> str:  # noqa: ANN401 - any annotation
    return hint if isinstance(hint, str) else getattr(hint, "__name__", None) or str(hint)


def _seconds(duration: Any) -> float | None:  # noqa: ANN401 - a timedelta or None
    return None if duration is None else duration.total_seconds()
