"""Which facts no store could refuse: those of what begins in the journal that they come from.

Whoever sends others has to wait for the store's word, to tell the user what was refused.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError
from loopline.records import facts as f
from loopline.rules.names import (
    check_artifact_path,
    check_experiment_name,
    check_id,
    check_key,
    check_param_value,
    check_tag_value,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Certain"]


class Certain:
    """Judges the facts of one journal, in their order; the first that is not certain ends it."""

    def __init__(self) -> None:
        #: The params of the runs that began here.
        self._params: dict[str, dict[str, str]] = {}
        self._flow_runs: set[str] = set()
        #: Files of runs, and the folders above them.
        self._files: set[tuple[str, str]] = set()
        self._folders: set[tuple[str, str]] = set()

    def are(self, facts: Iterable[f.Fact]) -> bool:
        """Tell whether a store takes all these facts, given those that were asked about before."""
        with suppress(InvalidInputError):
            return all(self._is(fact) for fact in facts)
        return False

    def _is(self, fact: f.Fact) -> bool:
        match fact:
            case f.TaskRunState():
                return not fact.token and fact.flow_run_id in self._flow_runs
            case f.MetricPoints():
                check_key("metric", fact.key)
                sizes = {len(fact.steps), len(fact.timestamps_ms), len(fact.values)}
                return fact.run_id in self._params and len(sizes) == 1 and sizes.pop() % 8 == 0
            case f.ParamsLogged():
                return self._are_new(fact)
            case f.TagsSet():
                _check_tags(fact.tags)
                return fact.run_id in self._params
            case f.RunStarted():
                return self._begins(fact)
            case f.RunEnded():
                return not fact.adopted and fact.run_id in self._params
            case f.FlowRunState():
                if fact.graph is not None:  # Its first state, from nobody but who began it.
                    self._flow_runs.add(fact.flow_run_id)
                return not fact.token and fact.flow_run_id in self._flow_runs
            case f.ArtifactLogged():
                return fact.run_id in self._params and self._has_place(fact)
            case f.LogsWritten():
                return True
        return False

    def _begins(self, fact: f.RunStarted) -> bool:
        check_id("run id", fact.run_id)
        check_experiment_name(fact.experiment or "Default")
        _check_tags(fact.tags)
        if fact.resumed or fact.experiment_id:
            return False
        self._params.setdefault(fact.run_id, {})
        return True

    def _are_new(self, fact: f.ParamsLogged) -> bool:
        known = self._params.get(fact.run_id)
        if known is None:
            return False
        for key, value in fact.params.items():
            check_key("param", key)
            check_param_value(key, value)
            if known.setdefault(key, value) != value:
                return False
        return True

    def _has_place(self, fact: f.ArtifactLogged) -> bool:
        """Tell whether a file has its place: what is a file is no folder."""
        path = check_artifact_path(fact.path)
        above: list[str] = []
        while folder := (above[-1] if above else path).rpartition("/")[0]:
            above.append(folder)
        self._files.add((fact.run_id, path))
        self._folders.update((fact.run_id, folder) for folder in above)
        return self._files.isdisjoint(self._folders)


def _check_tags(tags: dict[str, str]) -> None:
    for key, value in tags.items():
        check_key("tag", key)
        check_tag_value(key, value)
