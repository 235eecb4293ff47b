"""Homes with the taxi-fare story's runs, and programs that are started and killed."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import pytest

from loopline.backend.local import LocalBackend
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.logged_models import LoggedModelPoint, ModelRole
from loopline.records.tracking import RunStatus
from loopline.rules.points import Points
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Story:
    """A home, with shorthands for what a training does to it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.address = Address("home", str(home))
        self.backend = LocalBackend(self.address)
        self._files = home.parent / "files"
        self._files.mkdir(exist_ok=True)

    def send(self, *facts: f.Fact) -> None:
        """Take facts as from a journal of their own."""
        receipt = self.backend.send(
            f.Batch(writer=uuid.uuid4().hex, start=0, end=100, facts=list(facts))
        )
        assert receipt.refused == 0

    def put(self, data: bytes) -> str:
        """Keep bytes as a blob."""
        path = self._files / uuid.uuid4().hex
        path.write_bytes(data)
        return self.backend.put_blob(path)[0]

    def log_run(self, *files: bytes, points: int = 10) -> str:
        """Make a finished run with a metric and files; return its id."""
        run_id = uuid.uuid4().hex
        now_ms = time.time_ns() // 1_000_000
        rows = [(step, now_ms + step, 4.2 - step / 1000) for step in range(points)]
        steps, times, values = Points.from_rows(rows).to_columns()
        self.send(
            f.RunStarted(run_id=run_id, experiment="wagoncab taxifare", start_ms=now_ms),
            f.MetricPoints(
                run_id=run_id, key="rmse", steps=steps, timestamps_ms=times, values=values
            ),
            *(
                f.ArtifactLogged(
                    run_id=run_id,
                    path=f"trips/{number}.parquet",
                    sha256=self.put(data),
                    size_bytes=len(data),
                    at_ms=now_ms,
                )
                for number, data in enumerate(files)
            ),
            f.RunEnded(run_id=run_id, status=RunStatus.FINISHED, end_ms=now_ms),
        )
        return run_id

    def log_model(self, data: bytes, *, run_id: str = "") -> str:
        """Make a logged model with a file and a point; return its id."""
        made = self.backend.call(
            ops.CreateLoggedModel(
                experiment_id="1", name="fare", source_run_id=run_id, params={"depth": "7"}
            )
        )
        point = LoggedModelPoint(
            model_id=made.model_id, key="rmse", value=3.5, timestamp_ms=1, run_id="ab" * 16
        )
        file = f.LoggedModelFile(
            model_id=made.model_id,
            path="model.bin",
            sha256=self.put(data),
            size_bytes=len(data),
            at_ms=1,
        )
        facts: list[f.Fact] = [f.LoggedModelMeasured(points=[point]), file]
        if run_id:
            link = f.LoggedModelUsed(
                run_id=run_id, model_id=made.model_id, role=ModelRole.OUTPUT, step=1
            )
            facts.append(link)
        self.backend.call(ops.RecordFacts(facts=facts))
        return made.model_id

    @property
    def files(self) -> Path:
        """The folder of blobs."""
        folder = self.backend.blobs.folder
        assert folder is not None
        return folder

    def blob(self, digest: str) -> Path:
        """Tell where a blob lies."""
        return self.files / digest[:2] / digest


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path / "home" / ".loopline")
    yield made
    made.backend.close()
