"""Searching runs, to records or to a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.tracking.client import Client
from loopline.tracking.frames import available_format, runs_frame
from loopline.tracking.starting import experiment_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.tracking.found import Runs

__all__ = ["count_runs", "find_runs", "search_runs"]

FORMATS = ("auto", "pandas", "polars", "list")


def find_runs(
    filter_string: str = "",
    *,
    experiment_ids: Sequence[str] = (),
    experiment_names: Sequence[str] = (),
    order_by: Sequence[str] = (),
    max_results: int = 1000,
    include_deleted: bool = False,
) -> Runs:
    """Search runs and return their records, newest first unless ordered otherwise.

    Raises:
        FilterError: With the character and what was expected there.
    """
    return Client().search_runs(
        experiment_ids,
        filter_string,
        3 if include_deleted else 1,
        max_results,
        order_by,
        experiment_names=experiment_names,
    )


def count_runs(
    filter_string: str = "",
    *,
    experiment_ids: Sequence[str] = (),
    experiment_names: Sequence[str] = (),
    include_deleted: bool = False,
) -> int:
    """Count the runs that ``find_runs`` would find without its limit.

    Raises:
        FilterError: With the character and what was expected there.
    """
    return Client().count_runs(
        experiment_ids,
        filter_string,
        3 if include_deleted else 1,
        experiment_names=experiment_names,
    )


def search_runs(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    run_view_type: Any = None,  # noqa: ANN401 - MLflow's ViewType
    max_results: int = 100_000,
    order_by: Sequence[str] | None = None,
    output_format: str = "auto",
    search_all_experiments: bool = False,  # noqa: FBT001, FBT002 - as MLflow has it
    experiment_names: Sequence[str] | None = None,
) -> Any:  # noqa: ANN401 - a pandas or Polars DataFrame, or a list of runs
    """Search runs; answers a DataFrame when pandas or Polars is there, else a list of runs.

    Columns are ``run_id``, ``experiment_id``, ``status``, ``artifact_uri``, ``start_time``,
    ``end_time``, then ``metrics.*``, ``params.*`` and ``tags.*``, as MLflow names them.

    Args:
        experiment_ids: Where to look; the experiment set (see ``set_experiment``) when neither
            ids nor names are given.
        filter_string: Such as ``"metrics.rmse < 4 and params.model = 'gbm'"``.
        run_view_type: 1 active, 2 deleted, 3 all, as MLflow numbers them; active when None.
        max_results: At most so many.
        order_by: Such as ``["metrics.rmse ASC"]``.
        output_format: ``"pandas"``, ``"polars"``, ``"list"``, or ``"auto"``.
        search_all_experiments: Look everywhere.
        experiment_names: Where to look, by name.

    Raises:
        FilterError: With the character and what was expected there.
    """
    if output_format not in FORMATS:
        msg = f"output_format must be one of {', '.join(FORMATS)}, not {output_format!r}."
        raise InvalidInputError(msg)
    if not experiment_ids and not experiment_names and not search_all_experiments:
        experiment_names = [experiment_name()]
    kind = available_format() if output_format == "auto" else output_format
    client = Client()
    where = experiment_ids or ()
    names = experiment_names or ()
    if kind == "list":
        return client.search_runs(
            where, filter_string, run_view_type, max_results, order_by, experiment_names=names
        )
    table = client.search_run_table(
        where, filter_string, run_view_type, max_results, order_by, experiment_names=names
    )
    return runs_frame(table, kind)
