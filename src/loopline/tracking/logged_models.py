"""Logged models: found, looked at, tagged and deleted, under the names that MLflow has for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, MissingExtraError, NotFoundError
from loopline.records import operations as ops
from loopline.records.logged_models import DatasetName, LoggedModel, LoggedModelOrder
from loopline.tracking.experiments import ExperimentClient
from loopline.tracking.found import Found, orders

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopline.backend.recorder import Recorder

__all__ = ["LoggedModelClient", "get_logged_model", "orders_of", "search_logged_models"]

#: Logged models asked for with one request.
PAGE = 1_000
FORMATS = ("auto", "pandas", "list")


class LoggedModelClient(ExperimentClient):
    """The part of ``loopline.Client`` for logged models."""

    def search_logged_models(
        self,
        experiment_ids: Sequence[str] = (),
        filter_string: str | None = None,
        datasets: Sequence[Mapping[str, str]] | None = None,
        max_results: int | None = None,
        order_by: Sequence[str | Mapping[str, Any]] | None = None,
        page_token: str | None = None,
    ) -> Found[LoggedModel]:
        """Search logged models, newest first unless ordered otherwise.

        Args:
            experiment_ids: Where to look; empty: everywhere.
            filter_string: Such as ``"metrics.rmse < 4 AND params.depth = '7'"``; also ``name``,
                ``model_type``, ``status``, ``source_run_id`` and ``tags``.
            datasets: Conditions on metrics hold for what was measured on one of these data
                versions: ``{"dataset_name": …, "dataset_digest": …}``, the digest if it matters.
            max_results: At most so many; all when None.
            order_by: Such as ``["metrics.rmse ASC"]``, or with a data version ``[{"field_name":
                "metrics.rmse", "ascending": True, "dataset_name": "2023"}]``.
            page_token: ``token`` of the page before.

        Raises:
            FilterError: With the character and what was expected there.
        """
        if isinstance(experiment_ids, str):
            msg = f"Give experiment_ids as a list, even of one: [{experiment_ids!r}]."
            raise InvalidInputError(msg)
        recorder = self.recorder
        recorder.catch_up()
        found: Found[LoggedModel] = Found(token=page_token or "")
        while max_results is None or len(found) < max_results:
            wanted = PAGE if max_results is None else max_results - len(found)
            page = recorder.backend.call(
                ops.SearchLoggedModels(
                    experiment_ids=[str(one) for one in experiment_ids],
                    filter=filter_string or "",
                    datasets=[_dataset(one) for one in datasets or ()],
                    order_by=orders_of(order_by),
                    max_results=min(PAGE, wanted),
                    page_token=found.token,
                )
            )
            found += page.models
            found.token = page.next_page_token
            if not found.token:
                break
        return found

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """Get a logged model with its params, tags and everything measured on it.

        Raises:
            NotFoundError: There is none of this id, or it is deleted.
        """
        return self.recorder.call(ops.GetLoggedModel(model_id=model_id))

    def delete_logged_model(self, model_id: str) -> None:
        """Soft-delete a logged model; versions that were registered from it keep their files."""
        self.recorder.call(ops.DeleteLoggedModel(model_id=model_id))

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, Any]) -> None:
        """Set tags of a logged model; the last value of a key counts."""
        texts = {str(key): str(value) for key, value in tags.items()}
        self.recorder.call(ops.SetLoggedModelTags(model_id=model_id, tags=texts))

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Take a tag off a logged model; one that is not there is an error."""
        self.recorder.call(ops.RemoveLoggedModelTag(model_id=model_id, key=key))


def get_logged_model(model_id: str) -> LoggedModel:
    """Get a logged model with its params, tags and everything measured on it.

    Raises:
        NotFoundError: There is none of this id, or it is deleted.
    """
    from loopline.tracking.client import Client

    return Client().get_logged_model(model_id)


