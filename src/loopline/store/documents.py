"""The document of a run: its params, tags and metric summaries in one piece.

It repeats what the clustered fact tables hold, and is written in the same transaction as they
are, so that a page of runs costs one read and ingestion knows a run without asking for its parts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, select

from loopline.records.base import Lifecycle
from loopline.records.tracking import MetricSummary, Run, RunStatus, RunTable
from loopline.rules.points import Summary, order_of
from loopline.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row

    from loopline.store.run_memo import RunMemo

__all__ = [
    "RUNS",
    "TABLE_RUNS",
    "MetricEntry",
    "RunDocument",
    "RunTableBuilder",
    "decode",
    "encode",
    "records_of",
]

_run = schema.run
_document = schema.run_document

#: Runs with their documents; callers add which ones.
RUNS = select(_run, _document.c.data.label("document")).outerjoin(
    _document, _document.c.run_pk == _run.c.pk
)


#: What a table shows of a run's row.
_SHOWN = (
    _run.c.run_id, _run.c.experiment_id, _run.c.name, _run.c.status, _run.c.lifecycle,
    _run.c.start_ms, _run.c.end_ms,
)  # fmt: skip
#: Runs with what a table shows of them; callers add which ones.
TABLE_RUNS = select(*_SHOWN, _document.c.data.label("document"), _run.c.pk).outerjoin(
    _document, _document.c.run_pk == _run.c.pk
)

#: Names of experiments by their numbers. Look-ups by primary key.
NAMES = select(schema.experiment.c.id, schema.experiment.c.name).where(
    schema.experiment.c.id.in_(bindparam("numbers", expanding=True))
)


class MetricEntry(msgspec.Struct, array_like=True, gc=False):
    """A metric's summary (see ``rules.points.Summary``) and in how many blocks its points are."""

    value: float
    step: int
    timestamp_ms: int
    min: float | None
    max: float | None
    sum: float | None
    finite: int
    points: int
    first_step: int
    last_step: int
    blocks: int

    @classmethod
    def of(cls, summary: Summary, blocks: int) -> MetricEntry:
        """Make an entry of a summary."""
        return cls(*summary, blocks)

    def summary(self) -> Summary:
        """Return the summary."""
        return Summary(*msgspec.structs.astuple(self)[:-1])

    @property
    def last(self) -> tuple[int, int, float]:
        """The latest point: step, timestamp, value."""
        return self.step, self.timestamp_ms, self.value

    def is_last(self, point: tuple[int, int, float]) -> bool:
        """Tell whether a point is the latest there is."""
        return order_of(point) == order_of(self.last)

    def record(self) -> MetricSummary:
        """Return what users see."""
        mean = math.nan
        if self.finite and self.sum is not None:
            mean = self.sum / self.finite
        return MetricSummary(
            value=self.value,
            step=self.step,
            timestamp_ms=self.timestamp_ms,
            min=math.nan if self.min is None else self.min,
            max=math.nan if self.max is None else self.max,
            mean=mean,
            count=self.points,
            first_step=self.first_step,
            last_step=self.last_step,
        )


class RunDocument(msgspec.Struct, array_like=True):
    """Params, tags and metrics of a run."""

    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: dict[str, MetricEntry] = {}


_decoder = msgspec.msgpack.Decoder(RunDocument)
_encoder = msgspec.msgpack.Encoder()
_STATUS = {status.value: status for status in RunStatus}
_LIFECYCLE = {lifecycle.value: lifecycle for lifecycle in Lifecycle}


def decode(data: bytes | None) -> RunDocument:
    """Read a document; a run without one has nothing logged."""
    return RunDocument() if data is None else _decoder.decode(data)


def encode(document: RunDocument) -> bytes:
    """Write a document."""
    return _encoder.encode(document)


def records_of(
    connection: Connection, rows: Sequence[Row[Any]], memo: RunMemo | None = None
) -> list[Run]:
    """Turn rows of ``RUNS`` into records, those that are remembered without reading them."""
    names = _experiment_names(connection, {row.experiment_id for row in rows})
    if memo is not None:
        return memo.records(rows, names, _record)
    return [_record(row, names[row.experiment_id]) for row in rows]


