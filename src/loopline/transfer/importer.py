"""An import: asks what is here, sends what is missing, and counts both sides; nothing else.

There is no state but the store's own: an import that was killed is run again and goes on where
the store is, and one that has nothing to add adds nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from loopline.errors import ConflictError, NotFoundError
from loopline.records.base import Lifecycle
from loopline.records.operations import (
    DescribeRuns,
    ImportExperiment,
    ListExperiments,
    SettleRuns,
)
from loopline.records.tracking import Experiment
from loopline.transfer import plan
from loopline.transfer.logged_models import LoggedModelsImport
from loopline.transfer.models import ModelsImport
from loopline.transfer.road import Road
from loopline.transfer.run_files import FilesImport
from loopline.transfer.run_series import SeriesImport
from loopline.transfer.tally import Tally
from loopline.transfer.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loopline.backend.protocol import Backend
    from loopline.records.transfer import Report, RunDescription
    from loopline.transfer.source import Source, SourceExperiment, SourceRun

__all__ = ["Options", "Step", "import_from"]

#: Runs asked for, sent and checked together.
TOGETHER = 200
#: How often a part is tried anew when another import of the same source gets in between.
MOST_TRIES = 5
#: Longest experiment id that a store keeps; see ``store.transfer``.
KEPT_DIGITS = 9


class Options(NamedTuple):
    """What to import, and how.

    Attributes:
        experiments: Names; empty for all.
        artifacts: Whether files are copied.
        dry_run: Only count.
        update: Where both sides have a value, the source's counts.
    """

    experiments: Sequence[str] = ()
    artifacts: bool = True
    dry_run: bool = False
    update: bool = False


class Step(NamedTuple):
    """How far an import is: added up since its start.

    Attributes:
        total: Runs there are to look at.
    """

    total: int
    runs: int
    points: int
    file_bytes: int


def import_from(
    source: Source,
    backend: Backend,
    options: Options | None = None,
    *,
    watch: Callable[[Step], None] | None = None,
) -> Report:
    """Bring what a source has into a backend.

    Args:
        source: It is only read.
        backend: Where to.
        options: Everything, unless said otherwise.
        watch: Told of every step.

    Raises:
        NotFoundError: The source has no experiment of a name asked for.
        BackendUnavailableError: The store cannot be reached now. What it acknowledged is safe;
            the same import run again goes on.
    """
    run = _Import(source, backend, options or Options(), watch or (lambda _step: None))
    try:
        return run.everything()
    finally:
        run.close()


class _Import:
    def __init__(
        self, source: Source, backend: Backend, options: Options, watch: Callable[[Step], None]
    ) -> None:
        self._source = source
        self._backend = backend
        self._options = options
        self._watch = watch
        self._step = Step(0, 0, 0, 0)
        self._tally = Tally()
        self._road = Road(backend, source.identity)
        self._uploads = Uploads(backend, on_bytes=lambda size: self._moved(file_bytes=size))
        self._files = FilesImport(self._uploads, self._tally, options)
        self._series = SeriesImport(
            backend,
            self._road,
            self._tally,
            on_points=lambda count: self._moved(points=count),
        )
        self._logged_models = LoggedModelsImport(source, backend, self._files, self._tally, options)
        self._ids: dict[str, str] = {}

    def close(self) -> None:
        self._uploads.close()

    def everything(self) -> Report:
        began = time.monotonic()
        chosen = self._chosen()
        self._step = Step(sum(map(self._source.count_runs, chosen)), 0, 0, 0)
        self._watch(self._step)
        self._known = {
            experiment.name: experiment
            for experiment in self._backend.call(ListExperiments(include_deleted=True))
        }
        here = {} if self._options.dry_run else self._make_experiments(chosen)
        runs: set[str] = set()
        for experiment in chosen:
            known = here.get(experiment.name) or self._known.get(experiment.name)
            runs |= self._experiment(experiment, known)
        models = ModelsImport(
            self._source, self._backend, self._uploads, self._tally, self._options
        )
        chosen_only = bool(self._options.experiments)
        models.everything(runs if chosen_only else None, self._logged_models.found)
        for what, count in self._source.counts().items():
            read = self._tally.of_source(what)
            if read != count:
                self._tally.differ(
                    f"The source has {count:,} {what} and {read:,} were read: somebody is writing "
                    "to it. Run the import again; it adds what is new."
                )
        for note in self._source.notes():
            self._tally.leave_out(note)
        return self._tally.report(
            source=self._source.name,
            target=str(self._backend.address),
            dry_run=self._options.dry_run,
            ids={theirs: ours for theirs, ours in self._ids.items() if theirs != ours},
            seconds=round(time.monotonic() - began, 3),
        )

    def _chosen(self) -> list[SourceExperiment]:
        experiments = self._source.experiments()
        names = {experiment.name for experiment in experiments}
        for name in self._options.experiments:
            if name not in names:
                raise NotFoundError.among(
                    f"experiment in {self._source.name}",
                    name,
                    names,
                    hint="Leave --experiment out to import all.",
                )
        wanted = set(self._options.experiments) or names
        return [experiment for experiment in experiments if experiment.name in wanted]

    # --- experiments ---------------------------------------------------------------------------

    def _make_experiments(self, chosen: list[SourceExperiment]) -> dict[str, Experiment]:
        """Make all experiments before any run comes.

        The highest number first: one that cannot keep its own gets the next higher, and must not
        take it from another. Deletions come last, for a deleted experiment may take no runs.
        """
        short = [one for one in chosen if len(one.experiment_id) <= KEPT_DIGITS]
        short.sort(key=lambda one: (len(one.experiment_id), one.experiment_id), reverse=True)
        long = [one for one in chosen if len(one.experiment_id) > KEPT_DIGITS]
        return {one.name: self._put_experiment(one, Lifecycle.ACTIVE) for one in [*short, *long]}

    def _experiment(self, given: SourceExperiment, here: Experiment | None) -> set[str]:
        """Import an experiment's runs; return their ids."""
        if here is not None:
            self._ids[given.experiment_id] = here.experiment_id
        ids: set[str] = set()
        for runs in self._source.runs(given, TOGETHER):
            ids |= {run.run_id for run in runs}
            self._tried(runs, given.name)
        self._logged_models.of(given, here)
        if not self._options.dry_run:
            here = self._put_experiment(given, given.lifecycle)
        self._count_experiment(given, here, was_here=given.name in self._known)
        return ids

    def _put_experiment(self, given: SourceExperiment, lifecycle: Lifecycle) -> Experiment:
        experiment = Experiment(
            experiment_id=given.experiment_id,
            name=given.name,
            lifecycle=lifecycle,
            created_ms=given.created_ms,
            updated_ms=given.updated_ms,
            tags=given.tags,
        )
        return self._backend.call(
            ImportExperiment(experiment=experiment, update=self._options.update)
        )

    def _count_experiment(
        self, given: SourceExperiment, here: Experiment | None, *, was_here: bool
    ) -> None:
        tally = self._tally
        tally.count("experiments", 1, int(here is not None), int(not was_here))
        known = here.tags if here else {}
        equal = sum(known.get(key) == value for key, value in given.tags.items())
        before = self._known[given.name].tags if was_here else {}
        new = sum(before.get(key) != value for key, value in given.tags.items())
        tally.count("experiment tags", len(given.tags), equal, new)
        if here is not None and here.lifecycle != given.lifecycle:
            tally.differ(
                f"The experiment {given.name!r} is {given.lifecycle.value} in the source and "
                f"{here.lifecycle.value} here; --update takes the source's word."
            )
        for key, value in given.tags.items():
            if here is not None and known.get(key) != value:
                tally.differ(f"The experiment {given.name!r} has another tag {key!r} here.")

    # --- runs ----------------------------------------------------------------------------------

    def _tried(self, runs: list[SourceRun], experiment: str) -> None:
        snapshot = self._tally.snapshot()
        for left in reversed(range(MOST_TRIES)):
            try:
                self._runs(runs, experiment)
            except ConflictError:
                if not left:
                    raise
                self._road.start_over()
                self._tally.go_back(snapshot)
            else:
                return

    def _runs(self, runs: list[SourceRun], experiment: str) -> None:
        """Import some runs of one experiment: ask, send, settle, and ask again."""
        ask = DescribeRuns(run_ids=[run.run_id for run in runs])
        before = {known.run.run_id: known for known in self._backend.call(ask)}
        files = {run.run_id: self._files.of(run) for run in runs}
        dry, update = self._options.dry_run, self._options.update
        if not dry:
            for run in runs:
                known = before.get(run.run_id)
                for fact in plan.facts_of(run, known, experiment, update=update):
                    self._road.add(fact)
        series = self._series.look(self._source.series(runs), before, send=not dry)
        after = before
        if not dry:
            for run in runs:
                known = before.get(run.run_id)
                for fact in self._files.send(files[run.run_id], run.run_id, known):
                    self._road.add(fact)
            self._road.flush()
            self._settle(runs, before)
            after = {known.run.run_id: known for known in self._backend.call(ask)}
        for run in runs:
            pair = before.get(run.run_id), after.get(run.run_id)
            self._count_run(run, *pair)
            self._files.count(
                f"Run {run.run_id}",
                files[run.run_id],
                *(known.artifacts if known else [] for known in pair),
            )
        self._series.count(series, before, after, complain=not dry)
        self._moved(runs=len(runs))

    def _settle(self, runs: list[SourceRun], before: dict[str, RunDescription]) -> None:
        writer = self._road.writer
        settlements = [
            plan.settlement_of(run, before.get(run.run_id), writer, update=self._options.update)
            for run in runs
        ]
        chosen = [settlement for settlement in settlements if settlement is not None]
        if chosen:
            self._backend.call(SettleRuns(runs=chosen, writer=writer))

    def _count_run(
        self, run: SourceRun, before: RunDescription | None, after: RunDescription | None
    ) -> None:
        tally = self._tally
        tally.count("runs", 1, int(after is not None), int(before is None))
        if run.lifecycle == Lifecycle.DELETED:
            is_deleted = after is not None and after.run.lifecycle == Lifecycle.DELETED
            was = before is not None and before.run.lifecycle == Lifecycle.DELETED
            tally.count("deleted runs", 1, int(is_deleted), int(not was))
        for kind, mine in (("param", run.params), ("tag", run.tags)):
            theirs = getattr(after.run, f"{kind}s") if after else {}
            old = getattr(before.run, f"{kind}s") if before else {}
            fit, problems = plan.fitting(kind, mine)
            for problem in problems:
                tally.differ(f"Run {run.run_id}: {problem}")
            equal = sum(theirs.get(key) == value for key, value in mine.items())
            new = sum(key not in old for key in fit)
            tally.count(f"{kind}s", len(mine), equal, new)
            if after is not None:
                for key in fit:
                    if theirs.get(key) != fit[key]:
                        tally.differ(
                            f"Run {run.run_id}: {kind} {key!r} is {theirs.get(key)!r:.80} here "
                            f"and {fit[key]!r:.80} in the source."
                        )
        inputs = {plan.input_key(item) for item in run.inputs}
        here = {plan.input_key(item) for item in after.inputs} if after else set()
        had = {plan.input_key(item) for item in before.inputs} if before else set()
        tally.count("inputs", len(inputs), len(inputs & here), len(inputs - had))
        used = {(model.role, model.model_id): model.step for model in run.models}
        uses = {(model.role, model.model_id): model.step for model in after.models} if after else {}
        used_before = {(model.role, model.model_id) for model in before.models} if before else set()
        if used:
            equal = sum(uses.get(key) == step for key, step in used.items())
            new = len(used.keys() - used_before)
            tally.count("links to logged models", len(used), equal, new)
        if after is not None and not self._options.dry_run:
            self._compare_attributes(run, after)

    def _compare_attributes(self, run: SourceRun, here: RunDescription) -> None:
        pairs = (
            ("status", run.status.value, here.run.status.value),
            ("lifecycle", run.lifecycle.value, here.run.lifecycle.value),
            ("name", run.name, here.run.name),
            ("start", run.start_ms or 0, here.run.start_ms),
            ("end", run.end_ms, here.run.end_ms),
            ("user", run.user, here.run.user),
            ("experiment", self._ids[run.experiment_id], here.run.experiment_id),
        )
        for name, theirs, ours in pairs:
            if theirs != ours:
                self._tally.differ(
                    f"Run {run.run_id}: its {name} is {ours!r} here and {theirs!r} in the source."
                )

    def _moved(self, *, runs: int = 0, points: int = 0, file_bytes: int = 0) -> None:
        step = self._step
        self._step = Step(
            step.total, step.runs + runs, step.points + points, step.file_bytes + file_bytes
        )
        self._watch(self._step)
