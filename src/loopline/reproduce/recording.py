"""Bringing a reproduction's run from the store of its own into the original's, marked as such."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.backend.downloads import download_blob
from loopline.records.facts import (
    ArtifactLogged,
    InputLogged,
    MetricPoints,
    ParamsLogged,
    RunEnded,
    RunStarted,
)
from loopline.records.operations import GetMetricColumns, ListArtifacts, ListInputs

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.backend.recorder import Recorder
    from loopline.records.tracking import Run, RunStatus

__all__ = ["OF", "record_in"]

#: Tag of a reproduction: the run that was run again.
OF = "loopline.reproduction_of"


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


def _record_files(recorder: Recorder, source: Backend, run_id: str) -> None:
    files = source.call(ListArtifacts(run_id=run_id, recursive=True))
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
