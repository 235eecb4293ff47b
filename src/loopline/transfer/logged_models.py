"""The logged models of an import: sent whole, each in one transaction, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from loopline.errors import ConflictError, InvalidInputError
from loopline.records.operations import DescribeLoggedModels, ImportLoggedModel
from loopline.records.tracking import Artifact
from loopline.transfer import plan

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.logged_models import LoggedModel, LoggedModelPoint
    from loopline.records.tracking import Experiment
    from loopline.records.transfer import LoggedModelDescription
    from loopline.transfer.importer import Options
    from loopline.transfer.run_files import FilesImport
    from loopline.transfer.source import (
        Source,
        SourceExperiment,
        SourceFile,
        SourceLoggedModel,
    )
    from loopline.transfer.tally import Tally

__all__ = ["LoggedModelsImport"]

#: Logged models asked for together.
TOGETHER = 100


class LoggedModelsImport:
    """Imports the logged models of experiments, after their runs.

    Attributes:
        found: Ids of all that were read.
    """

    def __init__(
        self,
        source: Source,
        backend: Backend,
        files: FilesImport,
        tally: Tally,
        options: Options,
    ) -> None:
        self._source = source
        self._backend = backend
        self._files = files
        self._tally = tally
        self._options = options
        self.found: set[str] = set()

    def of(self, given: SourceExperiment, here: Experiment | None) -> None:
        """Import those of an experiment.

        Args:
            given: The experiment in the source.
            here: The one that it is here; None when a dry run has made none.
        """
        for models in self._source.logged_models(given, TOGETHER):
            self.found |= {one.model.model_id for one in models}
            self._some(models, here.experiment_id if here else "")

    def _some(self, models: list[SourceLoggedModel], experiment_id: str) -> None:
        ask = DescribeLoggedModels(model_ids=[one.model.model_id for one in models])
        before = {known.model.model_id: known for known in self._backend.call(ask)}
        wanted = [(self._fitting(one.model), self._list(one)) for one in models]
        after = before
        if not self._options.dry_run:
            for model, files in wanted:
                self._send(replace(model, experiment_id=experiment_id), files, before)
            after = {known.model.model_id: known for known in self._backend.call(ask)}
        for one, (_, files) in zip(models, wanted, strict=True):
            model_id = one.model.model_id
            self._count(one.model, experiment_id, before.get(model_id), after.get(model_id))
            self._files.count(
                f"Logged model {model_id}",
                files,
                *(
                    known.files if known else []
                    for known in (before.get(model_id), after.get(model_id))
                ),
            )

    def _list(self, one: SourceLoggedModel) -> list[SourceFile]:
        return self._files.listed(one.place, "files of logged models")

    def _fitting(self, model: LoggedModel) -> LoggedModel:
        """Leave out the params and tags that a store would refuse, and tell of them."""
        params = plan.fitting("param", model.params)
        tags = plan.fitting("tag", model.tags)
        for problem in (*params.problems, *tags.problems):
            self._tally.differ(f"Logged model {model.model_id}: {problem}")
        return replace(model, params=params.fit, tags=tags.fit)

    def _send(
        self,
        model: LoggedModel,
        files: list[SourceFile],
        before: dict[str, LoggedModelDescription],
    ) -> None:
        known = before.get(model.model_id)
        kept = [
            Artifact(path=one.path, sha256=one.sha256, size_bytes=one.size_bytes)
            for one in self._files.keep(files, known.files if known else [])
        ]
        if known is not None and not kept and _says(known.model) == _says(model):
            return
        call = ImportLoggedModel(model=model, files=kept, update=self._options.update)
        try:
            self._backend.call(call)
        except ConflictError as error:
            self._tally.differ(str(error))
        except InvalidInputError as error:
            self._tally.differ(f"Logged model {model.model_id}: {error}")

    def _count(
        self,
        model: LoggedModel,
        experiment_id: str,
        before: LoggedModelDescription | None,
        after: LoggedModelDescription | None,
    ) -> None:
        tally = self._tally
        had, has = (known.model if known else None for known in (before, after))
        if has is not None and has.created_ms != model.created_ms:
            has = None  # Another one of the same id, which was told of.
        tally.count("logged models", 1, int(has is not None), int(had is None))
        for kind, mine, theirs, old in (
            ("params", model.params, has.params if has else {}, had.params if had else {}),
            ("tags", model.tags, has.tags if has else {}, had.tags if had else {}),
        ):
            equal = sum(theirs.get(key) == value for key, value in mine.items())
            new = sum(key not in old for key in mine)
            tally.count(f"logged model {kind}", len(mine), equal, new)
        points = _points(model)
        here, were = (_points(one) if one else {} for one in (has, had))
        equal = sum(here.get(key) == value for key, value in points.items())
        tally.count("logged model points", len(points), equal, len(points.keys() - were.keys()))
        if has is not None and not self._options.dry_run:
            self._compare(replace(model, experiment_id=experiment_id), has)

    def _compare(self, model: LoggedModel, here: LoggedModel) -> None:
        for name in _ATTRIBUTES:
            theirs, ours = getattr(model, name), getattr(here, name)
            if theirs != ours:
                self._tally.differ(
                    f"Logged model {model.model_id}: its {name} is {ours!r} here and {theirs!r} "
                    "in the source; --update takes the source's."
                )
        for kind in ("params", "tags"):
            mine, theirs = getattr(model, kind), getattr(here, kind)
            for key, value in plan.fitting(kind.removesuffix("s"), mine).fit.items():
                if theirs.get(key) != value:
                    self._tally.differ(
                        f"Logged model {model.model_id}: {kind.removesuffix('s')} {key!r} is "
                        f"{theirs.get(key)!r:.80} here and {value!r:.80} in the source."
                    )


_ATTRIBUTES = ("name", "model_type", "source_run_id", "status", "lifecycle", "experiment_id")


def _says(model: LoggedModel) -> tuple[object, ...]:
    """Tell all that an import compares."""
    return (
        *(getattr(model, name) for name in _ATTRIBUTES),
        model.status_message,
        model.created_ms,
        model.updated_ms,
        model.params,
        model.tags,
        _points(model),
    )


def _points(model: LoggedModel) -> dict[tuple[object, ...], str]:
    """Tell points by what makes each one; their values in words, for NaN is not equal to NaN."""
    return {_key_of(point): repr(point.value) for point in model.metrics}


def _key_of(point: LoggedModelPoint) -> tuple[object, ...]:
    return (
        point.key,
        point.dataset_name,
        point.dataset_digest,
        point.run_id,
        point.step,
        point.timestamp_ms,
    )
