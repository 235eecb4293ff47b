"""The document of a run: its params, tags and metric summaries in one piece.

It repeats what the clustered fact tables hold, and is written in the same transaction as they
are, so that a page of runs costs one read and ingestion knows a run without asking for its parts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select

from loopline.records.base import Lifecycle
from loopline.records.tracking import MetricSummary, Run, RunStatus, RunTable
from loopline.rules.points import Summary
from loopline.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row

__all__ = ["RUNS", "MetricEntry", "RunDocument", "decode", "encode", "records_of", "table_of"]

_run = schema.run
_document = schema.run_document

#: Runs with their documents; callers add which ones.
RUNS = select(_run, _document.c.data.label("document")).outerjoin(
    _document, _document.c.run_pk == _run.c.pk
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


def records_of(connection: Connection, rows: Sequence[Row[Any]]) -> list[Run]:
    """Turn rows of ``RUNS`` into records."""
    names = _experiment_names(connection, {row.experiment_id for row in rows})
    return [_record(row, names[row.experiment_id]) for row in rows]


def _experiment_names(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    table = schema.experiment
    query = select(table.c.id, table.c.name).where(table.c.id.in_(list(numbers)))
    return {row.id: row.name for row in connection.execute(query)}


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


class _LatestValues(msgspec.Struct, array_like=True, gc=False):
    """A metric of which only the latest value is read."""

    value: float


class _BriefDocument(msgspec.Struct, array_like=True):
    """A document read for a table, without what a table does not show."""

    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: dict[str, _LatestValues] = {}


_brief_decoder = msgspec.msgpack.Decoder(_BriefDocument)


def table_of(rows: Sequence[Row[Any]], *, columns: Sequence[str], next_page_token: str) -> RunTable:
    """Turn rows of ``RUNS`` into columns."""
    # Whole columns at once: an attribute of a row costs more than its value.
    given = dict(zip(RUNS.selected_columns.keys(), zip(*rows, strict=True), strict=False))
    nothing = _BriefDocument()
    read = _brief_decoder.decode
    documents = [nothing if data is None else read(data) for data in given.get("document", ())]
    return RunTable(
        run_ids=list(given.get("run_id", ())),
        experiment_ids=[str(number) for number in given.get("experiment_id", ())],
        names=list(given.get("name", ())),
        statuses=[_STATUS[status] for status in given.get("status", ())],
        lifecycles=[_LIFECYCLE[lifecycle] for lifecycle in given.get("lifecycle", ())],
        start_ms=list(given.get("start_ms", ())),
        end_ms=list(given.get("end_ms", ())),
        metrics={
            key: [None if each is None else each.value for each in column]
            for key, column in _turn("metrics", [d.metrics for d in documents], columns).items()
        },
        params=_turn("params", [document.params for document in documents], columns),
        tags=_turn("tags", [document.tags for document in documents], columns),
        next_page_token=next_page_token,
    )


def _turn(kind: str, of_runs: list[dict[str, Any]], wanted: Sequence[str]) -> dict[str, Any]:
    """Turn what each run has by key into a column for each key."""
    keys = sorted(set().union(*of_runs))
    if wanted:
        keys = [key for key in keys if f"{kind}.{key}" in wanted]
    return {key: [each.get(key) for each in of_runs] for key in keys}
