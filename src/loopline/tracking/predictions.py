"""What served models predicted, joined with what really happened once that is known."""

from __future__ import annotations

import datetime
import io
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError, MissingExtraError, NotFoundError
from loopline.models.signature import is_table
from loopline.records.facts import ArtifactLogged, RunEnded, RunStarted
from loopline.records.operations import ListArtifacts, SearchRuns
from loopline.records.predictions import (
    FOLDER,
    MODEL_TAG,
    TRUTH_FOLDER,
    PredictionFile,
    experiment_of,
    file_name,
)
from loopline.records.tracking import RunStatus
from loopline.tracking.words import user_name
from loopline.tracking.writer import now_ms

if TYPE_CHECKING:
    from loopline.backend.recorder import Recorder

__all__ = ["add_truth", "check_recorded", "predictions", "record_file"]

Moment = datetime.datetime | datetime.date | int | float | str | None


def predictions(
    model: str, *, since: Moment = None, until: Moment = None, with_truth: bool = True
) -> Any:  # noqa: ANN401 - a pyarrow.Table
    """Get what a model predicted while it was served with ``--record``.

    Args:
        model: Name that it was served as: the registered model's, mostly.
        since: The first moment: a date or time (without a zone: UTC), text in ISO form, or Unix
            seconds.
        until: The moment after the last.
        with_truth: Join what ``truth.add`` brought, by id.

    Returns:
        A ``pyarrow.Table``, a row for each row predicted, by time: ``id``, ``time``, ``version``,
        ``role`` (who answered: ``champion`` or ``challenger``; ``shadow``: asked beside),
        ``latency_ms`` of the request, ``input.NAME`` for each column, ``prediction`` (or
        ``prediction.NAME``), and ``truth`` (or ``truth.NAME``), empty where it has not come.

    Raises:
        NotFoundError: Nothing was recorded of such a model.
        MissingExtraError: PyArrow is not installed.
    """
    pa = _pyarrow()
    first, last = _milliseconds(since), _milliseconds(until)
    recorder = get_recorder()
    recorder.catch_up()
    tables = _read(recorder, model, FOLDER, first, last)
    if tables is None:
        raise _nothing_recorded(model)
    if not tables:
        names = {"id": pa.string(), "time": pa.timestamp("ms", tz="UTC"), "version": pa.string()}
        return pa.table({name: pa.array([], kind) for name, kind in names.items()})
    table = pa.concat_tables(tables, promote_options="permissive")
    import pyarrow.compute as pc

    times = pc.cast(table["time"], pa.int64())
    if first is not None:
        table = table.filter(pc.greater_equal(times, first))
        times = pc.cast(table["time"], pa.int64())
    if last is not None:
        table = table.filter(pc.less(times, last))
    if with_truth:
        table = _with_truth(table, _read(recorder, model, TRUTH_FOLDER, None, None) or [])
    return table.sort_by([("time", "ascending"), ("id", "ascending")])


def check_recorded(model: str) -> None:
    """Refuse a name that nothing was recorded of, which is mistyped, mostly.

    Raises:
        NotFoundError: There is not one run that served such a model.
    """
    recorder = get_recorder()
    recorder.catch_up()
    page = recorder.call(SearchRuns(experiment_names=[experiment_of(model)], max_results=1))
    if not page.runs:
        raise _nothing_recorded(model)


def _nothing_recorded(model: str) -> NotFoundError:
    return NotFoundError(
        f"Nothing was recorded of a model {model!r}. Serve it with "
        f"`loopline serve models:/{model}/Production --record all`."
    )


def add_truth(data: Any, model: str, *, id_column: str = "id") -> int:  # noqa: ANN401 - any table
    """Tell what really happened, by the ids of predictions; a later word about one counts.

    Args:
        data: A DataFrame, a ``pyarrow.Table``, or the path of a Parquet or CSV file, with a column
            of ids and one or more of what happened.
        model: Name that the model was served as.
        id_column: Its column of ids.

    Returns:
        How many rows were taken.

    Raises:
        InvalidInputError: There is no such column, nothing beside it, or an id is empty.
        MissingExtraError: PyArrow is not installed.
    """
    pa = _pyarrow()
    table = _table(data)
    others = [name for name in table.column_names if name != id_column]
    if id_column not in table.column_names or not others:
        msg = (
            f"The truth must have a column {id_column!r} and one or more beside it, and has "
            f"{', '.join(table.column_names)}. Name another column of ids with --id-column."
        )
        raise InvalidInputError(msg)
    ids = table[id_column].cast(pa.string())
    if ids.null_count:
        msg = f"Column {id_column!r} has {ids.null_count} empty ids. Leave these rows out."
        raise InvalidInputError(msg)
    names = ["truth"] if len(others) == 1 else [f"truth.{name}" for name in others]
    at = now_ms()
    kept = pa.table(
        {
            "id": ids,
            **{name: table[other] for name, other in zip(names, others, strict=True)},
            "truth_time": pa.array([at] * len(table), pa.timestamp("ms", tz="UTC")),
        }
    )
    recorder = get_recorder()
    run_id = uuid.uuid4().hex
    recorder.record(
        RunStarted(
            run_id=run_id, experiment=experiment_of(model), name="truth", start_ms=at,
            user=user_name(), tags={MODEL_TAG: model},
        )
    )  # fmt: skip
    record_file(recorder, run_id, TRUTH_FOLDER, kept, first_ms=at, last_ms=at)
    recorder.record(RunEnded(run_id=run_id, status=RunStatus.FINISHED, end_ms=now_ms()))
    return len(kept)


