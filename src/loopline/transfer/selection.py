"""What an export takes out of a store: experiments, their runs, and the versions these made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loopline.errors import NotFoundError
from loopline.records.operations import (
    DescribeLoggedModels,
    DescribeRuns,
    GetMetricColumns,
    GetRun,
    ListExperiments,
    ListModels,
    ListVersionEvents,
    ListVersions,
    ResolveModel,
    SearchLoggedModels,
    SearchRuns,
)
from loopline.rules.points import Points

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loopline.backend.protocol import Backend
    from loopline.records.logged_models import LoggedModel
    from loopline.records.registry import ModelVersion, RegisteredModel, VersionEvent
    from loopline.records.tracking import Artifact, Experiment, Run
    from loopline.records.transfer import LoggedModelDescription, RunDescription

__all__ = ["ModelSelection", "Selection", "VersionSelection"]

#: Runs read together.
TOGETHER = 200


@dataclass(frozen=True, kw_only=True)
class VersionSelection:
    """A version and its files, by path inside the model folder."""

    version: ModelVersion
    files: list[Artifact]


@dataclass(frozen=True, kw_only=True)
class ModelSelection:
    """A registered model with those of its versions that go along, oldest first."""

    model: RegisteredModel
    versions: list[VersionSelection]
    events: list[VersionEvent]


@dataclass(kw_only=True)
class _Wanted:
    """An experiment and which of its runs are wanted: None for all."""

    experiment: Experiment
    run_ids: set[str] | None = field(default_factory=set)


class Selection:
    """What is to be exported.

    Attributes:
        is_everything: Nothing was left out.
    """

    def __init__(self, backend: Backend, names: Sequence[str] = ()) -> None:
        """Choose.

        Args:
            backend: Where from.
            names: Run ids, experiment names and experiment ids; a run takes the runs nested in
                it along. Empty for everything.

        Raises:
            NotFoundError: One of the names means nothing.
        """
        self._backend = backend
        self.is_everything = not names
        found = backend.call(ListExperiments(include_deleted=True))
        found.sort(key=lambda experiment: int(experiment.experiment_id))
        self._known = {experiment.experiment_id: experiment for experiment in found}
        self._wanted: dict[str, _Wanted] = {}
        for experiment in () if names else found:
            self._wanted[experiment.experiment_id] = _Wanted(experiment=experiment, run_ids=None)
        for name in names:
            self._choose(name)

    def _choose(self, name: str) -> None:
        for experiment in self._known.values():
            if name in {experiment.name, experiment.experiment_id}:
                wanted = _Wanted(experiment=experiment, run_ids=None)
                self._wanted[experiment.experiment_id] = wanted
                return
        try:
            run = self._backend.call(GetRun(run_id=name))
        except NotFoundError:
            msg = (
                f"There is no run and no experiment {name!r}. List them with `loopline runs list` "
                "and `loopline experiments list`."
            )
            raise NotFoundError(msg) from None
        waiting = [run]
        while waiting:
            run = waiting.pop()
            if self._want(run):
                waiting += self._search(f"attributes.parent_run_id = '{run.run_id}'")

    def _want(self, run: Run) -> bool:
        """Add a run; False when it was there."""
        wanted = self._wanted.setdefault(
            run.experiment_id, _Wanted(experiment=self._known[run.experiment_id])
        )
        if wanted.run_ids is None or run.run_id in wanted.run_ids:
            return False
        wanted.run_ids.add(run.run_id)
        return True

    def _search(self, filter_: str) -> Iterator[Run]:
        token = ""
        while True:
            call = SearchRuns(filter=filter_, lifecycle="all", page_token=token)
            page = self._backend.call(call)
            yield from page.runs
            token = page.next_page_token
            if not token:
                return

    # --- reading -------------------------------------------------------------------------------

    def experiments(self) -> list[Experiment]:
        """List the experiments, by id."""
        chosen = [wanted.experiment for wanted in self._wanted.values()]
        return sorted(chosen, key=lambda experiment: int(experiment.experiment_id))

    def runs(self) -> Iterator[RunDescription]:
        """Read the runs, experiment by experiment, the newest first."""
        for experiment in self.experiments():
            for ids in self._ids(self._wanted[experiment.experiment_id]):
                described = self._backend.call(DescribeRuns(run_ids=ids))
                by_id = {known.run.run_id: known for known in described}
                yield from (by_id[run_id] for run_id in ids if run_id in by_id)

    def _ids(self, wanted: _Wanted) -> Iterator[list[str]]:
        if wanted.run_ids is not None:
            ids = sorted(wanted.run_ids)
            for start in range(0, len(ids), TOGETHER):
                yield ids[start : start + TOGETHER]
            return
        token = ""
        while True:
            page = self._backend.call(
                SearchRuns(
                    experiment_ids=[wanted.experiment.experiment_id],
                    lifecycle="all",
                    max_results=TOGETHER,
                    page_token=token,
                )
            )
            if page.runs:
                yield [run.run_id for run in page.runs]
            token = page.next_page_token
            if not token:
                return

    def points(self, run: Run, key: str) -> Points:
        """Read the points of one metric, in their order."""
        columns = self._backend.call(GetMetricColumns(run_id=run.run_id, key=key))
        return Points.from_columns(columns.steps, columns.timestamps_ms, columns.values)

    def logged_models(self) -> Iterator[LoggedModelDescription]:
        """Read the logged models, experiment by experiment; of chosen runs, those they made."""
        for experiment in self.experiments():
            wanted = self._wanted[experiment.experiment_id]
            for models in self._pages_of_models(experiment.experiment_id):
                ids = [
                    model.model_id
                    for model in models
                    if wanted.run_ids is None or model.source_run_id in wanted.run_ids
                ]
                if ids:
                    yield from self._backend.call(DescribeLoggedModels(model_ids=ids))

    def _pages_of_models(self, experiment_id: str) -> Iterator[list[LoggedModel]]:
        token = ""
        while True:
            page = self._backend.call(
                SearchLoggedModels(
                    experiment_ids=[experiment_id],
                    max_results=TOGETHER,
                    page_token=token,
                    lifecycle="all",
                )
            )
            yield page.models
            token = page.next_page_token
            if not token:
                return

    def models(self, run_ids: set[str], logged_models: set[str]) -> Iterator[ModelSelection]:
        """Read the models: all of everything, else the versions made from some runs or models."""
        for model in self._backend.call(ListModels()):
            listed = self._backend.call(ListVersions(name=model.name))
            versions = [
                version
                for version in reversed(listed)
                if self.is_everything
                or version.run_id in run_ids
                or version.logged_model_id in logged_models
            ]
            if not versions and not self.is_everything:
                continue
            numbers = {version.version for version in versions}
            events = self._backend.call(ListVersionEvents(name=model.name))
            yield ModelSelection(
                model=model,
                versions=[self._version(version) for version in versions],
                events=[event for event in reversed(events) if event.version in numbers],
            )

    def _version(self, version: ModelVersion) -> VersionSelection:
        call = ResolveModel(name=version.name, version=version.version)
        return VersionSelection(version=version, files=self._backend.call(call).files)
