"""A running MLflow server as a source: what its REST interface tells, and files through it."""

from __future__ import annotations

from functools import cached_property, partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.base import Lifecycle
from loopline.records.logged_models import LoggedModel, LoggedModelPoint, ModelRole, RunModel
from loopline.transfer.mlflow_facts import (
    PARENT,
    champions_of,
    dataset_input,
    lifecycle_of,
    logged_model_status,
    origin_of,
    stage_of,
    status_of,
    status_of_version,
)
from loopline.transfer.mlflow_history import read_series
from loopline.transfer.mlflow_rest import Rest, number_of
from loopline.transfer.mlflow_server_files import LoggedModelPlace, RunPlace, place_at
from loopline.transfer.source import (
    Note,
    SourceExperiment,
    SourceLoggedModel,
    SourceModel,
    SourceRun,
    SourceVersion,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from loopline.records.tracking import RunInput
    from loopline.transfer.source import Series

__all__ = ["ServerSource"]

PAGE = 1000
#: Servers give at most so many logged models at a time.
MODELS_PAGE = 50


class ServerSource:
    """A server that speaks MLflow's protocol, 2 or 3."""

    def __init__(self, url: str, *, artifacts: Path | None = None) -> None:
        """Use a server.

        Args:
            url: Such as ``http://localhost:5000``.
            artifacts: Folder that holds the artifact root, for files the server does not give.
        """
        self._rest = Rest(url)
        self._artifacts = artifacts
        self._notes: list[Note] = []
        self._roots: dict[str, str] = {}
        self._keys: dict[str, list[str]] = {}  # Of metrics, by run, until they are read.
        #: Logged models that runs read and made, by the runs' experiment.
        self._named: dict[str, set[str]] = {}

    @property
    def name(self) -> str:
        """Its address, without a password."""
        return self._rest.url

    @property
    def identity(self) -> str:
        """Its address."""
        return f"mlflow\0{self._rest.url}"

    def close(self) -> None:
        """Close the connections."""
        self._rest.close()

    # --- experiments and runs ------------------------------------------------------------------

    def experiments(self) -> list[SourceExperiment]:
        """Read every experiment, deleted ones too."""
        found = []
        ask = partial(self._rest.post, "experiments/search")
        for item in _pages(ask, "experiments", {"max_results": PAGE, "view_type": "ALL"}):
            created_ms = int(item.get("creation_time") or 0)
            found.append(
                SourceExperiment(
                    experiment_id=str(item["experiment_id"]),
                    name=item["name"],
                    lifecycle=lifecycle_of(item.get("lifecycle_stage")),
                    created_ms=created_ms,
                    updated_ms=int(item.get("last_update_time") or created_ms),
                    tags=_texts(item.get("tags")),
                )
            )
        # Newest first is how servers list them; here the ids come in their order.
        return sorted(found, key=lambda one: (len(one.experiment_id), one.experiment_id))

    def count_runs(self, experiment: SourceExperiment) -> int:
        """Nobody knows before they are read."""
        del experiment
        return 0

    def runs(self, experiment: SourceExperiment, together: int) -> Iterator[list[SourceRun]]:
        """Read the runs of an experiment, the oldest first: what is new comes at the end."""
        ask = partial(self._rest.post, "runs/search")
        query = {
            "experiment_ids": [experiment.experiment_id],
            "run_view_type": "ALL",
            "max_results": together,
            "order_by": ["attributes.start_time ASC"],
        }
        some: list[SourceRun] = []
        seen: set[str] = set()
        for item in _pages(ask, "runs", query):
            run = self._run(item, experiment)
            if run.run_id in seen:
                continue  # A page has moved because somebody is writing.
            seen.add(run.run_id)
            some.append(run)
            if len(some) == together:
                yield some
                some = []
        if some:
            yield some

    def _run(self, item: dict[str, Any], experiment: SourceExperiment) -> SourceRun:
        info, data = item["info"], item.get("data", {})
        run_id = str(info.get("run_id") or info.get("run_uuid"))
        tags = _texts(data.get("tags"))
        uri = str(info.get("artifact_uri") or "")
        self._roots[run_id] = uri
        self._keys[run_id] = sorted({str(metric["key"]) for metric in data.get("metrics", [])})
        start_ms, end_ms = info.get("start_time"), info.get("end_time")
        models = self._used(run_id, item)
        named = self._named.setdefault(experiment.experiment_id, set())
        named.update(each.model_id for each in models)
        return SourceRun(
            run_id=run_id,
            experiment_id=experiment.experiment_id,
            name=str(info.get("run_name") or tags.get("mlflow.runName", "")),
            status=status_of(info.get("status")),
            lifecycle=lifecycle_of(info.get("lifecycle_stage")),
            start_ms=None if start_ms is None else int(start_ms),
            end_ms=None if end_ms is None else int(end_ms),
            user=str(info.get("user_id") or ""),
            parent_run_id=tags.get(PARENT),
            params=_texts(data.get("params")),
            tags=tags,
            inputs=list(self._inputs(item.get("inputs", {}))),
            place=place_at(self._rest, uri, RunPlace(self._rest, run_id), self._artifacts),
            models=models,
        )

    def _used(self, run_id: str, item: dict[str, Any]) -> list[RunModel]:
        """Ask which logged models a run read and made; a search does not tell the former."""
        if self._has_models:
            item = self._rest.get("runs/get", run_id=run_id).get("run", item)
        read = item.get("inputs", {}).get("model_inputs", [])
        made = item.get("outputs", {}).get("model_outputs", [])
        return [
            RunModel(model_id=str(one["model_id"]), role=role, step=int(one.get("step") or 0))
            for role, some in ((ModelRole.INPUT, read), (ModelRole.OUTPUT, made))
            for one in some
        ]

    @cached_property
    def _has_models(self) -> bool:
        """Whether there is any logged model, and so runs that may have read it."""
        ids = [experiment.experiment_id for experiment in self.experiments()]
        return any(
            self._models_in(ids[start : start + 100], 1) for start in range(0, len(ids), 100)
        )

    def _models_in(self, experiment_ids: list[str], most: int) -> list[dict[str, Any]]:
        """Read the logged models of experiments, the first page alone when ``most`` is 1."""
        query = {"experiment_ids": experiment_ids, "max_results": most}
        ask = partial(self._rest.post, "logged-models/search")
        try:
            if most == 1:
                found: list[dict[str, Any]] = ask(query).get("models", [])
                return found
            return list(_pages(ask, "models", query))
        except (NotFoundError, InvalidInputError):
            return []  # A server before MLflow 3.

    def _inputs(self, inputs: dict[str, Any]) -> Iterator[RunInput]:
        for item in inputs.get("dataset_inputs", []):
            tags = _texts(item.get("tags"))
            data = item.get("dataset", {})
            words = {
                name: str(data.get(name) or "")
                for name in ("name", "digest", "source_type", "source", "schema", "profile")
            }
            yield dataset_input(words, tags)

    def logged_models(
        self, experiment: SourceExperiment, together: int
    ) -> Iterator[list[SourceLoggedModel]]:
        """Read the logged models of an experiment.

        A server lists no deleted ones: those that the experiment's runs name are asked for singly.
        """
        items = self._models_in([experiment.experiment_id], MODELS_PAGE)
        listed = {str(item["info"]["model_id"]): item for item in items}
        models = chain(
            (self._logged_model(item, experiment) for item in listed.values()),
            self._deleted(experiment, listed.keys()),
        )
        while some := list(islice(models, together)):
            yield some

    def _deleted(
        self, experiment: SourceExperiment, listed: Collection[str]
    ) -> Iterator[SourceLoggedModel]:
        for model_id in sorted(self._named.get(experiment.experiment_id, set()) - set(listed)):
            try:
                found = self._rest.get(f"logged-models/{model_id}", allow_deleted="true")
            except (NotFoundError, InvalidInputError):
                why = "the server tells nothing of them: it is too old, or removed them for good"
                self._note("deleted logged models", 1, why)
                continue
            item = found["model"]
            # A run may name one of another experiment, which is read there.
            if str(item["info"].get("experiment_id")) == experiment.experiment_id:
                yield self._logged_model(item, experiment, Lifecycle.DELETED)

    def _logged_model(
        self,
        item: dict[str, Any],
        experiment: SourceExperiment,
        lifecycle: Lifecycle = Lifecycle.ACTIVE,
    ) -> SourceLoggedModel:
        info, data = item["info"], item.get("data", {})
        model_id = str(info["model_id"])
        created_ms = int(info.get("creation_timestamp_ms") or 0)
        points = [
            LoggedModelPoint(
                model_id=model_id,
                key=str(point["key"]),
                value=number_of(point.get("value", 0.0)),
                step=int(point.get("step") or 0),
                timestamp_ms=int(point.get("timestamp") or 0),
                run_id=str(point.get("run_id") or info.get("source_run_id") or ""),
                dataset_name=str(point.get("dataset_name") or ""),
                dataset_digest=str(point.get("dataset_digest") or ""),
            )
            for point in data.get("metrics", [])
        ]
        model = LoggedModel(
            model_id=model_id,
            experiment_id=experiment.experiment_id,
            name=str(info.get("name") or "model"),
            model_type=str(info.get("model_type") or ""),
            source_run_id=str(info.get("source_run_id") or ""),
            status=logged_model_status(info.get("status")),
            status_message=str(info.get("status_message") or ""),
            lifecycle=lifecycle,
            created_ms=created_ms,
            updated_ms=int(info.get("last_updated_timestamp_ms") or created_ms),
            params=_texts(data.get("params")),
            tags=_texts(info.get("tags")),
            metrics=points,
        )
        place = LoggedModelPlace(self._rest, model_id)
        uri = str(info.get("artifact_uri") or "")
        return SourceLoggedModel(
            model=model, place=place_at(self._rest, uri, place, self._artifacts)
        )

    def series(self, runs: list[SourceRun]) -> Iterator[Series]:
        """Read every metric of some runs."""
        yield from read_series(self._rest, {run.run_id: self._keys[run.run_id] for run in runs})

    # --- registry ------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """A server does not count."""
        return {}

    def models(self) -> list[SourceModel]:
        """Read the registry."""
        versions: dict[str, list[SourceVersion]] = {}
        ask = partial(_get, self._rest, "model-versions/search")
        for item in _pages(ask, "model_versions", {"max_results": PAGE}):
            versions.setdefault(item["name"], []).append(self._version(item))
        models = []
        ask = partial(_get, self._rest, "registered-models/search")
        for item in _pages(ask, "registered_models", {"max_results": 100}):
            own = sorted(versions.get(item["name"], []), key=lambda version: version.version)
            created_ms = int(item.get("creation_timestamp") or 0)
            models.append(
                SourceModel(
                    name=item["name"],
                    created_ms=created_ms,
                    updated_ms=int(item.get("last_updated_timestamp") or created_ms),
                    description=item.get("description") or "",
                    # A server does not tell the numbers of versions that were deleted.
                    latest_version=max((version.version for version in own), default=0),
                    aliases={
                        str(alias["alias"]): int(alias["version"])
                        for alias in item.get("aliases", [])
                    },
                    champions=champions_of(own),
                    tags=_texts(item.get("tags")),
                    versions=own,
                )
            )
        return models

    def _version(self, item: dict[str, Any]) -> SourceVersion:
        run_id = str(item.get("run_id") or "")
        origin = origin_of(
            run_id=run_id,
            source=str(item.get("source") or ""),
            storage=self._storage(item),
            model_id=str(item.get("model_id") or ""),
            run_root=self._roots.get(run_id, ""),
        )
        created_ms = int(item.get("creation_timestamp") or 0)
        place = None
        if origin.location:
            place = place_at(self._rest, origin.location, None, self._artifacts)
        return SourceVersion(
            version=int(item["version"]),
            created_ms=created_ms,
            updated_ms=int(item.get("last_updated_timestamp") or created_ms),
            stage=stage_of(item.get("current_stage")),
            description=str(item.get("description") or ""),
            user=str(item.get("user_id") or ""),
            run_id=origin.run_id,
            run_path=origin.run_path,
            model_id=origin.model_id,
            place=place,
            source=str(item.get("source") or ""),
            run_link=str(item.get("run_link") or ""),
            status=status_of_version(item.get("status")),
            status_message=str(item.get("status_message") or ""),
            tags=_texts(item.get("tags")),
        )

    def _storage(self, item: dict[str, Any]) -> str:
        """Ask where a version's files lie."""
        try:
            answer = self._rest.get(
                "model-versions/get-download-uri", name=item["name"], version=item["version"]
            )
        except (NotFoundError, InvalidInputError):
            return ""
        return str(answer.get("artifact_uri") or "")

    def notes(self) -> list[Note]:
        """Say what is there that an import cannot take."""
        return self._notes

    def _note(self, what: str, count: int, why: str) -> None:
        if count:
            self._notes.append(Note(what, count, why))


def _get(rest: Rest, path: str, query: dict[str, Any]) -> dict[str, Any]:
    return rest.get(path, **query)


def _pages(ask: Any, what: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """Ask page after page."""
    token = ""
    while True:
        answer = ask({**query, "page_token": token} if token else query)
        yield from answer.get(what, [])
        token = answer.get("next_page_token") or ""
        if not token:
            return


def _texts(pairs: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    return {str(pair["key"]): str(pair.get("value") or "") for pair in pairs or []}
