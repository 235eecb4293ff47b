"""Runs by client: reading, searching, moving and deleting them, and fetching their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import InvalidInputError, MissingExtraError
from loopline.records import operations as ops
from loopline.rules.names import check_artifact_path
from loopline.tracking import artifacts, tables
from loopline.tracking.experiments import ExperimentClient
from loopline.tracking.found import Runs, lifecycle_of, orders
from loopline.tracking.frames import joined
from loopline.tracking.words import user_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from loopline.records.tracking import Artifact, MetricHistory, Run, RunInput, RunTable

__all__ = ["MetricArrays", "RunClient"]

#: Runs in one answer of the store, whole and as a table.
PAGE = 10_000
TABLE_PAGE = 50_000


class MetricArrays(NamedTuple):
    """The points of a metric, ordered by step, timestamp and value, as read-only NumPy arrays.

    Attributes:
        steps: Shape (n,), int64.
        timestamps_ms: Shape (n,), int64, Unix milliseconds.
        values: Shape (n,), float64, in the metric's own unit.
    """

    steps: Any
    timestamps_ms: Any
    values: Any


def _check_lists(experiment_ids: Sequence[str], experiment_names: Sequence[str]) -> None:
    if isinstance(experiment_ids, str) or isinstance(experiment_names, str):
        msg = "Give experiment ids and names as a list, even one alone."
        raise InvalidInputError(msg)


class RunClient(ExperimentClient):
    """Asks one store about experiments and runs, with no global state."""

    def get_run(self, run_id: str) -> Run:
        """Get a run with its params, tags and metric summaries.

        Raises:
            NotFoundError: No run has this id.
        """
        return self.recorder.call(ops.GetRun(run_id=run_id))

    def get_parent_run(self, run_id: str) -> Run | None:
        """Get the run that a run was started inside; None when there is none."""
        parent = self.get_run(run_id).parent_run_id
        return self.get_run(parent) if parent else None

    def search_runs(
        self,
        experiment_ids: Sequence[str] = (),
        filter_string: str = "",
        run_view_type: Any = 1,  # noqa: ANN401 - MLflow's ViewType
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
        *,
        experiment_names: Sequence[str] = (),
    ) -> Runs:
        """Search runs, newest first unless ordered otherwise.

        Args:
            experiment_ids: Where to look, together with ``experiment_names``; both empty:
                everywhere.
            filter_string: Such as ``"metrics.rmse < 4 and params.model = 'gbm'"``.
            run_view_type: 1 active, 2 deleted, 3 all.
            max_results: At most so many; the answer's ``token`` leads to the next.
            order_by: Such as ``["metrics.rmse ASC"]``.
            page_token: ``token`` of the page before.
            experiment_names: Where to look, by name.

        Raises:
            FilterError: With the character and what was expected there.
        """
        _check_lists(experiment_ids, experiment_names)
        view = lifecycle_of(run_view_type)
        recorder = self.recorder
        recorder.catch_up()
        found = Runs(token=page_token or "")
        while True:
            page = recorder.backend.call(
                ops.SearchRuns(
                    experiment_ids=[str(one) for one in experiment_ids],
                    experiment_names=list(experiment_names),
                    filter=filter_string,
                    order_by=orders(order_by),
                    max_results=min(PAGE, max_results - len(found)),
                    page_token=found.token,
                    lifecycle=view,
                )
            )
            found += page.runs
            found.token = page.next_page_token
            if not found.token or len(found) >= max_results:
                return found

    def count_runs(
        self,
        experiment_ids: Sequence[str] = (),
        filter_string: str = "",
        run_view_type: Any = 1,  # noqa: ANN401 - MLflow's ViewType
        *,
        experiment_names: Sequence[str] = (),
    ) -> int:
        """Count the runs that ``search_runs`` would find on all its pages.

        Args:
            experiment_ids: As for ``search_runs``, like the others.
            filter_string: As above.
            run_view_type: As above.
            experiment_names: As above.

        Raises:
            FilterError: With the character and what was expected there.
        """
        _check_lists(experiment_ids, experiment_names)
        return self.recorder.call(
            ops.CountRuns(
                experiment_ids=[str(one) for one in experiment_ids],
                experiment_names=list(experiment_names),
                filter=filter_string,
                lifecycle=lifecycle_of(run_view_type),
            )
        )

    def search_run_table(
        self,
        experiment_ids: Sequence[str] = (),
        filter_string: str = "",
        run_view_type: Any = 1,  # noqa: ANN401 - MLflow's ViewType
        max_results: int = 100_000,
        order_by: Sequence[str] | None = None,
        *,
        experiment_names: Sequence[str] = (),
        columns: Sequence[str] = (),
    ) -> RunTable:
        """Search runs as ``search_runs`` does and answer columns, for many thousands of runs.

        Args:
            experiment_ids: As for ``search_runs``, like the others.
            filter_string: As above.
            run_view_type: As above.
            max_results: At most so many.
            order_by: As above.
            experiment_names: As above.
            columns: Such as ``["metrics.rmse", "params.model"]``; empty: all there are.
        """
        _check_lists(experiment_ids, experiment_names)
        view = lifecycle_of(run_view_type)
        recorder = self.recorder
        recorder.catch_up()
        pages: list[RunTable] = []
        found, token = 0, ""
        while True:
            page = recorder.backend.call(
                ops.SearchRunTable(
                    experiment_ids=[str(one) for one in experiment_ids],
                    experiment_names=list(experiment_names),
                    filter=filter_string,
                    order_by=orders(order_by),
                    max_results=min(TABLE_PAGE, max_results - found),
                    page_token=token,
                    lifecycle=view,
                    columns=list(columns),
                )
            )
            pages.append(page)
            found += len(page.run_ids)
            token = page.next_page_token
            if not token or found >= max_results:
                return joined(pages)

    def get_metric_history(self, run_id: str, key: str) -> MetricHistory:
        """Get every point of a metric: columns ordered by step, timestamp and value."""
        return self.recorder.call(ops.GetMetricHistory(run_id=run_id, key=key))

    def get_metric_arrays(self, run_id: str, key: str) -> MetricArrays:
        """Get every point of a metric as NumPy arrays: a million of them in an instant.

        Raises:
            MissingExtraError: NumPy is not installed.
        """
        try:
            import numpy as np
        except ImportError:
            raise MissingExtraError("numpy", extra="data", purpose="An array") from None
        columns = self.recorder.call(ops.GetMetricColumns(run_id=run_id, key=key))
        return MetricArrays(
            steps=np.frombuffer(columns.steps, dtype="<i8"),
            timestamps_ms=np.frombuffer(columns.timestamps_ms, dtype="<i8"),
            values=np.frombuffer(columns.values, dtype="<f8"),
        )

    def list_inputs(self, run_id: str) -> list[RunInput]:
        """List the data versions a run read."""
        return self.recorder.call(ops.ListInputs(run_id=run_id))

    def delete_run(self, run_id: str) -> None:
        """Soft-delete a run."""
        self.recorder.call(ops.DeleteRun(run_id=run_id))

    def restore_run(self, run_id: str) -> None:
        """Undo the deletion of a run."""
        self.recorder.call(ops.RestoreRun(run_id=run_id))

    def move_runs(
        self,
        run_ids: Sequence[str] | str,
        experiment_name: str | None = None,
        experiment_id: str | None = None,
        *,
        with_children: bool = True,
    ) -> Runs:
        """Move runs to another experiment, with all that belongs to them; all of them or none.

        Args:
            run_ids: The runs.
            experiment_name: Where to; it is made when missing.
            experiment_id: Where to, instead.
            with_children: The runs started inside them go along.

        Raises:
            NotFoundError: There is no such run or experiment; nothing is moved.
        """
        ids = [run_ids] if isinstance(run_ids, str) else list(run_ids)
        moved = self.recorder.call(
            ops.MoveRuns(
                run_ids=ids,
                experiment=experiment_name or "",
                experiment_id=experiment_id or "",
                with_children=with_children,
                actor=user_name(),
            )
        )
        return Runs(moved)

    def copy_run(
        self,
        run_id: str,
        experiment_name: str | None = None,
        experiment_id: str | None = None,
        *,
        run_name: str | None = None,
        with_children: bool = False,
    ) -> Run:
        """Copy a run that has ended, with its whole history; no bytes of files are copied.

        The copy has the tag ``loopline.copied_from``.

        Args:
            run_id: The run.
            experiment_name: Where to; it is made when missing; the run's own when neither name
                nor id is given.
            experiment_id: Where to, instead.
            run_name: Name of the copy; that of the run when None.
            with_children: The runs started inside it are copied too, as children of the copy.

        Raises:
            ConflictError: The run has not ended.
        """
        return self.recorder.call(
            ops.CopyRun(
                run_id=run_id,
                experiment=experiment_name or "",
                experiment_id=experiment_id or "",
                name=run_name or "",
                with_children=with_children,
                actor=user_name(),
            )
        )

    # --- files ---

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[Artifact]:
        """List what lies in a folder of a run."""
        return self.recorder.call(ops.ListArtifacts(run_id=run_id, path=path or ""))

    def download_artifacts(
        self, run_id: str, path: str = "", dst_path: str | Path | None = None
    ) -> str:
        """Bring a file or folder of a run to this machine, checked; return where it is.

        Args:
            run_id: The run.
            path: File or folder; everything when empty.
            dst_path: Folder to put it into; a temporary one when None.
        """
        uri = artifacts.run_uri(run_id, path)
        return str(artifacts.download(self.recorder, uri, dst_path))

    def load_table(
        self,
        experiment_id: str,
        artifact_file: str,
        run_ids: Sequence[str] | None = None,
        extra_columns: Sequence[str] | None = None,
    ) -> Any:  # noqa: ANN401 - a DataFrame
        """Read the table that runs logged under one path, one below the other.

        Args:
            experiment_id: Where to look for runs that have it.
            artifact_file: Path of the table.
            run_ids: Only of these runs.
            extra_columns: Attributes of the runs to put beside, such as ``["run_id"]``.

        Raises:
            NotFoundError: None of the runs has the table.
        """
        path = check_artifact_path(artifact_file)
        if run_ids is not None:
            runs = [self.get_run(run_id) for run_id in run_ids]
        else:
            runs = [
                run
                for run in self.search_runs(
                    [experiment_id],
                    f"tags.`{tables.LOGGED_ARTIFACTS}` IS NOT NULL",
                    max_results=50_000,
                )
                if path in tables.tables_in(run.tags[tables.LOGGED_ARTIFACTS])
            ]
        return tables.read_tables(self.recorder, runs, path, list(extra_columns or ()))
