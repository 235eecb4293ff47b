"""Bringing a reproduction's run from the store of its own into the original's, marked as such."""

from __future__ import annotations

import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.backend.downloads import download_blob
from loopline.backend.recorder import Recorder
from loopline.records.facts import (
    ArtifactLogged,
    InputLogged,
    MetricPoints,
    ParamsLogged,
    RunEnded,
    RunStarted,
)
from loopline.records.operations import (
    FindSnapshot,
    GetMetricColumns,
    ListArtifacts,
    ListInputs,
)
from loopline.records.tracking import Artifact, RunStatus
from loopline.settings import parse_address

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.tracking import Run, RunInput

__all__ = ["LENT", "OF", "lend_data", "record_in"]

#: Tag of a reproduction: the run that was run again.
OF = "loopline.reproduction_of"
#: Tag of the run that holds, in the store of a reproduction, the data it may ask for.
LENT = "loopline.lent"


def record_in(
    recorder: Recorder,
    source: Backend,
    run: Run,
    original: Run,
    *,
    tags: dict[str, str],
    status: RunStatus,
) -> None:
    """Record a run as a reproduction; on return it is in the store.

    Args:
        recorder: Of the store of the original.
        source: The store in which the reproduction was run.
        run: The reproduction's run there.
        original: What it reproduces; it is recorded in the same experiment.
        tags: More tags: how it came out.
        status: How it ended.

    Raises:
        BackendUnavailableError: The store cannot be reached; it is sent when it can.
    """
    name = f"reproduction of {original.name or original.run_id[:8]}"[:250]
    run_id = run.run_id
    recorder.record(
        RunStarted(
            run_id=run_id,
            experiment=original.experiment_name,
            name=name,
            start_ms=run.start_ms,
            user=run.user,
            tags={**run.tags, **tags, OF: original.run_id, "mlflow.runName": name},
        )
    )
    if run.params:
        recorder.record(ParamsLogged(run_id=run_id, params=run.params))
    for key in run.metrics:
        columns = source.call(GetMetricColumns(run_id=run_id, key=key))
        recorder.record(
            MetricPoints(
                run_id=run_id,
                key=key,
                steps=columns.steps,
                timestamps_ms=columns.timestamps_ms,
                values=columns.values,
            )
        )
    for one in source.call(ListInputs(run_id=run_id)):
        recorder.record(
            InputLogged(run_id=run_id, dataset=one.dataset, context=one.context, tags=one.tags)
        )
    _record_files(recorder, source, run_id)
    recorder.record(
        RunEnded(
            run_id=run_id,
            status=status,
            end_ms=run.end_ms or time.time_ns() // 1_000_000,
            duration_ms=run.duration_ms,
            reason=run.end_reason,
        )
    )
    recorder.flush()


def lend_data(recorder: Recorder, store: Path, inputs: list[RunInput]) -> int:
    """Put the kept data that a run read where its reproduction may load them from.

    Args:
        recorder: Of the store of the original.
        store: Home of the reproduction.
        inputs: What the original read.

    Returns:
        How many data versions were kept, and are there now.
    """
    found = [recorder.call(FindSnapshot(digest=one.dataset.digest)) for one in inputs]
    kept = {one.dataset.digest: one for one in found if one is not None}
    if not kept:
        return 0
    lent = Recorder(parse_address(str(store)))
    run_id = uuid.uuid4().hex
    at_ms = time.time_ns() // 1_000_000
    tags = {LENT: "yes"}
    lent.record(
        RunStarted(run_id=run_id, experiment="Default", name="data", start_ms=at_ms, tags=tags)
    )
    for one in kept.values():
        lent.record(InputLogged(run_id=run_id, dataset=one.dataset))
        files = [
            Artifact(path=f"{one.folder}/{file.path}", sha256=file.sha256) for file in one.files
        ]
        _copy_files(lent, recorder.backend, run_id, files)
    lent.record(RunEnded(run_id=run_id, status=RunStatus.FINISHED, end_ms=at_ms))
    lent.close()
    return len(kept)


def _record_files(recorder: Recorder, source: Backend, run_id: str) -> None:
    files = source.call(ListArtifacts(run_id=run_id, recursive=True))
    _copy_files(recorder, source, run_id, files)


def _copy_files(recorder: Recorder, source: Backend, run_id: str, files: list[Artifact]) -> None:
    with tempfile.TemporaryDirectory(prefix="loopline-reproduction-") as folder:
        target = Path(folder) / "file"
        for file in files:
            if file.is_dir:
                continue
            download_blob(source, file.sha256, target)
            digest, size = recorder.stage(target)
            recorder.record(
                ArtifactLogged(
                    run_id=run_id,
                    path=file.path,
                    sha256=digest,
                    size_bytes=size,
                    at_ms=time.time_ns() // 1_000_000,
                )
            )
