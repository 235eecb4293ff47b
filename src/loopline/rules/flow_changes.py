"""What changed from one version of a flow to the next, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.rules.timetable_words import describe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopline.records.flows import FlowGraph, FlowVersion, GraphTask

__all__ = ["changes_between"]

#: Names told of each kind of change.
MOST = 5


def changes_between(before: FlowVersion, after: FlowVersion) -> list[str]:
    """Tell what differs in tasks, parameters, schedule, labels, environment, and the code."""
    said = _tasks(before.graph, after.graph)
    said += _parameters(before.graph, after.graph)
    if before.schedule != after.schedule:
        words = [describe(each.schedule) if each.schedule else "none" for each in (before, after)]
        changed = words[0] != words[1]
        said.append(f"schedule: {words[0]} → {words[1]}" if changed else "schedule changed")
    if before.labels != after.labels:
        said.append(f"labels: {_list(before.labels)} → {_list(after.labels)}")
    if before.resume != after.resume:
        said.append(f"when its worker dies: {before.resume} → {after.resume}")
    for name in sorted(before.environment.keys() | after.environment.keys()):
        old, new = before.environment.get(name), after.environment.get(name)
        if old != new:
            said.append(f"{name} {old or 'absent'} → {new or 'absent'}")
    return said or ["code changed"]


def _tasks(before: FlowGraph, after: FlowGraph) -> list[str]:
    old = {task.slug: task for task in before.tasks if task.kind == "task"}
    new = {task.slug: task for task in after.tasks if task.kind == "task"}
    said = []
    for word, slugs in (
        ("new", new.keys() - old.keys()),
        ("gone", old.keys() - new.keys()),
        ("changed", {slug for slug in old.keys() & new.keys() if old[slug] != new[slug]}),
    ):
        if slugs:
            said.append(f"{_noun(slugs, 'task')} {word}: {_list(_in_order(slugs, old | new))}")
    if not said and before.edges != after.edges:
        said.append("the order of tasks changed")
    return said


def _in_order(slugs: Iterable[str], tasks: dict[str, GraphTask]) -> list[str]:
    chosen = set(slugs)
    return [slug for slug in tasks if slug in chosen]


def _parameters(before: FlowGraph, after: FlowGraph) -> list[str]:
    old = {each.name: each for each in before.parameters}
    new = {each.name: each for each in after.parameters}
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return [f"{_noun(names, 'parameter')} changed: {_list(names)}"] if names else []


def _noun(things: Iterable[str], noun: str) -> str:
    count = len(list(things))
    return noun if count == 1 else f"{count} {noun}s"


def _list(names: list[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"{', '.join(names[:MOST])}{more}" if names else "none"