def record_file(
    recorder: Recorder,
    run_id: str,
    folder: str,
    table: Any,  # noqa: ANN401 - a pyarrow.Table
    *,
    first_ms: int,
    last_ms: int,
) -> None:
    """Keep a table as a file of a run; on return it survives the death of the process."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    sha256, size = recorder.stage_bytes(sink.getvalue())
    file = PredictionFile(first_ms=first_ms, last_ms=last_ms, rows=len(table))
    recorder.record(
        ArtifactLogged(
            run_id=run_id,
            path=file_name(folder, file, uuid.uuid4().hex[:12]),
            sha256=sha256,
            size_bytes=size,
            at_ms=now_ms(),
        )
    )


def _read(
    recorder: Recorder, model: str, folder: str, first: int | None, last: int | None
) -> list[Any] | None:
    """Read the files of a kind that have rows of a time; None: nobody recorded any run."""
    import pyarrow.parquet as pq

    runs = []
    token = ""
    while True:
        page = recorder.call(SearchRuns(experiment_names=[experiment_of(model)], page_token=token))
        runs += page.runs
        token = page.next_page_token
        if not token:
            break
    if not runs:
        return None
    tables = []
    for run in runs:
        listed = recorder.call(ListArtifacts(run_id=run.info.run_id, path=folder, recursive=True))
        for artifact in listed:
            file = None if artifact.is_dir else PredictionFile.parse(artifact.path)
            if file is None or (first is not None and file.last_ms < first):
                continue
            if last is not None and file.first_ms >= last:
                continue
            data = b"".join(recorder.backend.read_blob(artifact.sha256))
            tables.append(pq.read_table(io.BytesIO(data)))
    return tables


def _with_truth(table: Any, truths: list[Any]) -> Any:  # noqa: ANN401 - pyarrow tables
    """Join what happened; of several words about one id the last counts."""
    pa = _pyarrow()
    if not truths:
        return table.append_column("truth", pa.nulls(len(table), pa.float64()))
    import numpy as np

    every = pa.concat_tables(truths, promote_options="permissive").sort_by("truth_time")
    ids = np.array(every["id"].to_pylist(), dtype=object)
    # The last of each id: the first one, counted from behind.
    _, places = np.unique(ids[::-1].astype(str), return_index=True)
    latest = every.take(pa.array(len(ids) - 1 - places))
    return table.join(latest, keys="id", join_type="left outer")


def _table(data: Any) -> Any:  # noqa: ANN401 - any table to a pyarrow.Table
    pa = _pyarrow()
    if isinstance(data, pa.Table):
        return data
    if is_table(data):
        return pa.Table.from_pandas(data, preserve_index=False)
    if isinstance(data, (str, Path)):
        import pyarrow.csv
        import pyarrow.parquet as pq

        path = Path(data)
        if not path.is_file():
            msg = f"There is no file {path}. Give a Parquet or CSV file."
            raise NotFoundError(msg)
        try:
            if path.suffix == ".csv":
                return pyarrow.csv.read_csv(path)
            return pq.read_table(path)
        except pa.ArrowException as error:
            msg = f"{path} cannot be read as {'CSV' if path.suffix == '.csv' else 'Parquet'}: "
            raise InvalidInputError(msg + f"{error}.") from None
    msg = f"{type(data).__name__} is no table. Give a DataFrame, a pyarrow.Table or a file's path."
    raise InvalidInputError(msg)


def _milliseconds(moment: Moment) -> int | None:
    """Read a moment.

    Raises:
        InvalidInputError: It is none.
    """
    if moment is None:
        return None
    if isinstance(moment, str):
        try:
            moment = datetime.datetime.fromisoformat(moment)
        except ValueError:
            msg = f"{moment!r} is no moment. Write it like 2022-03-01 or 2022-03-01T08:30:00+00:00."
            raise InvalidInputError(msg) from None
    if isinstance(moment, (int, float)):
        return int(moment * 1000)
    if not isinstance(moment, datetime.datetime):
        moment = datetime.datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - below
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return int(moment.timestamp() * 1000)


def _pyarrow() -> Any:  # noqa: ANN401 - a module
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingExtraError("pyarrow", extra="data", purpose="Recording predictions") from None
    return pa