def search_logged_models(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str | None = None,
    datasets: Sequence[Mapping[str, str]] | None = None,
    max_results: int | None = None,
    order_by: Sequence[str | Mapping[str, Any]] | None = None,
    output_format: str = "auto",
) -> Any:  # noqa: ANN401 - a pandas DataFrame, or a list of logged models
    """Search logged models; answers a DataFrame when pandas is there, else a list of them.

    Args:
        experiment_ids: Where to look; the experiment set (see ``set_experiment``) when None.
        filter_string: Such as ``"metrics.rmse < 4 AND params.depth = '7'"``.
        datasets: Data versions on which the metrics of conditions are to be measured.
        max_results: At most so many; all when None.
        order_by: Such as ``["metrics.rmse ASC"]``; dictionaries, as MLflow has them, too.
        output_format: ``"pandas"``, ``"list"``, or ``"auto"``.

    Raises:
        FilterError: With the character and what was expected there.
        MissingExtraError: pandas was asked for and is not there.
    """
    from loopline.tracking.client import Client
    from loopline.tracking.frames import available_format

    if output_format not in FORMATS:
        msg = f"output_format must be one of {', '.join(FORMATS)}, not {output_format!r}."
        raise InvalidInputError(msg)
    client = Client()
    found: Found[LoggedModel] = Found()
    if experiment_ids is None:
        experiment_ids = _here(client.recorder)
    if experiment_ids:
        found = client.search_logged_models(
            experiment_ids, filter_string, datasets, max_results, order_by
        )
    kind = available_format() if output_format == "auto" else output_format
    return _frame(found) if kind == "pandas" else found


def _here(recorder: Recorder) -> list[str]:
    """Tell the id of the experiment set; none when nothing was logged to it yet."""
    from loopline.tracking.starting import experiment_name

    try:
        experiment = recorder.call(ops.GetExperiment(name=experiment_name()))
    except NotFoundError:
        return []
    return [experiment.experiment_id]


def _dataset(given: Mapping[str, str]) -> DatasetName:
    if "dataset_name" not in given:
        msg = f'{dict(given)!r} names no data version. Write {{"dataset_name": "trips 2023"}}.'
        raise InvalidInputError(msg)
    return DatasetName(name=given["dataset_name"], digest=given.get("dataset_digest") or "")


def orders_of(given: Sequence[str | Mapping[str, Any]] | None) -> list[LoggedModelOrder]:
    """Take what to order by: texts such as ``"metrics.rmse DESC"``, or dictionaries.

    Raises:
        InvalidInputError: One is none of these.
    """
    if isinstance(given, str):
        orders(given)  # Which refuses it.
    found = []
    for one in given or ():
        if isinstance(one, str):
            field, _, way = one.strip().rpartition(" ")
            has_way = way.upper() in {"ASC", "DESC"}
            found.append(
                LoggedModelOrder(
                    field=field.strip() if has_way and field else one.strip(),
                    ascending=not (has_way and way.upper() == "DESC"),
                )
            )
            continue
        if "field_name" not in one:
            msg = f'{dict(one)!r} is no order. Write "metrics.rmse ASC".'
            raise InvalidInputError(msg)
        found.append(
            LoggedModelOrder(
                field=str(one["field_name"]),
                ascending=bool(one.get("ascending", True)),
                dataset=_dataset(one) if one.get("dataset_name") else None,
            )
        )
    return found


def _frame(found: Sequence[LoggedModel]) -> Any:  # noqa: ANN401 - pandas'
    """Make a DataFrame with a row a model and MLflow's columns."""
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise MissingExtraError("pandas", extra="pandas", purpose="A DataFrame") from error
    rows = [
        {
            "model_id": model.model_id,
            "experiment_id": model.experiment_id,
            "name": model.name,
            "model_uri": f"models:/{model.model_id}",
            "creation_timestamp": model.created_ms,
            "last_updated_timestamp": model.updated_ms,
            "model_type": model.model_type,
            "source_run_id": model.source_run_id,
            "status": model.status.value,
            "params": model.params,
            "tags": model.tags,
            "metrics": {point.key: point.value for point in model.metrics},
        }
        for model in found
    ]
    return pd.DataFrame(rows)
