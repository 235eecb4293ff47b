"""Predictions kept as files of the serving process's run, by a thread of its own.

What was flushed survives the death of the process, by the journal; the rest are at most a few
seconds. Nothing here slows or fails a request: where the store cannot keep up, rows are left out
and counted.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import struct
import threading
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.backend.recorder import get_recorder
from loopline.errors import MissingExtraError
from loopline.models.signature import is_array, is_table
from loopline.records.facts import MetricPoints, RunEnded, RunStarted
from loopline.records.predictions import FOLDER, MODEL_TAG, experiment_of, metric_of
from loopline.records.tracking import RunStatus
from loopline.serving.arrow import as_table
from loopline.tracking.predictions import record_file
from loopline.tracking.words import user_name
from loopline.tracking.writer import now_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.serving.model import Content, ServedModel

__all__ = ["Recording"]

log = logging.getLogger("loopline.serving")

#: Seconds between two flushes, and rows that bring one sooner.
FLUSH_EVERY_S, FLUSH_ROWS = 5.0, 20_000
#: Rows in memory, at most.
MOST_ROWS = 200_000


class _Kept(NamedTuple):
    """One request that was answered."""

    model: ServedModel
    content: Content
    found: Any
    ids: Sequence[str]
    at_ms: int
    latency_ms: float
    role: str


class Recording:
    """Keeps what one name predicts.

    Args:
        name: What is served.
        address: Where its versions come from, for the run's params.
        share: Of the requests that are kept, 0 to 1.
    """

    def __init__(self, name: str, *, address: str, share: float) -> None:
        try:
            import pyarrow as pa  # noqa: F401 - only asked for
            import pyarrow.parquet as pq  # noqa: F401 - now, and not while requests are answered
        except ImportError:
            purpose = "Recording predictions"
            raise MissingExtraError("pyarrow", extra="data", purpose=purpose) from None
        self.name = name
        self.left_out = 0
        self.recorded = 0
        self._share = share
        self._prefix = uuid.uuid4().hex[:16]
        self._numbers = itertools.count()
        self._kept: deque[_Kept] = deque()
        # Two counts, as each is written by one thread alone.
        self._taken = self._done = 0
        self._wake = threading.Event()
        self._stop = False
        self._recorder = get_recorder()
        self._run_id = uuid.uuid4().hex
        self._start_ms = now_ms()
        self._recorder.record(
            RunStarted(
                run_id=self._run_id,
                experiment=experiment_of(name),
                name=f"serving {name}",
                start_ms=self._start_ms,
                user=user_name(),
                tags={MODEL_TAG: name, "loopline.serves.address": address, "pid": str(os.getpid())},
            )
        )
        self._thread = threading.Thread(
            target=self._flush_often, name=f"loopline-record-{name}", daemon=True
        )
        self._thread.start()

    def sample(self) -> bool:
        """Choose whether a request is kept."""
        return self._share >= 1 or random.random() < self._share  # noqa: S311 - a sample

    def new_id(self) -> str:
        """Make the id of a request's prediction."""
        return f"{self._prefix}{next(self._numbers):x}"

    def keep(
        self,
        model: ServedModel,
        content: Content,
        found: Any,  # noqa: ANN401 - any answer
        *,
        ids: str | Sequence[str],
        latency_s: float,
        role: str = "champion",
    ) -> None:
        """Keep an answered request; rows of one with a single id get ``id-0``, ``id-1``, ..."""
        pending = self._taken - self._done
        if pending + content.size > MOST_ROWS:
            self.left_out += content.size
            return
        if isinstance(ids, str):
            ids = [ids] if content.size == 1 else [f"{ids}-{at}" for at in range(content.size)]
        at_ms = time.time_ns() // 1_000_000
        self._kept.append(_Kept(model, content, found, ids, at_ms, latency_s * 1000, role))
        self._taken += content.size
        if pending >= FLUSH_ROWS:
            self._wake.set()

    def close(self) -> None:
        """Flush what is there, and end the run."""
        self._stop = True
        self._wake.set()
        self._thread.join()
        ended = RunEnded(run_id=self._run_id, status=RunStatus.FINISHED, end_ms=now_ms())
        self._recorder.record(ended)

    def _flush_often(self) -> None:
        while not self._stop:
            self._wake.wait(FLUSH_EVERY_S)
            self._wake.clear()
            kept = [self._kept.popleft() for _ in range(len(self._kept))]
            if not kept:
                continue
            rows = sum(each.content.size for each in kept)
            try:
                self._flush(kept)
                self.recorded += rows
            except Exception:  # A full disk, or data that no table holds: serving goes on.
                self.left_out += rows
                log.exception("%d predictions of %s could not be recorded", rows, self.name)
            self._done += rows

    def _flush(self, kept: list[_Kept]) -> None:
        import pyarrow as pa

        groups: dict[tuple[int, bool], list[_Kept]] = {}
        for each in kept:
            alike = (id(each.model), each.content.rows is not None)
            groups.setdefault(alike, []).append(each)
        tables = []
        for (_, rowed), group in groups.items():
            tables += [_rows_table(group)] if rowed else [_data_table(each) for each in group]
        record_file(
            self._recorder,
            self._run_id,
            FOLDER,
            pa.concat_tables(tables, promote_options="permissive"),
            first_ms=min(each.at_ms for each in kept),
            last_ms=max(each.at_ms for each in kept),
        )
        self._count(kept)

    def _count(self, kept: list[_Kept]) -> None:
        """Say how many predictions each version made, and when the first of them was made."""
        by_version: dict[str, list[_Kept]] = {}
        for each in kept:
            by_version.setdefault(each.model.version, []).append(each)
        by_version.pop("", None)  # A folder, of no version.
        for version, group in by_version.items():
            points = _points(group, self._start_ms)
            self._recorder.record(
                MetricPoints(run_id=self._run_id, key=metric_of(version), **points)
            )


def _points(group: list[_Kept], start_ms: int) -> dict[str, bytes]:
    """Pack a point for each second in which there were predictions: how many rows."""
    rows: dict[int, int] = {}
    last: dict[int, int] = {}
    for each in group:
        second = max(0, each.at_ms - start_ms) // 1000
        rows[second] = rows.get(second, 0) + each.content.size
        last[second] = max(last.get(second, 0), each.at_ms)
    steps = sorted(rows)
    return {
        "steps": struct.pack(f"<{len(steps)}q", *steps),
        "timestamps_ms": struct.pack(f"<{len(steps)}q", *(last[step] for step in steps)),
        "values": struct.pack(f"<{len(steps)}d", *(rows[step] for step in steps)),
    }


def _about(group: list[_Kept]) -> dict[str, Any]:
    """Make the columns that each row has, whatever the model."""
    import pyarrow as pa

    sizes = [each.content.size for each in group]

    def spread(values: list[Any], kind: Any) -> Any:  # noqa: ANN401 - of pyarrow
        return pa.array(
            [value for value, size in zip(values, sizes, strict=True) for _ in range(size)], kind
        )

    return {
        "id": pa.array([name for each in group for name in each.ids], pa.string()),
        "time": spread([each.at_ms for each in group], pa.timestamp("ms", tz="UTC")),
        "version": spread([each.model.version for each in group], pa.string()),
        "role": spread([each.role for each in group], pa.string()),
        "latency_ms": spread([each.latency_ms for each in group], pa.float64()),
    }


def _rows_table(group: list[_Kept]) -> Any:  # noqa: ANN401 - a pyarrow.Table
    """Make one table of many requests whose rows have the same columns."""
    import pyarrow as pa

    inputs = group[0].model.inputs
    names = [] if inputs is None else inputs.names
    rows = [row for each in group for row in each.content.rows or ()]
    columns = {
        f"input.{name}": pa.array(list(values))
        for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }
    return pa.table({**_about(group), **columns, **_answers(_together(group))})


def _together(group: list[_Kept]) -> Any:  # noqa: ANN401 - a pyarrow.Table
    """Make one table of all answers."""
    import numpy as np
    import pyarrow as pa

    found = [each.found for each in group]
    if all(is_array(each) and each.ndim == 1 for each in found):
        return as_table(np.concatenate(found))
    return pa.concat_tables([as_table(each) for each in found], promote_options="permissive")


def _data_table(each: _Kept) -> Any:  # noqa: ANN401 - a pyarrow.Table
    """Make the table of one request that came as a table or as arrays."""
    import pyarrow as pa

    data = each.content.data
    if is_table(data):
        data.columns = [str(name) for name in data.columns]
    table = as_table(data)
    one = table.column_names == ["predictions"]
    columns = {"input" if one else f"input.{name}": table[name] for name in table.column_names}
    if any(len(column) != each.content.size for column in columns.values()):
        columns = {}
    return pa.table({**_about([each]), **columns, **_answers(as_table(each.found))})


def _answers(table: Any) -> dict[str, Any]:  # noqa: ANN401 - a pyarrow.Table
    if table.column_names == ["predictions"]:
        return {"prediction": table["predictions"]}
    return {f"prediction.{name}": table[name] for name in table.column_names}
