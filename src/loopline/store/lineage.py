"""Lineage in the store: from a data version to its runs, their model versions and kept bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.base import Lifecycle
from loopline.records.identity import Thing
from loopline.records.lineage import DatasetSnapshot, DataUses, ReadDataset, RunUse, VersionUse
from loopline.records.tracking import Artifact, Dataset, RunStatus
from loopline.rules.snapshots import is_whole_snapshot, snapshot_folder
from loopline.store import schema
from loopline.store.callers import only_visible, visible_in
from loopline.store.experiments import parse_id
from loopline.store.runs import artifacts_below

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Select

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = ["find_snapshot", "get_data_uses", "list_datasets"]

_dataset = schema.dataset
_input = schema.run_input
_run = schema.run
_version = schema.model_version

MOST = 10_000
#: Runs asked for with one statement.
TOGETHER = 500
MOST_DIGESTS = 100
#: Digits with which a digest may be abbreviated.
SHORTEST = 8
FULL = 64
#: Runs looked through for a whole snapshot, newest first; the first one mostly has it.
SNAPSHOT_RUNS = 100


def list_datasets(
    _store: Store, connection: Connection, call: ops.ListDatasets
) -> list[ReadDataset]:
    """List the data versions that active runs read: a look-up by run for each run there."""
    if not 1 <= call.limit <= MOST:
        msg = f"The limit must lie between 1 and {MOST:,}, not be {call.limit}."
        raise InvalidInputError(msg)
    columns = (_run.c.experiment_id, _dataset.c.name, _dataset.c.digest, _input.c.context)
    query = (
        select(*columns)
        .distinct()
        .join(_input, _input.c.run_pk == _run.c.pk)
        .join(_dataset, _dataset.c.id == _input.c.dataset_id)
        .where(_run.c.lifecycle == Lifecycle.ACTIVE)
        .where(*only_visible(connection, Thing.EXPERIMENT, _run.c.experiment_id))
        .order_by(*columns)
        .limit(call.limit)
    )
    if call.experiment_ids:
        query = query.where(_run.c.experiment_id.in_([parse_id(e) for e in call.experiment_ids]))
    return [
        ReadDataset(
            experiment_id=str(row.experiment_id), name=row.name, digest=row.digest,
            context=row.context,
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def get_data_uses(_store: Store, connection: Connection, call: ops.GetDataUses) -> DataUses:
    """Tell which runs and which model versions used a data version."""
    if not 1 <= call.limit <= MOST:
        msg = f"The limit must lie between 1 and {MOST:,}, not be {call.limit}."
        raise InvalidInputError(msg)
    if not 1 <= len(call.digests) <= MOST_DIGESTS:
        msg = f"Give between 1 and {MOST_DIGESTS} digests of one data version."
        raise InvalidInputError(msg)
    rows = [row for digest in call.digests for row in _dataset_rows(connection, digest)]
    if not rows:
        return DataUses()
    # Two names for one digest are one data version.
    ids = sorted({row.id for row in rows})
    runs, versions = _run_uses(connection, ids), _version_uses(connection, ids)
    found = connection.execute(runs.limit(call.limit)).all()
    made = connection.execute(versions.limit(call.limit)).all()
    read = _reads(connection, ids, {row.run_id for row in (*found, *made)})
    if not (found or made) and visible_in(connection, Thing.EXPERIMENT) is not None:
        return DataUses()  # What data others have is theirs to tell.
    return DataUses(
        digests=sorted({row.digest for row in rows}),
        datasets=[_decode(row) for row in {row.id: row for row in rows}.values()],
        runs=[
            RunUse(
                run_id=row.run_id,
                name=row.name,
                experiment_name=row.experiment,
                status=RunStatus(row.status),
                start_ms=row.start_ms,
                contexts=read[row.run_id].contexts(),
                dataset=", ".join(sorted(read[row.run_id].datasets)),
            )
            for row in found
        ],
        versions=[
            VersionUse(
                name=row.name,
                version=row.version,
                stage=row.stage,
                run_id=row.run_id,
                contexts=read[row.run_id].contexts(),
            )
            for row in made
        ],
        run_count=_count(connection, runs),
        version_count=_count(connection, versions),
    )


class _Read:
    """What one run read a data version for, and under which names."""

    def __init__(self) -> None:
        self.purposes: set[str] = set()
        self.datasets: set[str] = set()

    def contexts(self) -> list[str]:
        """Tell them in alphabetical order, without the empty one."""
        return sorted(filter(None, self.purposes))


def _reads(connection: Connection, ids: list[int], run_ids: set[str]) -> dict[str, _Read]:
    """Read why each of some runs read any of some data versions. Index look-up for each run."""
    query = _reading(
        connection, ids, _run.c.run_id, _input.c.context, _dataset.c.name.label("dataset")
    )
    found: dict[str, _Read] = {}
    wanted = sorted(run_ids)
    for start in range(0, len(wanted), TOGETHER):
        some = wanted[start : start + TOGETHER]
        for row in connection.execute(query.where(_run.c.run_id.in_(some))):
            read = found.setdefault(row.run_id, _Read())
            read.purposes.add(row.context)
            read.datasets.add(row.dataset)
    return found


def find_snapshot(
    _store: Store, connection: Connection, call: ops.FindSnapshot
) -> DatasetSnapshot | None:
    """Find the kept bytes of a data version: whole ones only, of a run that is not deleted."""
    for row in _dataset_rows(connection, call.digest):
        dataset = _decode(row)
        folder = snapshot_folder(row.digest)
        runs = _reading(connection, [row.id], _run.c.pk, _run.c.run_id, _run.c.start_ms).distinct()
        newest = runs.order_by(_run.c.start_ms.desc()).limit(SNAPSHOT_RUNS)
        for run in connection.execute(newest).all():
            files = [
                Artifact(
                    path=file.path.removeprefix(f"{folder}/"),
                    sha256=file.sha256,
                    size_bytes=file.size_bytes,
                )
                for file in artifacts_below(connection, run.pk, folder)
            ]
            pairs = [(file.path, file.sha256) for file in files]
            if is_whole_snapshot(dataset.kind, row.digest, pairs):
                return DatasetSnapshot(
                    dataset=dataset, run_id=run.run_id, folder=folder, files=files
                )
    return None


def _run_uses(connection: Connection, ids: list[int]) -> Select[Any]:
    """Select the runs that read data versions. Index scan on the dataset of run inputs."""
    experiment = schema.experiment
    return (
        _reading(
            connection,
            ids,
            _run.c.run_id,
            _run.c.name,
            _run.c.status,
            _run.c.start_ms,
            experiment.c.name.label("experiment"),
        )
        .join(experiment, experiment.c.id == _run.c.experiment_id)
        .distinct()
        .order_by(_run.c.start_ms.desc(), _run.c.run_id)
    )


def _version_uses(connection: Connection, ids: list[int]) -> Select[Any]:
    """Select the model versions that these runs made. Index look-up for each run."""
    return (
        _reading(
            connection,
            ids,
            _version.c.name,
            _version.c.version,
            _version.c.stage,
            _run.c.run_id,
        )
        .join(_version, _version.c.run_id == _run.c.run_id)
        .where(*only_visible(connection, Thing.MODEL, _version.c.name))
        .distinct()
        .order_by(_version.c.name, _version.c.version.desc())
    )


def _reading(
    connection: Connection,
    ids: list[int],
    *columns: Any,  # noqa: ANN401 - any columns
) -> Select[Any]:
    """Select from the runs in use that read any of some data versions."""
    return (
        select(*columns)
        .select_from(_input)
        .join(_dataset, _dataset.c.id == _input.c.dataset_id)
        .join(_run, _run.c.pk == _input.c.run_pk)
        .where(_input.c.dataset_id.in_(ids), _run.c.lifecycle == Lifecycle.ACTIVE)
        .where(*only_visible(connection, Thing.EXPERIMENT, _run.c.experiment_id))
    )


def _count(connection: Connection, query: Select[Any]) -> int:
    rows = query.order_by(None).subquery()
    return int(connection.execute(select(func.count()).select_from(rows)).scalar_one())


def _dataset_rows(connection: Connection, digest: str) -> Sequence[Row[Any]]:
    """Find the data versions with a digest, or with the one digest that begins so.

    Raises:
        InvalidInputError: It is too short to be one.
        NotFoundError: Several begin so.
    """
    if len(digest) < SHORTEST or not digest.isalnum():
        msg = f"{digest[:80]!r} is no digest: give {SHORTEST} or more of its digits."
        raise InvalidInputError(msg)
    query = select(_dataset).order_by(_dataset.c.id)
    rows = connection.execute(query.where(_dataset.c.digest == digest)).all()
    if rows or not re.fullmatch(r"[0-9a-f]+", digest) or len(digest) >= FULL:
        return rows
    # A range, which the index answers; "g" comes right after the last hex digit.
    within = (_dataset.c.digest > digest) & (_dataset.c.digest < f"{digest}g")
    rows = connection.execute(query.where(within).limit(1000)).all()
    found = sorted({row.digest for row in rows})
    if len(found) > 1:
        msg = (
            f"{len(found)} data versions begin with {digest!r}: "
            f"{', '.join(text[:16] for text in found[:5])}. Give more digits."
        )
        raise NotFoundError(msg)
    return rows


def _decode(row: Row[Any]) -> Dataset:
    return msgspec.json.decode(row.document, type=Dataset)