def _experiment_names(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    return {row.id: row.name for row in connection.execute(NAMES, {"numbers": list(numbers)})}


def _record(row: Row[Any], experiment_name: str) -> Run:
    document = decode(row.document)
    return Run(
        run_id=row.run_id,
        experiment_id=str(row.experiment_id),
        experiment_name=experiment_name,
        name=row.name,
        status=_STATUS[row.status],
        lifecycle=_LIFECYCLE[row.lifecycle],
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        duration_ms=row.duration_ms,
        user=row.user,
        end_reason=row.end_reason,
        parent_run_id=row.parent_run_id,
        flow_run_id=row.flow_run_id,
        task_slug=row.task_slug,
        params=document.params,
        tags=document.tags,
        metrics={key: entry.record() for key, entry in document.metrics.items()},
    )


class _LatestValue(msgspec.Struct, array_like=True, gc=False):
    """A metric of which only the latest value is read."""

    value: float


class _BriefDocument(msgspec.Struct, array_like=True, gc=False):
    """A document read for a table, without what a table does not show."""

    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: dict[str, _LatestValue] = {}


_brief_decoder = msgspec.msgpack.Decoder(_BriefDocument)
_NOTHING = _BriefDocument()


class _Columns:
    """Columns by key, filled a few runs at a time; None where a run has no such key."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {}
        self._height = 0

    def add(self, of_runs: list[dict[str, Any]]) -> None:
        """Put runs below the others, given what each has by key."""
        first = of_runs[0].keys()
        if all(each.keys() == first for each in of_runs):
            # The runs of an experiment mostly have the same keys, though not in the same order.
            parts = {key: [each[key] for each in of_runs] for key in first}
        else:
            keys = set[str]().union(*of_runs)
            parts = {key: [each.get(key) for each in of_runs] for key in keys}
        for key, part in parts.items():
            if key not in self._columns:
                self._columns[key] = [None] * self._height
            self._columns[key] += part
        self._height += len(of_runs)
        for column in self._columns.values():
            column.extend([None] * (self._height - len(column)))

    def named(self, kind: str, wanted: Sequence[str]) -> dict[str, list[Any]]:
        """Return the columns in order of key: those ``wanted`` as ``<kind>.<key>``, or all."""
        return {
            key: self._columns[key]
            for key in sorted(self._columns)
            if not wanted or f"{kind}.{key}" in wanted
        }


class RunTableBuilder:
    """A table of runs, filled some rows at a time, so that few of them are in memory at once."""

    def __init__(self) -> None:
        self._rows: tuple[list[Any], ...] = tuple([] for _ in _SHOWN)
        self._params, self._tags, self._metrics = _Columns(), _Columns(), _Columns()

    def add(self, rows: Sequence[Row[Any]]) -> None:
        """Put rows of ``TABLE_RUNS`` below the others."""
        # Whole columns at once: an attribute of a row costs more than its value.
        *parts, data, _pks = zip(*rows, strict=True)
        for column, part in zip(self._rows, parts, strict=True):
            column.extend(part)
        read = _brief_decoder.decode
        documents = [_NOTHING if each is None else read(each) for each in data]
        self._params.add([document.params for document in documents])
        self._tags.add([document.tags for document in documents])
        self._metrics.add([document.metrics for document in documents])

    def table(self, columns: Sequence[str], next_page_token: str) -> RunTable:
        """Return it, with those ``columns`` of params, tags and metrics, or with all."""
        run_ids, experiment_ids, names, statuses, lifecycles, start_ms, end_ms = self._rows
        return RunTable(
            run_ids=run_ids,
            experiment_ids=[str(number) for number in experiment_ids],
            names=names,
            statuses=[_STATUS[status] for status in statuses],
            lifecycles=[_LIFECYCLE[lifecycle] for lifecycle in lifecycles],
            start_ms=start_ms,
            end_ms=end_ms,
            metrics={
                key: [None if each is None else each.value for each in column]
                for key, column in self._metrics.named("metrics", columns).items()
            },
            params=self._params.named("params", columns),
            tags=self._tags.named("tags", columns),
            next_page_token=next_page_token,
        )
