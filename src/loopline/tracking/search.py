"""Searching runs, to records or to a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError, MissingExtraError
from loopline.records.operations import SearchRuns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.tracking import Run

__all__ = ["find_runs", "search_runs"]

PAGE = 10_000
FORMATS = ("auto", "pandas", "polars", "list")


def find_runs(
    filter_string: str = "",
    *,
    experiment_ids: Sequence[str] = (),
    experiment_names: Sequence[str] = (),
    order_by: Sequence[str] = (),
    max_results: int = 1000,
    include_deleted: bool = False,
) -> list[Run]:
    """Search runs and return their records, newest first unless ordered otherwise.

    Raises:
        FilterError: With the character and what was expected there.
    """
    found: list[Run] = []
    recorder = get_recorder()
    recorder.flush()
    token = ""
    while len(found) < max_results:
        page = recorder.backend.call(
            SearchRuns(
                experiment_ids=list(experiment_ids),
                experiment_names=list(experiment_names),
                filter=filter_string,
                order_by=list(order_by),
                max_results=min(PAGE, max_results - len(found)),
                page_token=token,
                include_deleted=include_deleted,
            )
        )
        found += page.runs
        token = page.next_page_token
        if not token:
            break
    return found


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

    Columns are ``run_id``, ``experiment_id``, ``status``, ``start_time``, ``end_time``, then
    ``metrics.*``, ``params.*`` and ``tags.*``, as MLflow names them.

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
        from loopline.tracking.fluent import _experiment_name

        experiment_names = [_experiment_name()]
    view = {None: "active", 1: "active", 2: "deleted", 3: "all"}.get(run_view_type, "all")
    runs = find_runs(
        filter_string,
        experiment_ids=experiment_ids or (),
        experiment_names=experiment_names or (),
        order_by=order_by or (),
        max_results=max_results,
        include_deleted=view != "active",
    )
    if view == "deleted":
        runs = [run for run in runs if run.lifecycle == "deleted"]
    kind = _available() if output_format == "auto" else output_format
    if kind == "list":
        return runs
    return _table(runs, kind)


def _available() -> str:
    from importlib.util import find_spec

    return next((kind for kind in ("pandas", "polars") if find_spec(kind)), "list")


def _table(runs: list[Run], kind: str) -> Any:  # noqa: ANN401
    from datetime import UTC, datetime

    columns: dict[str, list[Any]] = {
        "run_id": [run.run_id for run in runs],
        "experiment_id": [run.experiment_id for run in runs],
        "status": [run.status.value for run in runs],
        "start_time": [datetime.fromtimestamp(run.start_ms / 1000, UTC) for run in runs],
        "end_time": [
            None if run.end_ms is None else datetime.fromtimestamp(run.end_ms / 1000, UTC)
            for run in runs
        ],
    }
    for prefix, values in (
        ("metrics", [run.data.metrics for run in runs]),
        ("params", [run.params for run in runs]),
        ("tags", [run.tags for run in runs]),
    ):
        for key in sorted({key for row in values for key in row}):
            columns[f"{prefix}.{key}"] = [row.get(key) for row in values]
    if kind == "polars":
        try:
            import polars
        except ImportError:
            raise MissingExtraError("polars", extra="polars", purpose="This format") from None
        return polars.DataFrame(columns)
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError("pandas", extra="demo", purpose="A DataFrame") from None
    frame = pd.DataFrame(columns)
    for name in ("start_time", "end_time"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame
